"""Turns raw hidden states into what is coded, z = s·x − b, and says what was taken away.

s is one number a layer, or √d over the state's own length; b is the baseline of the token and its
place (`tfactors.coding.baseline`), the ``b_dec`` of an imported autoencoder, or nothing. Here alone
either is subtracted. As a layer norm does it, x is first less the mean of its own d numbers:

    z = (x − x̄) / (σ + ε) − b,      σ² = ‖x − x̄‖² / (d − 1),  ε = 1e-5

which is how OpenAI's autoencoders, and SAELens's ``layer_norm``, read their states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfactors.coding.baseline import TokenBaseline

# The scales that give each state a number of its own.
BY_STATE = ("state", "norm")
EPSILON = np.float32(1e-5)


@dataclass(frozen=True)
class StateTransform:
    """How the hidden states of a bundle's layers become what is coded.

    Attributes
    ----------
    scale : mapping of int to float
        By layer: the number its states are multiplied by, or that number on average.
    by_length : bool
        Whether every state is divided by its own length, times √d.
    offset : (d,) float32 or None
        What is subtracted from scaled states; of imported autoencoders only.
    baseline : TokenBaseline or None
        What is subtracted by token and place.
    normed : bool
        Whether every state is less its own mean, over its own deviation.
    """

    scale: Mapping[int, float]
    by_length: bool = False
    offset: np.ndarray | None = None
    baseline: TokenBaseline | None = None
    normed: bool = False

    def multipliers(self, states: np.ndarray, layers: Sequence[int]) -> np.ndarray:
        """Return s of raw states (layers, n, d): (layers, n or 1, 1) float32."""
        if not (self.by_length or self.normed):
            return np.array([self.scale[layer] for layer in layers], np.float32)[:, None, None]
        if self.normed:
            deviation = states.std(axis=-1, ddof=1, keepdims=True, dtype=np.float32)
            return 1 / (deviation + EPSILON)
        squares = np.einsum("lnd,lnd->ln", states, states)
        lengths = np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
        return (np.float32(np.sqrt(states.shape[-1])) / lengths)[..., None]

    def means(self, states: np.ndarray) -> np.ndarray:
        """Return what is subtracted of raw states (layers, n, d) before they are scaled.

        It is the mean of each, (layers, n, 1), where they are normed, else 0, (1, 1, 1).
        """
        if not self.normed:
            return np.zeros((1, 1, 1), np.float32)
        return states.mean(axis=-1, keepdims=True, dtype=np.float32)

    def scale_states(self, states: np.ndarray, layers: Sequence[int]) -> None:
        """Turn raw states (layers, n, d) into s·x, in place."""
        multipliers = self.multipliers(states, layers)
        if self.normed:
            states -= self.means(states)
        states *= multipliers

    def own_part(
        self, token_ids: np.ndarray, places: np.ndarray, layers: Sequence[int]
    ) -> np.ndarray | None:
        """Return b of tokens (n,) at places (n,), (layers, n, d) or (d,); None where it is 0."""
        if self.baseline:
            return self.baseline.own_part(token_ids, places, layers)
        return self.offset

    def apply(
        self, states: np.ndarray, layers: Sequence[int], token_ids: np.ndarray, places: np.ndarray
    ) -> np.ndarray | None:
        """Turn raw states (layers, n, d) into z, in place, and return b, as `own_part`."""
        self.scale_states(states, layers)
        own = self.own_part(token_ids, places, layers)
        if own is not None:
            states -= own
        return own


def scaling(scale: Mapping[int, float], kind: str) -> StateTransform:
    """Return how states are scaled, before anything is subtracted of them.

    ``kind`` is ``state`` or ``norm``, or anything else for one number a layer.
    """
    return StateTransform(scale, by_length=kind == "state", normed=kind == "norm")
