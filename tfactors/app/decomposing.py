"""A reader's text through the model: taken apart at λ, and a token over a range of λ, remembered.

In go a text and λ, out come the :class:`tfactors.decomposition.Decomposition` and tables; both are
kept, so that a look at another token or layer costs nothing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app import controls, live_model, view
from tfactors.bundle import Bundle

if TYPE_CHECKING:
    from tfactors.decomposition import Decomposition

_REMEMBERED = 12  # texts of at most some 2 MB each
_PATH_STEPS = 24


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


def penalty(bundle: Bundle) -> float:
    """Return λ: the reader's, else the bundle's."""
    own = view.get(controls.PENALTY)
    return float(bundle.manifest["coding"]["penalty"]) if own is None else own


def take_apart(bundle: Bundle, text: str) -> "Decomposition":
    """Return the decomposition of a text at λ, from memory or from the model.

    Raises
    ------
    InputError
        The text is empty or too long, or the model is busy or cannot be loaded.
    """
    question = Question(text, penalty(bundle))
    own = live_model.of(bundle)
    if (known := own.answers.get(question)) is not None:
        return known
    from tfactors.decomposition import decompose

    note = st.empty()
    with live_model.using(bundle, note.caption) as encoder:
        answer = decompose(bundle, text, question.penalty, encoder)
    note.empty()
    own.remember(question, answer, _REMEMBERED)
    return answer


def path(bundle: Bundle, text: str, position: int, layer: int) -> pd.DataFrame:
    """Return penalty, factor, activation of one token at a layer over a range of λ."""
    question = PathQuestion(text, position, layer)
    own = live_model.of(bundle)
    if (known := own.answers.get(question)) is not None:
        return known
    from tfactors.decomposition import tokenize_checked

    built = float(bundle.manifest["coding"]["penalty"])
    penalties = np.geomspace(built / 5, built * 4, _PATH_STEPS)
    rows: list[dict[str, Any]] = []
    with live_model.using(bundle, lambda words: None) as encoder:
        token_ids, _, _ = tokenize_checked(text, encoder.model)
        state = encoder.states([token_ids], [layer])[0][position : position + 1]
        codes = None
        for value in penalties[::-1]:
            codes = encoder.coder.encode(state, float(value), encoder.tol, codes)
            rows += (
                {"penalty": float(value), "factor": int(factor), "activation": float(alpha)}
                for factor, alpha in zip(codes.indices, codes.data, strict=True)
            )
    table = pd.DataFrame(rows, columns=["penalty", "factor", "activation"])
    # A line needs its zeros as well, or it would end in the air.
    grid = table.pivot_table(index="penalty", columns="factor", values="activation", fill_value=0.0)
    grid = grid.reindex(penalties, fill_value=0.0).rename_axis("penalty")
    answer = grid.reset_index().melt("penalty", var_name="factor", value_name="activation")
    answer["factor"] = answer["factor"].astype(int)
    own.remember(question, answer, _REMEMBERED)
    return answer
