"""A user's own code: ``Service`` classes and what they are imported from."""
