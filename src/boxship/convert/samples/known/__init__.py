"""What a fitted model knows about its inputs."""
