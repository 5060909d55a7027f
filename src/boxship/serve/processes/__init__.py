"""Supervisor, workers, and the socket that they share."""
