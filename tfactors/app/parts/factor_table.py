"""Factors as rows of a table, each with its curve; a click on a row opens the factor.

Turns factor numbers, and columns of the caller's own, into a table that can be sorted, searched and
downloaded.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, llm_labels, shell, store
from tfactors.app.parts import basket_button, downloads, selection
from tfactors.bundle import Bundle
from tfactors.bundle.abilities import MARKED_MATCH
from tfactors.describe.levels import OlderThresholds
from tfactors.portrait import definitions, level_rule
from tfactors.visible import boxed

_ROW, _TALLEST = 35, 640  # pixels: as high as its rows, up to the height of a page

COLUMNS: dict[str, Any] = {
    "factor": st.column_config.NumberColumn(
        "Factor", width="small", pinned=True, help=definitions.FACTOR
    ),
    "words": st.column_config.TextColumn("Words", width=240, help=definitions.WORDS),
    "model_label": st.column_config.TextColumn(
        "By a language model", width=240, help=definitions.MODEL_LABEL
    ),
    "model_label_by": st.column_config.TextColumn("Whose", width="small"),
    "model_score": st.column_config.NumberColumn(
        "Its score", format="percent", width="small", help=definitions.MODEL_SCORE
    ),
    "rule_score": st.column_config.NumberColumn(
        "Rule's score", format="percent", width="small", help=definitions.RULE_SCORE
    ),
    "level": st.column_config.TextColumn("Level", width="small", help=definitions.LEVEL),
    "peak": st.column_config.NumberColumn("Peak", width="small", help=definitions.PEAK),
    "curve": st.column_config.BarChartColumn(
        "Layers", width="small", y_min=0, help=definitions.CURVE
    ),
    "importance": st.column_config.NumberColumn(
        "Importance", format="%.2f", width="small", help=definitions.PEAK_IMPORTANCE
    ),
    "density": st.column_config.NumberColumn(
        "Density", format="percent", width="small", help=definitions.DENSITY
    ),
    "effective_words": st.column_config.NumberColumn(
        "On words", format="%.1f", width="small", help=definitions.EFFECTIVE_WORDS
    ),
    "window_share": st.column_config.NumberColumn(
        "By window", format="percent", width="small", help=definitions.WINDOW_SHARE
    ),
    "sentence": st.column_config.NumberColumn(
        "Kept by sentence", format="percent", width="small", help=definitions.KEPT_BY_SENTENCE
    ),
    "label_kind": st.column_config.TextColumn("Kind", width="small", help=definitions.LABEL_KIND),
    "label_precision": st.column_config.NumberColumn(
        "Precision", format="percent", width="small", help=definitions.LABEL_PRECISION
    ),
    "label_recall": st.column_config.NumberColumn(
        "Recall", format="percent", width="small", help=definitions.LABEL_RECALL
    ),
    "stability": st.column_config.NumberColumn(
        "Stability", format="%.2f", width="small", help=definitions.STABILITY
    ),
}
_PLAIN = (
    *("level", "peak", "curve", "importance", "density"),
    *("effective_words", "window_share", "sentence"),
)

# What a language model called them, where one was asked.
_BY_MODEL = ("model_label", "model_label_by", "model_score", "rule_score")

# The columns of a search, see :mod:`tfactors.app.views.search`.
MATCH_COLUMNS: dict[str, Any] = {
    "match": st.column_config.ProgressColumn(
        "Match", min_value=0, max_value=1, format="%.2f", width="small", help=definitions.MATCH
    ),
    "at": st.column_config.NumberColumn("Layer", width="small", help=definitions.MATCH_LAYER),
    "active": st.column_config.NumberColumn(
        "Active on", format="percent", width="small", help=definitions.ACTIVE_ON
    ),
    "activation": st.column_config.NumberColumn(
        "Activation", format="%.1f", width="small", help=definitions.MEAN_ACTIVATION
    ),
}

# The same of the 2021 website.
WEBSITE_MATCH_COLUMNS: dict[str, Any] = {
    "match": MATCH_COLUMNS["match"] | {"help": MARKED_MATCH},
    "at": MATCH_COLUMNS["at"],
}

FIRING_COLUMNS: dict[str, Any] = {
    "token": st.column_config.TextColumn("Fires on", width="small", help=definitions.FIRES_ON),
    "match": st.column_config.ProgressColumn(
        "Strength", min_value=0, max_value=1, format="%.2f", width="small", help=definitions.FIRES
    ),
    "at": st.column_config.NumberColumn("Layer", width="small", help=definitions.FIRES_LAYER),
    "activation": MATCH_COLUMNS["activation"] | {"help": definitions.ACTIVATION},
}


def factor_rows(bundle: Bundle, factors: np.ndarray) -> pd.DataFrame:
    """Return a row for each factor, in the order given: what the table shows of every factor."""
    overview, rows = store.overview(bundle), bundle.factors.iloc[factors]
    limits, known = selection.thresholds_in_force(bundle), bundle.abilities.activations
    kept: Any = np.nan
    if isinstance(limits, OlderThresholds):
        kept = rows[limits.sentence_column].to_numpy(float).round(2)
    peak = overview.importance[factors].argmax(axis=1)
    curves = overview.importance[factors].astype(float).round(4)
    has_curve = overview.has_curve[factors]
    return pd.DataFrame(
        {
            "factor": factors,
            "words": selection.factor_names(bundle)["words"].to_numpy()[factors],
            "level": level_rule.levels_in_force(rows, limits),
            "peak": rows["peak_layer"].astype("Int64").where(rows["peak_layer"] >= 0).array,
            "curve": [
                curve if is_read else None for curve, is_read in zip(curves, has_curve, strict=True)
            ],
            "importance": overview.importance[factors, peak] if known else np.nan,
            "density": overview.density[factors, peak] if known else np.nan,
            "effective_words": rows["effective_words"].to_numpy(float).round(1),
            "window_share": rows["window_share"].to_numpy(float).round(3),
            "sentence": kept,
        }
        | {
            column: rows[column].to_numpy()
            for column in ("label_kind", "label_precision", "label_recall", "stability")
        }
        | _model_labels(bundle, factors)
    )


def _model_labels(bundle: Bundle, factors: np.ndarray) -> dict[str, Any]:
    """Return what a language model called the factors, by column; {} where none was asked."""
    known = llm_labels.shown(bundle)
    if not known:
        return {}
    given = [known.get(int(factor)) for factor in factors]
    return {
        "model_label": [one and boxed(one.label) for one in given],
        "model_score": [np.nan if one is None or one.score is None else one.score for one in given],
        "rule_score": [
            np.nan if one is None or one.rule_score is None else one.rule_score for one in given
        ],
        "model_label_by": [one and f"{boxed(one.model)}, {one.date}" for one in given],
    }


def _entries(bundle: Bundle, rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Return the factors of a table, each at the layer of its row, else at its peak."""
    factors = rows["factor"].tolist()
    layers = rows["at"].tolist() if "at" in rows else [None] * len(rows)
    return [
        (int(factor), selection.peak_layer(bundle, factor) if pd.isna(layer) else int(layer))
        for factor, layer in zip(factors, layers, strict=True)
    ]


def show(
    rows: pd.DataFrame,
    key: str,
    alt: str,
    columns: Mapping[str, Any] | None = None,
    changes: shell.Changes | None = None,
    tallest: int = _TALLEST,
    choose: Callable[[int], None] | None = None,
    whole: Callable[[], pd.DataFrame] | None = None,
    offer_basket: bool = True,
) -> None:
    """Draw a table of factors; a chosen row opens its factor, with ``changes`` beside.

    ``columns`` describes the caller's own columns of ``rows``, which stand after the words. A row
    that has a column ``at`` opens its factor at that layer. ``key`` also names the downloads.
    With ``choose`` a row calls that with its factor instead, and the page is drawn again.
    ``whole`` makes the table to take along where it has more rows than are drawn. With
    ``offer_basket``, and without ``choose``, a button puts its factors into the basket.
    """
    columns = columns or {}
    # With columns of the caller's own the table is wide enough without the numbers.
    plain = [name for name in (_PLAIN[:3] if columns else _PLAIN) if name not in columns]
    shared = [name for name in plain if len(rows) == 0 or rows[name].notna().any()]
    by_model = [name for name in _BY_MODEL if name in rows and rows[name].notna().any()]
    event: Any = st.dataframe(
        rows,
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        placeholder="–",
        height=min(_ROW * (len(rows) + 1) + 3, tallest),
        column_order=["factor", "words", *by_model, *columns, *shared],
        column_config={**COLUMNS, **columns},
        alt=alt,
    )
    with st.container(horizontal=True, gap="small"):
        downloads.show(whole or (lambda: rows), key)
        if offer_basket and choose is None and len(rows):
            basket_button.add_all(shell.bundle(), _entries(shell.bundle(), rows), key)
    marked = event["selection"]
    chosen = marked["rows"] or [row for row, _ in marked.get("cells", [])]
    if chosen:
        row = rows.iloc[chosen[0]]
        if choose is not None:
            if st.session_state.get(f"{key}.chosen") != int(row["factor"]):
                st.session_state[f"{key}.chosen"] = int(row["factor"])
                choose(int(row["factor"]))
                st.rerun()
            return
        layer = controls.PEAK if "at" not in rows or pd.isna(row["at"]) else int(row["at"])
        opened: dict[Any, Any] = {controls.FACTOR: int(row["factor"]), controls.LAYER: layer}
        shell.open_page(controls.FACTOR_PAGE, opened | dict(changes or {}))
