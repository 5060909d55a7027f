"""Reading pickles without running them, and loading what is vouched for."""
