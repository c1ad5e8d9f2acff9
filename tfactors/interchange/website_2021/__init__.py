"""The 2021 website becomes a bundle."""
