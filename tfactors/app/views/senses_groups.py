"""The occurrences of one word with their codes: from the bundle, or from the model.

Turns a word into up to 48 places in the text with the strongest factors at every layer, and groups
them at each (:mod:`tfactors.describe.senses`). A bundle holds this for the words whose groups
separate best. For any other word its windows are searched for, and the model reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from scipy.sparse import csr_array

from tfactors import ragged
from tfactors.app.parts import live_model
from tfactors.bundle import Bundle
from tfactors.describe import senses

_REMEMBERED = 60  # words, of some 50 kB each
_WINDOWS_AT_ONCE = 512
_READ_AT_ONCE = 8


@dataclass(frozen=True)
class Question:
    """A word whose occurrences the model is to read."""

    word: str


@dataclass(frozen=True)
class Occurrences:
    """Places of a word (window, position), and the codes there: a matrix (n, m) a layer."""

    word: str
    places: pd.DataFrame
    codes: list[csr_array]


@dataclass(frozen=True)
class Groups:
    """The groupings of a word at every layer, and what chance gives at each."""

    groupings: list[senses.Grouping]
    chance: list[float]


def casefolded(word: str) -> str:
    """Return a word as the index knows it."""
    return word.strip().casefold()


def known_occurrences(bundle: Bundle, word: str) -> Occurrences | None:
    """Return the occurrences that the bundle holds, or that the model has read before."""
    stored = _stored_occurrences(bundle.fingerprint, bundle, word)
    return stored or live_model.model_of(bundle).answers.get(Question(word))


@st.cache_resource(max_entries=_REMEMBERED, show_spinner=False)
def _stored_occurrences(fingerprint: str, _bundle: Bundle, word: str) -> Occurrences | None:
    rows = _bundle.occurrences(word)
    if rows.empty:
        return None
    codes = []
    for layer in _bundle.layers:
        of_layer = rows[rows["layer"] == layer]
        bounds = ragged.offsets([len(factors) for factors in of_layer["factors"]])
        flat = (
            np.concatenate(of_layer["factors"].to_list()),
            np.concatenate(of_layer["activations"].to_list()),
        )
        shape = (len(of_layer), _bundle.n_factors)
        codes.append(csr_array((flat[1], flat[0], bounds), shape=shape))
    first = rows[rows["layer"] == _bundle.layers[0]]
    return Occurrences(word, first[["window", "position"]].reset_index(drop=True), codes)


def groups_of(bundle: Bundle, occurrences: Occurrences) -> Groups:
    """Return the groups of a word at every layer, made once."""
    return _groups_of(
        bundle.fingerprint, occurrences.word, len(occurrences.places), bundle.layers, occurrences
    )


@st.cache_resource(max_entries=_REMEMBERED, show_spinner=False)
def _groups_of(
    fingerprint: str, word: str, count: int, layers: list[int], _occurrences: Occurrences
) -> Groups:
    pairs = list(zip(layers, _occurrences.codes, strict=True))
    return Groups(
        [senses.grouped(codes, layer) for layer, codes in pairs],
        [senses.by_chance(codes) for _, codes in pairs],
    )


def read_occurrences(
    bundle: Bundle, word: str, show: Callable[[float, str], object]
) -> Occurrences:
    """Find a word in the text, have the model read where it stands, and remember the answer.

    ``show(share, words)`` draws progress. Without any occurrence the places are empty.

    Raises
    ------
    InputError
        The model is busy or cannot be loaded.
    """
    with live_model.borrowed_encoder(bundle, lambda words: show(0.0, words)) as encoder:
        from tfactors.survey.occurrences import draw_occurrences

        total = bundle.about.corpus.windows

        def frames() -> Iterator[Any]:
            for frame in bundle.iter_windows(_WINDOWS_AT_ONCE):
                done = int(frame["window"].iloc[0])
                show(0.7 * done / total, f"Looking through the text: window {done:,} of {total:,}")
                live_model.let_others_ask(bundle, partial(show, 0.7 * done / total))
                yield frame

        windows, positions = draw_occurrences(frames(), bundle.about.corpus.tokens, word)
        parts: list[list[csr_array]] = [[] for _ in bundle.layers]
        for first in range(0, len(windows), _READ_AT_ONCE):
            show(
                0.7 + 0.3 * first / len(windows),
                f"Reading occurrence {first + 1} of {len(windows)}",
            )
            live_model.let_others_ask(bundle, partial(show, 0.7))
            some = slice(first, first + _READ_AT_ONCE)
            texts = bundle.windows(windows[some])["token_ids"].to_list()
            states = encoder.states(texts, bundle.layers, positions=positions[some].tolist())
            for of_layer, x in zip(parts, states, strict=True):
                codes = encoder.coder.encode(x, encoder.penalty, encoder.tol)
                of_layer.append(senses.strongest(codes))
        from scipy.sparse import vstack

        places = pd.DataFrame({"window": windows, "position": positions})
        codes = [csr_array(vstack(of_layer, format="csr")) for of_layer in parts if of_layer]
        answer = Occurrences(word, places, codes)
    live_model.model_of(bundle).remember(Question(word), answer, _REMEMBERED)
    return answer
