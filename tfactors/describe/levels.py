"""Turns numbers about all activations of a factor into its level: low, mid, high.

A factor's *peak layer* is where its importance is largest and its *depth* = peak layer / blocks.
What decides whether it fires there? Its level says so, by how many words it fires on and by how
much of its variance lies between windows (`tfactors.survey.variance_shares`):

    high   15 % or more of its variance lies between windows, or 6 % where its strongest examples
           spread on more than 4.5 words (effective number); and its activation spreads on 3
           windows or more: the same texts, at whichever word
    low    otherwise, if these examples spread on no more than 4.5 words: one word or a few
    mid    otherwise: many words, in whatever text

The rule stands in for the 2021 authors' sorting by hand; docs/why/levels.md tells what became of
others. Bundles from before it have no such numbers, and keep the rule of their time:

    2026   low by depth, or where the words or the place of the ten strongest examples keep 55 % or
           more at other places; high where their sentence keeps less than half in another text
    2021   low by depth alone; high where the sentence, cut out, keeps less than half
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


LOW_WORDS, WINDOW_SHARE, FEW_WORDS_SHARE, FEWEST_WINDOWS = 4.5, 0.06, 0.15, 3.0
# Of the older rules.
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
    low_words : float
        Factors whose activation spreads on so many words or fewer are low.
    window_share : float
        Of the others, those of whose variance so much or more lies between windows are high.
    few_words_share : float or None
        Factors of few words are high as well where so much or more does; None, in bundles from
        before November 26, 2026: never.
    """

    low_words: float = LOW_WORDS
    window_share: float = WINDOW_SHARE
    few_words_share: float | None = FEW_WORDS_SHARE


@dataclass(frozen=True)
class OlderThresholds:
    """Where the levels part in bundles from before the rule above.

    Attributes
    ----------
    low_depth : float
        Factors that peak at this depth or below are low.
    word_share : float or None
        Factors are low too whose words or place keep so much; None in the rule of 2021, which asks
        no such thing.
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
    words: np.ndarray,
    window_share: np.ndarray,
    windows: np.ndarray,
    thresholds: Thresholds = Thresholds(),
) -> np.ndarray:
    """Return the level of each factor by the rule above.

    Parameters
    ----------
    words, windows : (m,) float
        The effective numbers of words and windows that its activation spreads on; NaN where it was
        active too seldom to tell.
    window_share : (m,) float
        The share of its variance that lies between windows, in 0 … 1; NaN likewise.
    thresholds : Thresholds
        Where the levels part.

    Returns
    -------
    (m,) str
        ``low``, ``mid``, ``high``, and ``""`` where a number that is needed is NaN.

    Examples
    --------
    >>> words = np.array([1.2, 40, 40, 40, 1.2])
    >>> share = np.array([0.07, 0.02, 0.07, 0.3, 0.3])
    >>> classify(words, share, windows=np.array([50, 50, 50, 1.1, 50])).tolist()
    ['low', 'mid', 'high', 'mid', 'high']
    """
    words, share, windows = (np.asarray(a, np.float64) for a in (words, window_share, windows))
    few = words <= thresholds.low_words
    for_few = np.inf if thresholds.few_words_share is None else thresholds.few_words_share
    by_window = share >= np.where(few, for_few, thresholds.window_share)
    level = np.where(few, "low", np.where(np.isnan(words + share + windows), "", "mid"))
    return np.where(by_window & (windows >= FEWEST_WINDOWS), "high", level)


def levels_of(factors: "pd.DataFrame", thresholds: Thresholds | OlderThresholds) -> np.ndarray:
    """Return the level of each row of a bundle's ``factors``, (m,), by the rule of its bundle."""

    def column(name: str) -> np.ndarray:
        return factors[name].to_numpy(dtype=np.float64)

    if isinstance(thresholds, Thresholds):
        words, windows = column("effective_words"), column("effective_windows")
        return classify(words, column("window_share"), windows, thresholds)
    depth, sentence = column("depth"), column(thresholds.sentence_column)
    level = np.where(sentence < thresholds.sentence_share, "high", "mid")
    level = np.where(np.isnan(depth) | np.isnan(sentence), "", level)
    low = depth <= thresholds.low_depth + ROUNDING
    if thresholds.word_share is not None:
        kept = np.fmax(column("word_elsewhere"), column("same_place"))
        low |= ~np.isnan(depth) & (kept >= thresholds.word_share)
    return np.where(low, "low", level)


def deciding_parts(token: float, window: float, sentence: float) -> dict[str, float]:
    """Return what decides an activation as parts of its variance, 0 or more and 1 in all.

    Parameters
    ----------
    token, window, sentence : float
        The columns ``token_share``, ``window_share`` and ``sentence_share``, in 0 … 1. They
        overlap: a word is commoner in some texts, and a sentence shows both its words and what its
        text is about.

    Returns
    -------
    dict of float
        ``word`` (token), ``sentence`` (what sentence exceeds word and window by), ``window`` (at
        most what the word leaves) and ``rest``.

    Examples
    --------
    >>> deciding_parts(0.5, 0.125, 0.75)
    {'word': 0.5, 'sentence': 0.125, 'window': 0.125, 'rest': 0.25}
    >>> deciding_parts(0.75, 0.5, 0.25)
    {'word': 0.75, 'sentence': 0.0, 'window': 0.25, 'rest': 0.0}
    """
    window = min(window, 1 - token)
    beyond = max(0.0, sentence - token - window)
    rest = max(0.0, 1 - token - window - beyond)
    return {"word": token, "sentence": beyond, "window": window, "rest": rest}
