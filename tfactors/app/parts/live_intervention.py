"""Interventions on demand: a factor of a text moved in the model, and the answer remembered.

Turns a question (which factor of which text, where, by how much) into an
:class:`tfactors.explain.intervention.Intervention`. What the model makes of the text with nothing
moved is remembered too: a move of λ asks about the same text again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from tfactors.app.parts import live_model
from tfactors.bundle import Bundle

if TYPE_CHECKING:
    import numpy as np

    from tfactors.explain.intervention import Intervention, Unmoved


_REMEMBERED = 40  # answers of some 50 kB each
_UNMOVED = 12  # states of at most 2 MB each for MiniLM


@dataclass(frozen=True)
class Question:
    """What is to be moved; equal questions have equal answers.

    ``text`` is a reader's own. It is empty where ``window`` is one of the bundle. ``position`` is
    None for every token.
    """

    text: str
    window: int
    other: str
    factor: int
    layer: int
    position: int | None
    times: float
    penalty: float


@dataclass(frozen=True)
class UnmovedQuestion:
    """A text, as the bytes of its token ids, to be read with nothing moved."""

    token_ids: bytes
    layer: int


def intervention_of(bundle: Bundle, question: Question) -> "Intervention":
    """Return the answer, from memory or from the model, with words meanwhile.

    Raises
    ------
    InputError
        The model is busy or cannot be loaded, or a text is empty or too long.
    """
    live = live_model.model_of(bundle)
    if (answer := live.answers.get(question)) is not None:
        return answer
    note = st.empty()
    with live_model.borrowed_encoder(bundle, note.caption) as encoder:
        from tfactors.explain.encoder import tokenize_checked
        from tfactors.explain.intervention import Move, intervene_tokens, read_unmoved

        def read(token_ids: "np.ndarray", layer: int) -> "Unmoved":
            text = UnmovedQuestion(token_ids.tobytes(), layer)
            if (states := live.answers.get(text)) is None:
                states = read_unmoved(encoder, token_ids, layer)
                live.remember(text, states, _UNMOVED)
            return states

        ids: np.ndarray
        tokens: list[str]
        if question.text:
            ids, tokens, _ = tokenize_checked(question.text, encoder.model)
        else:
            window = bundle.windows([question.window]).iloc[0]
            ids, tokens = window["token_ids"], window["tokens"]
        other = tokenize_checked(question.other, encoder.model)[0] if question.other else None
        move = Move(
            factor=question.factor,
            layer=question.layer,
            position=question.position,
            times=question.times,
            penalty=question.penalty,
        )
        intervention = intervene_tokens(encoder, ids, tokens, move, other, read)
    note.empty()
    live.remember(question, intervention, _REMEMBERED)
    return intervention
