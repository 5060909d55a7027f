"""What several tests share: a real server, and real models for it."""
