"""Rows in files of the user's."""
