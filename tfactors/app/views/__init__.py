"""What one page draws: a module a page, and its own parts."""
