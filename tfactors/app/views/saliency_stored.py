"""The explanations that a bundle holds, or the colours that the website of 2021 had."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import downloads
from tfactors.app.parts.selection import Selected
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display import text as explanation_text
from tfactors.portrait import definitions

MAP_HELP = f"{definitions.SCORE} {definitions.MAP_STABILITY} {definitions.STANDARD_ERROR}"


def show_website_colours(selected: Selected, examples: pd.DataFrame, legend: str) -> None:
    """Draw the colours of the 2021 website, below a legend where there are any."""
    stored = selected.bundle.saliency(selected.factor, selected.layer)
    if stored.empty:
        st.caption(selected.bundle.abilities.saliency_maps.why_not)
        return
    st.html(legend)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.markdown("##### LIME of 2021", help=selected.bundle.abilities.saliency.why_not)
        downloads.show(
            lambda: _token_rows(selected, examples, stored),
            f"saliency_{selected.factor}_{selected.layer}",
        )
    _draw_texts(selected, examples, stored)


def show(selected: Selected, examples: pd.DataFrame) -> None:
    """Draw the explanations that the bundle holds, those by two methods side by side."""
    chosen = url_state.value_of(controls.METHOD)
    stored = selected.bundle.saliency(selected.factor, selected.layer)
    if chosen != "both":
        stored = stored[stored["method"] == chosen]
    st.markdown("##### Stored with the bundle", help=definitions.SCORE)
    if stored.empty:
        st.caption(
            f"Nothing is stored by {controls.METHODS[chosen]} for this factor at this layer. A "
            "bundle stores maps at the layer where each factor is most important."
            if chosen != "both"
            else "Nothing is stored for this factor at this layer. A bundle stores maps for some "
            "factors, at the layer where each is most important."
        )
        return
    methods = stored.groupby("rank")["method"].agg(set)
    twice = sorted(rank for rank, by in methods.items() if len(by) > 1)
    for rank in twice:
        _draw_side_by_side(selected, examples, stored[stored["rank"] == rank])
    with st.container(horizontal=True, horizontal_alignment="right"):
        downloads.show(
            lambda: _token_rows(selected, examples, stored),
            f"saliency_{selected.factor}_{selected.layer}",
        )
    for method in ("lime", "occlusion"):
        alone = stored[(stored["method"] == method) & ~stored["rank"].isin(twice)]
        if not alone.empty:
            _draw_one_method(selected, examples, alone)


def _draw_side_by_side(selected: Selected, examples: pd.DataFrame, stored: pd.DataFrame) -> None:
    """Draw the maps of one example by two methods."""
    agreement = float(stored["agreement"].iloc[0])
    says = f", which agree to {agreement:.2f}" if np.isfinite(agreement) else ""
    st.markdown(
        f"**Example {int(stored['rank'].iloc[0]) + 1}, by both methods{says}**",
        help=definitions.MAP_AGREEMENT,
    )
    stored = stored.sort_values("method")  # lime, occlusion
    for column, (_, row) in zip(st.columns(2, gap="large"), stored.iterrows(), strict=True):
        with column:
            _draw_one_method(selected, examples, row.to_frame().T)


def _draw_one_method(selected: Selected, examples: pd.DataFrame, stored: pd.DataFrame) -> None:
    """Draw the stored maps of one method, one below the other."""
    st.caption(
        "  \n".join(_map_sentence(row) for row in stored.itertuples()),
        help=MAP_HELP,
    )
    _draw_texts(selected, examples, stored)


def _draw_texts(selected: Selected, examples: pd.DataFrame, stored: pd.DataFrame) -> None:
    tints = {int(row.rank): _significant_weights(row) for row in stored.itertuples()}
    explained = examples[examples["rank"].isin(tints)]
    texts = passages_of(selected.bundle, explained, None, tints)
    st.html(passages.texts(texts, float(examples["activation"].max()), numbers=True))


def _map_sentence(row: Any) -> str:
    """Return what is known of a stored map, in a sentence."""
    weights = None if row.errors is None else int(np.count_nonzero(_significant_weights(row)))
    return f"Example {row.rank + 1} · " + explanation_text.in_words(
        row.method, int(row.samples), row.score, row.stability, weights
    )


def _token_rows(selected: Selected, examples: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Return the stored maps as a row for each token of each."""
    places = examples.set_index("rank")["window"].loc[stored["rank"]]
    windows = selected.bundle.windows(places.to_list(), token_ids=False)
    parts = [
        pd.DataFrame(
            {
                "example": row.rank + 1,
                "method": row.method,
                "token": tokens,
                "weight": row.weights,
                "error": np.nan if row.errors is None else row.errors,
            }
        )
        for row, tokens in zip(stored.itertuples(), windows["tokens"], strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _significant_weights(row: Any) -> np.ndarray:
    """Return the weights of a stored map, 0 where they cannot be told from it."""
    weights = np.asarray(row.weights)
    if row.errors is None:  # an older bundle, or the website
        return weights
    from tfactors.explain.explanation import told_from_zero

    return np.where(told_from_zero(weights, np.asarray(row.errors), row.activation), weights, 0)
