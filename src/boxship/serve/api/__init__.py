"""The HTTP routes, as plain ASGI applications."""
