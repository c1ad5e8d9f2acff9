"""A row of numbers, each with its name and, on a tip, its definition."""

from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st


@dataclass(frozen=True)
class Figure:
    """One number with its name and its definition."""

    label: str
    value: str
    tip: str


def show(figures: Iterable[Figure], key: str | None = None) -> None:
    """Draw figures side by side; ``key`` is one of the page's own."""
    with st.container(horizontal=True, gap="medium", key=key):
        for figure in figures:
            st.metric(figure.label, figure.value, help=figure.tip, width="content")
