"""The activations of a factor in bands of strength, from the strongest to the weakest.

Draws for each band (:mod:`tfactors.portrait.bands`) its range, how many of all activations it
stands for, and the activations in it that the build drew at random. Of the strongest band few may
have been drawn: then some of the stored strongest examples stand beside them, and it is said.
"""

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import shell
from tfactors.app.parts import downloads, example_filter
from tfactors.app.parts.selection import Selected
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.portrait import definitions
from tfactors.portrait.bands import Band, bands_of

_CONTEXT = 7
# Of the strongest band so many are shown, if need be from the stored strongest examples.
_FEWEST = 5


def show(selected: Selected, examples: pd.DataFrame) -> None:
    """Draw the bands of a factor at its layer; ``examples`` are its strongest."""
    bundle, layer = selected.bundle, selected.layer
    samples = bundle.samples(selected.factor, layer)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(f"By strength, at layer {layer}", anchor=False, help=definitions.SAMPLE)
        if len(samples):
            example_filter.button(bundle)
            downloads.show(lambda: samples, f"random_{selected.factor}_{layer}")
    if samples.empty:
        silent = f"No token activates this factor at layer {layer}."
        st.caption(bundle.abilities.samples.why_not or silent)
        return
    bands = bands_of(bundle.histogram(selected.factor, layer), bundle.bin_edges)
    asked = example_filter.in_force()
    passing = asked.passing(bundle, samples)
    st.caption(_summary(samples, passing, bands))
    if asked.asked and passing.empty:
        return
    strongest = float(selected.overview.maximum[selected.factor, selected.column])
    for band in bands:
        drawn, kept = (rows[band.holds(rows["activation"])] for rows in (samples, passing))
        st.markdown(
            f"**{band.name}**: {band.count:,} of {band.total:,} activations, {_range(band)}. "
            f"{_count(len(drawn), len(kept), bool(asked.asked))}"
        )
        shown = kept
        if band is bands[0] and len(drawn) < _FEWEST:
            stored = asked.passing(bundle, _not_drawn(examples, drawn))
            stored = stored[band.holds(stored["activation"])]
            beside = _spread(stored, _FEWEST - len(kept))
            if len(beside):
                st.caption(
                    f"So few were drawn of it that {len(beside)} of the stored strongest examples "
                    "stand below."
                )
                shown = pd.concat([kept, beside]).sort_values("activation", ascending=False)
        if len(shown):
            drawn_passages = passages_of(bundle, shown, _CONTEXT)
            st.html(passages.lines(drawn_passages, strongest))


def _summary(samples: pd.DataFrame, passing: pd.DataFrame, bands: list[Band]) -> str:
    """Say what a band is, and what the filter leaves."""
    told = (
        f"The strongest examples flatter. Of all {bands[0].total:,} activations at this layer "
        f"{len(samples)} were drawn at random, the weak ones as likely as the strong; each band "
        "says how many of all it stands for."
    )
    if filtered := shell.plain_text(example_filter.said()):
        none = "None" if passing.empty else f"{len(passing)}"
        told += (
            f" {none} of the {len(samples)} pass{'es' if len(passing) <= 1 else ''} the filter: "
        )
        told += f"{filtered}."
    return told


def _range(band: Band) -> str:
    if np.isinf(band.high):
        return f"from {band.low:.2f} on" if band.low else "of any strength"
    return f"{band.low:.2f} to {band.high:.2f}" if band.low else f"below {band.high:.2f}"


def _count(drawn: int, kept: int, filtered: bool) -> str:
    if not drawn:
        return "None of it was drawn."
    if filtered:
        return f"{kept} of the {drawn} drawn pass the filter."
    return f"{drawn} drawn."


def _not_drawn(examples: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    places = set(zip(drawn["window"], drawn["position"], strict=True))
    new = [
        place not in places for place in zip(examples["window"], examples["position"], strict=True)
    ]
    return examples[np.array(new, bool)]


def _spread(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return so many rows, evenly from the first to the last."""
    if len(rows) <= count:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, max(count, 0)).round().astype(int)]
