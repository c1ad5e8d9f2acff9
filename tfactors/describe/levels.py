"""Turns importance curves, and what is left of activations, into levels: low, mid, high.

A factor's *peak layer* is where its importance is largest and its *depth* = peak layer / blocks.
What decides whether it fires? Its level says so, by what its strongest examples keep at that layer
(`tfactors.explain.elsewhere`):

    low    depth ≤ 1/3, or the same words at other places of the corpus keep 55 % or more, or 55 %
           or more of its examples stand in the same 8 tokens of their windows: the word or place
    high   otherwise, if the word's own sentence inside another text keeps less than half: the text
           beyond the sentence
    mid    otherwise: the sentence

The rule stands in for the 2021 authors' sorting by hand; docs/why/levels.md tells how often readers
agree with it. Bundles from before it have no such numbers, and an older rule: low by depth alone,
high if the sentence, cut out, retains less than half.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


LOW_DEPTH, WORD_SHARE, SENTENCE_SHARE = 1 / 3, 0.55, 0.5
# Depths are quotients: 2/6 and a threshold of 1/3 must compare equal however they were rounded.
ROUNDING = 1e-9


def peak_layers(importance: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """Return the layer at which each factor is most important; the lowest of equals.

    Parameters
    ----------
    importance : (m, L) float
        The importance of each factor at each layer.
    layers : sequence of int
        The L layers of the columns.

    Returns
    -------
    (m,) int16

    Examples
    --------
    >>> peak_layers(np.array([[3.0, 1.0, 2.0], [0.0, 1.0, 5.0]]), layers=[0, 2, 4])
    array([0, 4], dtype=int16)
    """
    return np.asarray(layers, np.int16)[np.argmax(importance, axis=1)]


def depths(peak: np.ndarray, blocks: int) -> np.ndarray:
    """Return peak layer / number of blocks, (m,) float64: 0 the embeddings, 1 the last block."""
    return np.asarray(peak, np.float64) / blocks


@dataclass(frozen=True)
class Thresholds:
    """Where the levels part.

    Attributes
    ----------
    low_depth : float
        Factors that peak at this depth or below are low.
    word_share : float or None
        Of the word, and of the place; None in the older rule, which asks no such thing.
    sentence_share : float
        Factors whose sentence keeps less are high.
    """

    low_depth: float = LOW_DEPTH
    word_share: float | None = WORD_SHARE
    sentence_share: float = SENTENCE_SHARE

    @property
    def sentence_column(self) -> str:
        """The column of factors.parquet that ``sentence_share`` is a threshold of."""
        return "retained_sentence" if self.word_share is None else "sentence_elsewhere"


def classify(
    depth: np.ndarray,
    word: np.ndarray,
    sentence: np.ndarray,
    thresholds: Thresholds = Thresholds(),
) -> np.ndarray:
    """Return the level of each factor by the rule above.

    Parameters
    ----------
    depth : (m,) float
        In 0 … 1; NaN for a dead factor.
    word : (m,) float
        What the same words keep elsewhere, or the share of the examples at one place where that is
        more, in 0 … 1; NaN where neither is known. The older rule makes no use of it.
    sentence : (m,) float
        The column that the thresholds name, in 0 … 1; NaN where it was not measured: a dead
        factor, or published examples without their model.
    thresholds : Thresholds
        Where the levels part.

    Returns
    -------
    (m,) str
        ``low``, ``mid``, ``high``, and ``""`` where a number that is needed is NaN.

    Examples
    --------
    >>> depth = np.array([0.2, 0.9, 0.9, 0.9])
    >>> word, sentence = np.array([0.1, 0.7, 0.2, 0.2]), np.array([1.0, 0.9, 0.8, 0.3])
    >>> classify(depth, word, sentence).tolist()
    ['low', 'low', 'mid', 'high']
    """
    depth, word, sentence = (np.asarray(a, np.float64) for a in (depth, word, sentence))
    level = np.where(sentence < thresholds.sentence_share, "high", "mid")
    level = np.where(np.isnan(depth) | np.isnan(sentence), "", level)
    low = depth <= thresholds.low_depth + ROUNDING
    if thresholds.word_share is not None:
        low |= ~np.isnan(depth) & (word >= thresholds.word_share)
    return np.where(low, "low", level)


def levels_of(factors: "pd.DataFrame", thresholds: Thresholds) -> np.ndarray:
    """Return the level of each row of a bundle's ``factors``, (m,), as `classify`."""
    depth, word, place, sentence = (
        factors[name].to_numpy(dtype=np.float64)
        for name in ("depth", "word_elsewhere", "same_place", thresholds.sentence_column)
    )
    return classify(depth, np.fmax(word, place), sentence, thresholds)
