"""Models in object stores, on web servers and on model hubs."""
