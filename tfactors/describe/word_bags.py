"""Turns the words around tokens into what they are about: words frequent there and not elsewhere.

A bag is the set of content words (by stem) of a token's window, or of the NEAR words on each side
of it. Of w bags around a factor's strong tokens, x hold a word that a share p of all bags holds.
With a prior of the strength A the share among them is

    q = (x + A·p) / (w + A)

and the words with the largest q · log (q / p), which are both frequent there and seldom elsewhere,
are what they are about. Bags of one window say the same, so w and x are effective numbers.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csc_array, csr_array

from tfactors import ragged
from tfactors.describe.text_words import TextWords
from tfactors.describe.word_classes import is_content

# Words on each side of a token that are near it.
NEAR = 10
# A word must be in the bags of so many windows, with at least twice the odds of elsewhere.
FEWEST_WINDOWS = 3
LEAST_ODDS = np.log(2.0)
PRIOR = 8.0
# A stem is content if most of its words are, and it has so many letters.
STEM_LETTERS = 3
# Where shares of bags of near words are counted.
NEAR_SAMPLE = 40_000
MOST_COUNTED = 9


def content_stems(text: TextWords) -> np.ndarray:
    """Return which stems say what a text is about, (stems,) bool."""
    content = np.array([is_content(name) for name in text.classes.texts], bool)
    stems = len(text.stems.texts)
    of_content = np.bincount(text.stems.codes, content[text.classes.codes], minlength=stems)
    long = np.array([len(stem) >= STEM_LETTERS for stem in text.stems.texts], bool)
    return long & (of_content > np.bincount(text.stems.codes, minlength=stems) / 2)


class WordBags:
    """The bags of n tokens: of their windows, and of the words near them.

    Parameters
    ----------
    text : TextWords
        The text that they stand in.
    windows, words : (n,) int
        The number of each token's window, and of its word in the text.
    content : (stems,) bool
        The stems that a bag holds.

    Attributes
    ----------
    row : (n,) int
        Which of its windows each token stands in, counted from the first that has one.
    window_count : int
        How many windows that are.
    """

    def __init__(
        self, text: TextWords, windows: np.ndarray, words: np.ndarray, content: np.ndarray
    ) -> None:
        self._content = content
        numbers, self.row = np.unique(windows, return_inverse=True)
        self.window_count = len(numbers)
        at = np.searchsorted(text.windows, numbers)
        first, self._sizes = text.window_words[at], np.diff(text.window_words)[at]
        # The words of these windows alone, one window after another.
        self._stems = text.stems.codes[ragged.spans(first, self._sizes)]
        edges = ragged.offsets(self._sizes)
        self._word = words - first[self.row] + edges[self.row]
        self._first = np.maximum(edges[self.row], self._word - NEAR)
        self._stop = np.minimum(edges[self.row + 1], self._word + NEAR + 1)

    @cached_property
    def _of_windows(self) -> csc_array:
        """Ones where a window has a stem, (windows, stems)."""
        owner = ragged.owners(self._sizes)
        return csc_array(self._ones(owner, self._stems, self.window_count))

    @cached_property
    def window_share(self) -> np.ndarray:
        """The share of windows that have each stem, and one more that has all, (stems,) float.

        What none of few windows holds is rare, and not impossible.
        """
        return (self._of_windows.sum(axis=0) + 1) / (self.window_count + 1)

    @cached_property
    def _near_share(self) -> np.ndarray:
        step = max(1, len(self._word) // NEAR_SAMPLE)
        rows = np.arange(0, len(self._word), step)
        return self._near(rows).sum(axis=0) / max(len(rows), 1)

    @cached_property
    def _by_row(self) -> csr_array:
        return csr_array(self._of_windows)

    def _ones(self, rows: np.ndarray, stems: np.ndarray, height: int) -> csr_array:
        keep = self._content[stems]
        key = np.unique(rows[keep].astype(np.int64) * len(self._content) + stems[keep])
        place = key // len(self._content), key % len(self._content)
        return csr_array((np.ones(len(key)), place), shape=(height, len(self._content)))

    def _near(self, rows: np.ndarray) -> csr_array:
        """Return ones where a stem is near a token, its own word aside, (rows, stems)."""
        sizes = self._stop[rows] - self._first[rows]
        words = ragged.spans(self._first[rows], sizes)
        owner = ragged.owners(sizes)
        other = words != self._word[rows][owner]
        return self._ones(owner[other], self._stems[words[other]], len(rows))

    def window_topic(self, rows: np.ndarray) -> np.ndarray:
        """Return the stems that the windows of some tokens are about, the best first."""
        return telling(*self.window_bags(rows), self.window_share)

    def window_bags(self, rows: np.ndarray) -> tuple[csr_array, np.ndarray]:
        """Return the bags of the windows of some tokens, and how much each counts."""
        windows, number = np.unique(self.row[rows], return_counts=True)
        return self._by_row[windows], np.sqrt(number)

    def near_topic(self, rows: np.ndarray) -> np.ndarray:
        """Return the stems that stand near some tokens more than elsewhere, the best first."""
        _, window, number = np.unique(self.row[rows], return_inverse=True, return_counts=True)
        return telling(self._near(rows), 1 / np.sqrt(number[window]), self._near_share)

    def near_stems(self) -> csr_array:
        """Return ones where a stem is near a token, its own word aside, (n, stems)."""
        return self._near(np.arange(len(self._word)))

    def in_windows(self, stems: np.ndarray) -> np.ndarray:
        """Return how many of some stems each window has, (windows,) int."""
        return np.asarray(self._of_windows[:, stems].sum(axis=1)).astype(np.int64)

    def in_window(self, stems: np.ndarray) -> np.ndarray:
        """Return how many of some stems each token's window has, (n,) int."""
        return self.in_windows(stems)[self.row]

    def near(self, stems: np.ndarray) -> np.ndarray:
        """Return how many words of some stems are near each token, (n,) int."""
        listed = np.zeros(len(self._content), bool)
        listed[stems] = True
        before = np.zeros(len(self._stems) + 1, np.int32)
        np.cumsum(listed[self._stems], out=before[1:])
        number = before[self._stop] - before[self._first] - listed[self._stems[self._word]]
        return np.minimum(number, MOST_COUNTED)


def telling(
    bags: csr_array, weights: np.ndarray, share: np.ndarray, fewest: int = FEWEST_WINDOWS
) -> np.ndarray:
    """Return the stems that bags hold more often than others do, the most telling first.

    Parameters
    ----------
    bags : (b, stems) csr_array
        Ones where a bag holds a stem.
    weights : (b,) float
        How much a bag counts.
    share : (stems,) float
        The share of all bags that hold a stem.
    fewest : int
        How many of the bags hold it at least.
    """
    if not len(weights):
        return np.zeros(0, np.int64)
    effective = weights.sum() ** 2 / (weights**2).sum()
    stems = np.flatnonzero(np.bincount(bags.indices, minlength=len(share)) >= fewest)
    holding = effective / weights.sum() * (bags.T @ weights)[stems]
    p = np.clip(share[stems], 1e-9, 1 - 1e-9)
    q = (holding + PRIOR * p) / (effective + PRIOR)
    odds = np.log(q / (1 - q)) - np.log(p / (1 - p))
    order = np.lexsort((stems, -q * np.log(q / p)))
    return stems[order][odds[order] >= LEAST_ODDS]
