"""A bundle becomes a folder of HTML that needs no server and no network, or one file of it."""
