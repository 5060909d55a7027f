"""The base image's own Python: where it is, and how it runs here."""
