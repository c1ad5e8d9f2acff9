"""Search by meaning: factors whose contexts or names mean something like a question.

Turns a question into two lists that stand side by side: on the left the factors that are nearest to
it, each with its contexts that are nearest, on the right those that its words find as they stand
(:mod:`tfactors.app.views.search`), which needs no model.
"""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell
from tfactors.app.parts import live_meanings, live_model, selection
from tfactors.app.views import search, search_filters
from tfactors.bundle import Bundle
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.errors import InputError
from tfactors.portrait import definitions

MOST_FOUND = 10
_CONTEXTS = 2
EXAMPLES = ("words about weather", "blame", "a list is coming")


def show(bundle: Bundle, question: str) -> None:
    """Draw what a question finds by meaning, and by its words."""
    missing = live_meanings.missing_part(bundle)
    if missing is None:
        live_meanings.meanings_of(bundle).prepare(bundle)
    if not question.strip():
        if missing is None:
            asked = "; ".join(f"“{example}”" for example in EXAMPLES)
            st.markdown(f"Ask in your own words, such as: {asked}.")
        else:
            st.markdown(shell.plain_text(missing))
        return
    by_meaning, by_words = st.columns([3, 2], gap="large")
    with by_words:
        st.subheader("By its words", anchor=False)
        _show_by_words(bundle, question)
    with by_meaning:
        st.subheader("By meaning", anchor=False, help=definitions.MEANING)
        if missing is None:
            _show_by_meaning(bundle, question)
        else:
            st.markdown(shell.plain_text(missing))


def _show_by_meaning(bundle: Bundle, question: str) -> None:
    note = st.empty()
    try:
        found = live_meanings.meanings_of(bundle).find(bundle, question, note.caption)
    except InputError as error:
        note.empty()
        live_model.show_refusal(error)
        return
    note.empty()
    passing = found[search_filters.passes_filters(bundle, found["factor"].to_numpy())]
    if passing.empty:
        st.markdown(f"The filters leave none of the {len(found):,} factors: loosen one.")
        return
    st.caption(
        f"The nearest {min(MOST_FOUND, len(passing))} of {len(passing):,}, each with its contexts "
        "that are nearest. Something is always nearest: read whether it fits."
    )
    for row in passing.head(MOST_FOUND).itertuples(index=False):
        _show_factor(bundle, row)


def _show_factor(bundle: Bundle, row: Any) -> None:
    """Draw a factor as a link with its likeness, and the contexts that are nearest."""
    _show_link(bundle, row.factor, row.at, f"**{row.likeness:.2f}** ")
    examples = bundle.examples(row.factor, row.at).set_index("rank", drop=False)
    known = [rank for rank in row.ranks if rank in examples.index][:_CONTEXTS]
    words = bundle.about.meanings.words if bundle.about.meanings else None
    contexts = passages_of(bundle, examples.loc[known].reset_index(drop=True), words)
    st.html(passages.texts(contexts, float(examples["activation"].max())))


def _show_by_words(bundle: Bundle, question: str) -> None:
    found, _ = search.factors_found(bundle, question)
    found = found[search_filters.passes_filters(bundle, found["factor"].to_numpy())]
    if found.empty:
        st.markdown("The words themselves find no factor.")
        return
    st.caption(
        f"The first {min(MOST_FOUND, len(found))} of {len(found):,} that the words themselves "
        "find, with how well they match."
    )
    at = found["at"] if "at" in found else pd.Series(pd.NA, found.index)
    match = found["match"] if "match" in found else pd.Series(np.nan, found.index)
    for factor, layer, value in list(zip(found["factor"], at, match, strict=True))[:MOST_FOUND]:
        layer = controls.PEAK if pd.isna(layer) else int(layer)
        _show_link(bundle, int(factor), layer, "" if pd.isna(value) else f"**{value:.2f}** ")
    shell.link(
        controls.SEARCH_PAGE,
        "All of them as a table",
        ":material/table:",
        changes={controls.SEARCH_MODE: "words"},
    )


def _show_link(bundle: Bundle, factor: int, layer: int, before: str) -> None:
    name = selection.factor_name(bundle, factor)
    shell.link(
        controls.FACTOR_PAGE,
        f"{before}{shell.plain_text(name)}",
        changes={controls.FACTOR: factor, controls.LAYER: layer},
    )
