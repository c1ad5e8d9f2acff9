"""Factors as rows of a table, each with its curve; a click on a row opens the factor.

In go factor numbers and columns of the caller's own, out comes a table that can be sorted, searched
and downloaded.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app import controls, definitions, factor_view, shell, store
from tfactors.bundle import Bundle

_ROW, _TALLEST = 35, 640  # pixels: as high as its rows, up to the height of a page

_COLUMNS: dict[str, Any] = {
    "factor": st.column_config.NumberColumn("Factor", width="small", pinned=True),
    "words": st.column_config.TextColumn("Words", width="medium"),
    "level": st.column_config.TextColumn("Level", width="small"),
    "peak": st.column_config.NumberColumn("Peak", width="small", help=definitions.PEAK),
    "curve": st.column_config.BarChartColumn("Layers", width="small", y_min=0,
                                             help="Importance at each layer."),
    "importance": st.column_config.NumberColumn("Importance", format="%.2f", width="small"),
    "density": st.column_config.NumberColumn("Density", format="percent", width="small",
                                             help=definitions.DENSITY),
    "sentence": st.column_config.NumberColumn("Kept by sentence", format="percent", width="small",
                                              help=definitions.RETAINED_SENTENCE),
}  # fmt: skip

# The columns of a search, see :mod:`tfactors.app.searching`.
MATCH: dict[str, Any] = {
    "match": st.column_config.ProgressColumn(
        "Match", min_value=0, max_value=1, format="%.2f", width="small",
        help="The mean activation over all tokens of the words at this layer, as a share of the "
        "factor's importance at its peak: 1 means that the factor is about these words.",
    ),
    "at": st.column_config.NumberColumn(
        "Layer", width="small", help="The layer where it matches best; opens there."
    ),
    "active": st.column_config.NumberColumn(
        "Active on", format="percent", width="small",
        help="The share of the words' tokens that activate it at this layer.",
    ),
    "activation": st.column_config.NumberColumn(
        "Activation", format="%.1f", width="small",
        help="Its mean activation on the tokens that activate it.",
    ),
}  # fmt: skip


def frame(bundle: Bundle, factors: np.ndarray) -> pd.DataFrame:
    """Return a row for each factor, in the order given: what the table shows of every factor."""
    overview, rows = store.overview(bundle), bundle.factors.iloc[factors]
    peak = overview.importance[factors].argmax(axis=1)
    return pd.DataFrame(
        {
            "factor": factors,
            "words": [" / ".join(factor_view.name_words(bundle, at)) for at in factors.tolist()],
            "level": definitions.levels(rows, factor_view.thresholds(bundle)),
            "peak": rows["peak_layer"].to_numpy(),
            "curve": list(overview.importance[factors].astype(float).round(4)),
            "importance": overview.importance[factors, peak],
            "density": overview.density[factors, peak],
            "sentence": rows["retained_sentence"].to_numpy().round(2),
        }
    )


def show(
    rows: pd.DataFrame,
    key: str,
    alt: str,
    columns: Mapping[str, Any] | None = None,
    changes: shell.Changes | None = None,
    tallest: int = _TALLEST,
) -> None:
    """Draw a table of factors; a chosen row opens its factor, with ``changes`` beside.

    ``columns`` describes the caller's own columns of ``rows``, which stand after the words. A row
    that has a column ``at`` opens its factor at that layer.
    """
    columns = columns or {}
    # With columns of the caller's own the table is wide enough without the numbers.
    shared = list(_COLUMNS)[2 : 5 if columns else None]
    event: Any = st.dataframe(
        rows,
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        height=min(_ROW * (len(rows) + 1) + 3, tallest),
        column_order=["factor", "words", *columns, *shared],
        column_config={**_COLUMNS, **columns},
        alt=alt,
    )
    if chosen := event["selection"]["rows"]:
        row = rows.iloc[chosen[0]]
        layer = int(row["at"]) if "at" in rows else controls.PEAK
        opened: dict[Any, Any] = {controls.FACTOR: int(row["factor"]), controls.LAYER: layer}
        shell.go(controls.FACTOR_PAGE, opened | dict(changes or {}))
