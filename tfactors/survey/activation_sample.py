"""Activations of every factor at one layer, drawn at random while the corpus goes by.

Turns codes, batch by batch, into S activations above 0 of each factor, each set of S as likely as
any other. Every activation gets a number that follows from its window, position, factor and layer
(`tfactors.text.place_hash`), and the S smallest numbers are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from tfactors import ragged
from tfactors.text.place_hash import NO_SALT, SPLITMIX64, scramble

# Activations drawn of each factor, and how many of them a bundle holds at other layers than the
# factor's peak, where fewer people look.
SAMPLE = 40
SAMPLE_ELSEWHERE = 15

_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass
class ActivationSample:
    """The running state of one layer: S draws of each of m factors.

    Attributes
    ----------
    layer : (1,) int64
    numbers : (m, S) uint64
        The number of a draw; 2⁶⁴ − 1 in an empty slot.
    windows : (m, S) int32
    positions : (m, S) int16
    words : (m, S) int32
        The number of the word.
    activations : (m, S) float32
    """

    layer: np.ndarray
    numbers: np.ndarray
    windows: np.ndarray
    positions: np.ndarray
    words: np.ndarray
    activations: np.ndarray

    @classmethod
    def empty(cls, layer: int, factors: int, sample: int = SAMPLE) -> ActivationSample:
        """Return the state before the first token."""
        shape = (factors, sample)
        return cls(
            np.full(1, layer, np.int64),
            np.full(shape, _NONE),
            np.zeros(shape, np.int32),
            np.zeros(shape, np.int16),
            np.zeros(shape, np.int32),
            np.zeros(shape, np.float32),
        )

    def add(
        self, codes: csr_array, windows: np.ndarray, positions: np.ndarray, words: np.ndarray
    ) -> None:
        """Take in the codes (n, m) of some tokens; where they stand and their words are (n,)."""
        draws = self.numbers, self.windows, self.positions, self.words, self.activations
        tokens = windows, positions, words
        _draw(codes.indptr, codes.indices, codes.data, tokens, self.layer[0], draws)

    def merge(self, other: ActivationSample, words: np.ndarray) -> None:
        """Take in the draws of another part of the corpus.

        Parameters
        ----------
        other : ActivationSample
            The draws of that part, of the same layer.
        words : (words of other,) integers
            The numbers that its words have here; none where they have the same.
        """
        if len(words):
            other = replace(other, words=words[other.words].astype(np.int32))
        numbers = np.concatenate([self.numbers, other.numbers], axis=1)
        order = np.argsort(numbers, axis=1)[:, : self.numbers.shape[1]]
        for name in ("numbers", "windows", "positions", "words", "activations"):
            both = np.concatenate([getattr(self, name), getattr(other, name)], axis=1)
            setattr(self, name, np.take_along_axis(both, order, 1))

    def draws_of(self, factor: int, most: int = SAMPLE) -> tuple[np.ndarray, ...]:
        """Return a factor's draws, strongest first.

        Parameters
        ----------
        factor : int
            Which factor.
        most : int
            Draws to return at most. The quantile is that in the whole sample all the same: the
            share of its activations that are at most as large.

        Returns
        -------
        window, position, word, activation, quantile : (draws,) arrays
        """
        order = np.argsort(self.numbers[factor])
        order = order[self.numbers[factor][order] != _NONE]
        everything = np.sort(self.activations[factor][order])
        order = order[:most]
        place = self.windows[factor][order], self.positions[factor][order]
        activation = self.activations[factor][order]
        quantile = np.searchsorted(everything, activation, side="right") / max(len(everything), 1)
        ranked = np.lexsort((*place[::-1], -activation))
        columns = (*place, self.words[factor][order], activation, quantile.astype(np.float32))
        return tuple(column[ranked] for column in columns)


def samples_table(
    sample: ActivationSample, vocabulary: np.ndarray, at_peak: np.ndarray
) -> pa.Table:
    """Return the rows of samples.parquet of one layer.

    Parameters
    ----------
    sample : ActivationSample
        The draws of the layer.
    vocabulary : (words,) strings
        The words by number.
    at_peak : (m,) bool
        Which factors peak at this layer.
    """
    most = np.where(at_peak, SAMPLE, SAMPLE_ELSEWHERE)
    draws = [sample.draws_of(factor, most[factor]) for factor in range(len(most))]
    sizes = [len(windows) for windows, *_ in draws]
    window, position, word, activation, quantile = map(np.concatenate, zip(*draws, strict=True))
    columns = {
        "factor": ragged.owners(sizes).astype(np.int32),
        "layer": np.full(len(window), sample.layer[0], np.int16),
        "rank": ragged.spans(0, sizes).astype(np.int16),
        "window": window,
        "position": position,
        "word": pa.array(vocabulary[word], pa.string()),
        "activation": activation,
        "quantile": quantile,
    }
    return pa.table(columns)


_scramble = numba.njit(cache=True, nogil=True)(scramble)


@numba.njit(cache=True, nogil=True)
def _draw(indptr, indices, data, tokens, layer, draws):  # type: ignore[no-untyped-def]
    """Keep the activations of each factor that have the smallest numbers."""
    row_windows, row_positions, row_words = tokens
    numbers, windows, positions, words, activations = draws
    m = len(numbers)
    salt, last = np.empty(m, np.uint64), np.empty(m, np.int64)
    for c in range(m):
        of_factor = np.uint64(layer) << np.uint64(32) | np.uint64(c)
        salt[c] = _scramble(of_factor + np.uint64(1), NO_SALT, SPLITMIX64)
        last[c] = numbers[c].argmax()
    for row in range(len(indptr) - 1):
        place = np.uint64(row_windows[row]) << np.uint64(16) | np.uint64(row_positions[row])
        for i in range(indptr[row], indptr[row + 1]):
            c = indices[i]
            number = _scramble(place, salt[c], SPLITMIX64)
            slot = last[c]
            if number < numbers[c, slot]:
                numbers[c, slot], windows[c, slot] = number, row_windows[row]
                positions[c, slot], words[c, slot] = row_positions[row], row_words[row]
                activations[c, slot] = data[i]
                last[c] = numbers[c].argmax()
