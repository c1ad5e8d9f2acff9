"""The style sheet of our own HTML: in the head of every page that our own server sends (head.py).

It is written into the page as well, for servers that send Streamlit's page as it is.
"""

from functools import cache
from pathlib import Path

import streamlit as st

from tfactors.display import look


@cache
def sheet() -> str:
    """Return the CSS of our own HTML, and what ``style.css`` adds for the dashboard."""
    return look.sheet() + Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def write() -> None:
    """Put the style sheet into the page."""
    st.html(f"<style>{sheet()}</style>")
