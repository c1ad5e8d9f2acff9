"""Turns texts into what is coded of them: hidden states, scaled, less their baseline."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfactors.model.hidden_states import Model
from tfactors.ragged import spans

if TYPE_CHECKING:
    from tfactors.coding.state_transform import StateTransform


def read_states(
    model: Model,
    transform: "StateTransform",
    texts: Sequence[np.ndarray],
    layers: Sequence[int],
    positions: Sequence[int] | None = None,
    starts: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return z = s·x − b of texts, and what of b each token brings of its own.

    Parameters
    ----------
    model : Model
        Reads the texts.
    transform : StateTransform
        Says s and b.
    texts, layers, positions, starts
        As for `Model.hidden_states`.

    Returns
    -------
    states : (len(layers), rows, d) float32
    own : (len(layers), rows, d) float32 or None
        None where nothing is subtracted by token, be it that an autoencoder's bias is.
    """
    states = model.hidden_states(texts, layers, positions, starts)
    token_ids, places = tokens_and_places(model, texts, positions, starts)
    own = transform.apply(states, layers, token_ids, places)
    return states, own if transform.baseline else None


def tokens_and_places(
    model: Model,
    texts: Sequence[np.ndarray],
    positions: Sequence[int] | None = None,
    starts: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return of each row of `read_states` the token, and the place where the model reads it.

    Both are (rows,) int64.
    """
    firsts = [0] * len(texts) if starts is None or not model.keeps_positions else starts
    if positions is not None:
        read = [text[position] for text, position in zip(texts, positions, strict=True)]
        return np.asarray(read, np.int64), np.add(firsts, positions, dtype=np.int64)
    tokens = np.concatenate([np.zeros(0, np.int64), *texts]).astype(np.int64)
    return tokens, spans(firsts, [len(text) for text in texts])
