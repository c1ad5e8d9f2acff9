"""One number as pages show it, with its name and its definition."""

from dataclasses import dataclass

import pandas as pd


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
