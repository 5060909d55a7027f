"""How a missing string travels through a graph whose strings are never missing."""

from typing import Final

MISSING_TEXT: Final = "\ufdd0"
"""Stands for a missing string. Unicode keeps this character for use inside programs, so it
is in no text that people exchange."""
