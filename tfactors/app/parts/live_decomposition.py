"""A reader's text through the model: read once, taken apart at any λ, remembered.

In go a text and λ; out come the :class:`tfactors.explain.decomposition.Decomposition` and one
token's codes over a range of λ. The model reads a text once (most of the time that an answer
takes); after that a move of λ only solves the codes again, starting from the last ones, and needs
neither the model nor its lock.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import live_model
from tfactors.bundle import Bundle
from tfactors.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from tfactors.explain.decomposition import Decomposition, ReadText
    from tfactors.explain.encoder import FactorEncoder


MOST_TOKENS = 512
_READ = 6  # texts whose states are kept: at most some 6 MB each for MiniLM, 20 for BERT
_APART = 12  # decompositions, of at most some 2 MB each
_PATH_STEPS = 24
_DRAWN = 8  # factors of a path


@dataclass(frozen=True)
class ReadQuestion:
    """A text to be read by the model."""

    text: str


@dataclass(frozen=True)
class Question:
    """A text and the λ to take it apart with; equal questions have equal answers."""

    text: str
    penalty: float


@dataclass(frozen=True)
class PathQuestion:
    """One token of a text at a layer, over a range of λ."""

    text: str
    position: int
    layer: int


@dataclass(frozen=True)
class PenaltyPath:
    """One token at one layer against λ.

    Attributes:
        factors: penalty, factor, activation; a row for every factor that is ever active at every
            λ, zeros included.
        fit: penalty, l0 (active factors), explained (1 − ‖ε‖² / ‖x‖²).
    """

    factors: pd.DataFrame
    fit: pd.DataFrame

    @cached_property
    def strongest(self) -> tuple[list[int], pd.DataFrame]:
        """The few strongest factors, strongest first, and their rows of ``factors``."""
        largest = self.factors.groupby("factor")["activation"].max().nlargest(_DRAWN)
        return largest.index.tolist(), self.factors[self.factors["factor"].isin(largest.index)]


@dataclass(frozen=True)
class _Read:
    """A text that was read, who codes it, and the codes it got last."""

    text: "ReadText"
    encoder: "FactorEncoder"
    codes: "list[csr_array]"  # one or none; replaced, never changed


def built_penalty(bundle: Bundle) -> float:
    """Return the λ that the bundle was made with."""
    return float(bundle.manifest["coding"]["penalty"])


def chosen_penalty(bundle: Bundle) -> float:
    """Return λ: the reader's, else the bundle's; an autoencoder's own codes know none."""
    own = url_state.get(controls.PENALTY)
    return built_penalty(bundle) if own is None or bundle.coding_method == "encoder" else own


def most_tokens(bundle: Bundle) -> int:
    """Return how many tokens of text the page takes: what it bears, or fewer the model reads."""
    encoder = live_model.model_of(bundle).encoder
    known = live_model.context_length(bundle) if encoder is None else encoder.model.max_length
    return min(MOST_TOKENS, known or MOST_TOKENS)


def decomposition_of(bundle: Bundle, text: str, at: float | None = None) -> "Decomposition":
    """Return the decomposition of a text at λ, from memory or from the model.

    ``at`` is another λ than the one of the page.

    Raises
    ------
    InputError
        The text is empty or too long, or the model is busy or cannot be loaded.
    """
    question = Question(text, chosen_penalty(bundle) if at is None else at)
    own = live_model.model_of(bundle)
    if (known := own.answers.get(question)) is not None:
        return known
    from tfactors.explain.decomposition import take_apart

    read = _read_text(bundle, text)
    start = read.codes[0] if read.codes else None
    answer, codes = take_apart(read.text, read.encoder, question.penalty, start)
    read.codes[:] = [codes]
    own.remember(question, answer, _APART)
    return answer


def penalty_path(bundle: Bundle, text: str, position: int, layer: int) -> PenaltyPath:
    """Return one token's codes at a layer over a range of λ around the bundle's."""
    question = PathQuestion(text, position, layer)
    own = live_model.model_of(bundle)
    if (known := own.answers.get(question)) is not None:
        return known
    from tfactors.coding.solver import SparseCoder

    read = _read_text(bundle, text)
    penalties = np.geomspace(built_penalty(bundle) / 5, built_penalty(bundle) * 4, _PATH_STEPS)
    x = read.text.states[read.text.layers.index(layer), position : position + 1]
    coder = read.encoder.coder
    assert isinstance(coder, SparseCoder)  # of other codes there is no path
    codes = coder.path(x, penalties.tolist(), read.encoder.tol)
    active = np.unique(np.concatenate([code.indices for code in codes]))
    # A line needs its zeros as well, or it would end in the air.
    values = np.stack([code.toarray()[0, active] for code in codes])
    norm = float((x.astype(np.float64) ** 2).sum())
    left = np.array([float(coder.squared_error(x, code)[0]) for code in codes])
    answer = PenaltyPath(
        pd.DataFrame(
            {
                "penalty": np.repeat(penalties, len(active)),
                "factor": np.tile(active.astype(int), len(penalties)),
                "activation": values.ravel().astype(float),
            }
        ),
        pd.DataFrame(
            {
                "penalty": penalties,
                "l0": [code.nnz for code in codes],
                "explained": 1 - left / max(norm, np.finfo(np.float64).tiny),
            }
        ),
    )
    own.remember(question, answer, _APART)
    return answer


def _read_text(bundle: Bundle, text: str) -> _Read:
    """Return a text as the model read it, from memory or from the model, with words meanwhile."""
    question = ReadQuestion(text)
    own = live_model.model_of(bundle)
    if (known := own.answers.get(question)) is not None:
        return known
    note = st.empty()
    with live_model.borrowed_encoder(bundle, note.caption) as encoder:
        from tfactors.explain.decomposition import read_text
        from tfactors.explain.encoder import tokenize_checked

        count = len(tokenize_checked(text, encoder.model)[1])
        if count > MOST_TOKENS:
            raise InputError(
                f"the text has {count:,} tokens, and this page takes {MOST_TOKENS} apart at once; "
                "shorten it, or give its parts one after the other"
            )
        answer = _Read(read_text(text, encoder), encoder, [])
    note.empty()
    own.remember(question, answer, _READ)
    return answer
