"""Where an activation comes from, asked of the model once and remembered.

Turns a question (which factor of which text, where, at which λ) into its graph and into the check
of it. A move of what is kept of the graph asks nothing.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tfactors.app.parts import live_model
from tfactors.bundle import Bundle
from tfactors.errors import InputError

if TYPE_CHECKING:
    from tfactors.explain.origin_graph import OriginGraph


_REMEMBERED = 12  # graphs, of some 1 MB each where the text is long


@dataclass(frozen=True)
class Question:
    """An activation; equal questions have equal answers."""

    text: str
    position: int
    factor: int
    layer: int
    penalty: float


@dataclass(frozen=True)
class Origins:
    """Where an activation comes from.

    Attributes
    ----------
    graph : OriginGraph
        Layer by layer, nothing left out yet.
    check : DataFrame
        As `tfactors.explain.origin_check.check_origin`.
    """

    graph: "OriginGraph"
    check: pd.DataFrame


def origins_of(bundle: Bundle, question: Question) -> Origins:
    """Return the answer, from memory or from the model, with its progress meanwhile.

    Raises
    ------
    InputError
        The model is busy, cannot be loaded or does not run on from changed states; the layer is
        the lowest; the factor is silent; or the sums miss more than a tenth.
    """
    live = live_model.model_of(bundle)
    if (answer := live.answers.get(question)) is not None:
        return answer
    note = st.empty()
    try:
        with live_model.borrowed_encoder(bundle, note.caption) as shared:
            from tfactors.explain.encoder import tokenize_checked
            from tfactors.explain.origin_check import check_origin
            from tfactors.explain.origin_graph import trace_tokens

            def tell(done: int, steps: int) -> None:
                said = f"Following it down: layer {done + 1} of {steps}"
                note.progress((done + 1) / (steps + 1), said)

            note.progress(0.0, "Asking what it was made from")
            encoder = replace(shared, penalty=question.penalty)
            token_ids, tokens, _ = tokenize_checked(question.text, encoder.model)
            activation = (question.position, question.factor, question.layer)
            check = check_origin(encoder, token_ids, tokens, *activation)
            graph = trace_tokens(encoder, token_ids, tokens, *activation, tell)
    except InputError:
        note.empty()
        raise
    note.empty()
    answer = Origins(graph, check)
    live.remember(question, answer, _REMEMBERED)
    return answer
