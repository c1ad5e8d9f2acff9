"""Other people's files: autoencoders, exports, the 2021 website."""
