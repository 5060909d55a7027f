"""A project becomes an image: what goes in is decided once, then rendered by a builder."""
