"""The style sheet and the icon of our own HTML, on the dashboard and on published pages alike."""

from functools import cache
from pathlib import Path

# Drawn here because Streamlit fetches named icons and emoji of a tab from the internet.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="3.5" fill="#1F5FA8"/>'
    '<path d="M3 12V9h2.2v3zm3.9 0V4h2.2v8zm3.9 0V7H13v5z" fill="#FDE68A"/></svg>'
)


@cache
def sheet() -> str:
    """Return the CSS of ``look.css``."""
    return Path(__file__).with_name("look.css").read_text(encoding="utf-8")
