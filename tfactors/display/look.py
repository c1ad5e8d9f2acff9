"""The style sheet of our own HTML, for the dashboard, published sites and single files alike."""

from functools import cache
from pathlib import Path


@cache
def sheet() -> str:
    """Return the CSS of ``look.css``."""
    return Path(__file__).with_name("look.css").read_text(encoding="utf-8")
