"""What is installed, cut into layers that repeat across images."""
