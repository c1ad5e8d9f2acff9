"""Results as HTML or plain text, for notebooks, terminal and pages alike."""
