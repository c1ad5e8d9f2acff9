"""Turns the website of 2021 into a bundle."""
