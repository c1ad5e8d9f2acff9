"""Turns the strongest examples of factors into the words of each: its own, and those around it.

A factor's own words are those on which its examples stand; near it are the content words among the
NEAR words on each side of them. Both are counted by stem, as the share of its examples that have
it. The map lays factors out by them, and its regions are named by them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from tfactors import ragged
from tfactors.describe.text_words import TextWords
from tfactors.describe.word_bags import WordBags, content_stems

# Examples whose surroundings are looked up at once.
_AT_ONCE = 100_000


@dataclass(frozen=True)
class FactorTexts:
    """The words of m factors, by stem.

    Attributes
    ----------
    own, near : (m, stems) csr_array
        The share of a factor's examples that stand on a stem, and near which it stands.
    examples : (m,) int
        How many examples each factor has.
    usual : (stems,) float
        The share of all examples near which a stem stands.
    words : (stems,) object array of str
        The commonest word of each stem.
    """

    own: csr_array
    near: csr_array
    examples: np.ndarray
    usual: np.ndarray
    words: np.ndarray

    @classmethod
    def of(
        cls,
        text: TextWords,
        factors: np.ndarray,
        windows: np.ndarray,
        positions: np.ndarray,
        m: int,
    ) -> FactorTexts:
        """Return the words of m factors whose examples stand at some places of a text.

        Parameters
        ----------
        text : TextWords
            The text, with all windows of the examples.
        factors, windows, positions : (n,) int
            Whose example each one is, and where it stands.
        m : int
            How many factors there are.
        """
        words, content = text.words_at(windows, positions), content_stems(text)
        examples = np.bincount(factors, minlength=m)
        own = _counts(factors, text.stems.codes[words], (m, len(content)))
        near = csr_array((m, len(content)))
        for first in range(0, len(words), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            around = WordBags(text, windows[rows], words[rows], content).near_stems()
            owner = factors[rows][ragged.owners(np.diff(around.indptr))]
            near += _counts(owner, around.indices, near.shape)
        usual = np.asarray(near.sum(axis=0)).ravel() / max(len(words), 1)
        share = 1 / np.maximum(examples, 1)
        return cls(
            own=_scaled_rows(own, share),
            near=_scaled_rows(near, share),
            examples=examples,
            usual=usual,
            words=text.commonest_words(),
        )

    def part(self, rows: np.ndarray) -> FactorTexts:
        """Return the words of some factors alone."""
        return FactorTexts(
            self.own[rows], self.near[rows], self.examples[rows], self.usual, self.words
        )


def _counts(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def _scaled_rows(rows: csr_array, factors: np.ndarray) -> csr_array:
    data = rows.data * factors[ragged.owners(np.diff(rows.indptr))]
    return csr_array((data, rows.indices, rows.indptr), shape=rows.shape)


def directions(shares: csr_array) -> csr_array:
    """Return words as directions of norm 1, words that few factors have counting more."""
    factors = np.bincount(shares.indices, minlength=shares.shape[1])
    rarity = np.log(shares.shape[0] / np.maximum(factors, 1))
    weights = np.sqrt(shares.data * rarity[shares.indices])
    owner = ragged.owners(np.diff(shares.indptr))
    length = np.sqrt(np.bincount(owner, weights**2, minlength=shares.shape[0]))
    weights = (weights / np.maximum(length, 1e-12)[owner]).astype(np.float32)
    return csr_array((weights, shares.indices, shares.indptr), shape=shares.shape)
