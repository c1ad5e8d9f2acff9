"""A row of numbers, each with its name and, on a tip, its definition."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import streamlit as st


@dataclass(frozen=True)
class Figure:
    """One number with its name and its definition."""

    label: str
    value: str
    tip: str


def percent(value: float) -> str:
    """Return a share as a percentage with two digits that count, a dash where it is not known."""
    if pd.isna(value):
        return "–"
    digits = 0 if value >= 0.1 or value == 0 else 1 if value >= 0.01 else 2
    return f"{value:.{digits}%}"


def show(figures: Iterable[Figure], key: str | None = None) -> None:
    """Draw figures side by side; ``key`` is one of the page's own."""
    with st.container(horizontal=True, gap="medium", key=key):
        for figure in figures:
            st.metric(figure.label, figure.value, help=figure.tip, width="content")
