"""From what is asked for to the very files that are installed."""
