"""What executes an artifact. The modules are imported late: each pulls in a model library."""
