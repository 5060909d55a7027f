"""The command line: parses, calls one verb, prints. No decision is taken here."""
