"""The style sheet of our own HTML, put into every page once."""

from functools import cache
from pathlib import Path

import streamlit as st


@cache
def sheet() -> str:
    """Return the CSS of ``style.css``."""
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def write() -> None:
    """Put the style sheet into the page."""
    st.html(f"<style>{sheet()}</style>")
