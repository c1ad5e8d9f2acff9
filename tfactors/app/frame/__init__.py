"""What every page stands in: server, style, store, the state in the URL, controls."""
