"""What a bundle is worth, measured on held-out text."""
