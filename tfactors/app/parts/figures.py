"""A row of numbers, each with its name and, on a tip, its definition."""

from collections.abc import Iterable

import streamlit as st

from tfactors.portrait.figure import Figure


def show(figures: Iterable[Figure], key: str | None = None) -> None:
    """Draw figures side by side; ``key`` is one of the page's own."""
    with st.container(horizontal=True, gap="medium", key=key):
        for figure in figures:
            st.metric(figure.label, figure.value, help=figure.tip, width="content")
