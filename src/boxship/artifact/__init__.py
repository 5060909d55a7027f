"""The model's files: their format, their digest, and how a pickle is read safely."""
