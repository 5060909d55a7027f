"""The user's own code in an image: all that it needs, and nothing secret."""
