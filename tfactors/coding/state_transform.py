"""Turns raw hidden states into what is coded, z = s·x − b, and says what was taken away.

s is one number a layer, or √d over the state's own length; b is the baseline of the token and its
place (`tfactors.coding.baseline`), the ``b_dec`` of an imported autoencoder, or nothing. Here alone
either is subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfactors.coding.baseline import TokenBaseline


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
    """

    scale: Mapping[int, float]
    by_length: bool = False
    offset: np.ndarray | None = None
    baseline: TokenBaseline | None = None

    def multipliers(self, states: np.ndarray, layers: Sequence[int]) -> np.ndarray:
        """Return s of raw states (layers, n, d): (layers, n or 1, 1) float32."""
        if not self.by_length:
            return np.array([self.scale[layer] for layer in layers], np.float32)[:, None, None]
        squares = np.einsum("lnd,lnd->ln", states, states)
        lengths = np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
        return (np.float32(np.sqrt(states.shape[-1])) / lengths)[..., None]

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
        states *= self.multipliers(states, layers)
        own = self.own_part(token_ids, places, layers)
        if own is not None:
            states -= own
        return own
