"""Activations of every factor at one layer, drawn at random while the corpus goes by.

In come codes, batch by batch; out come, for each factor, S of its activations above 0, each set of
S as likely as any other. Every activation gets a number that looks random but follows from where it
stands (a hash of window, position, factor and layer), and the S smallest numbers are kept. So no
state of a random generator has to be saved, and neither the batches nor the order in which parts
of a corpus are read changes what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """The running state of one layer: S draws a factor."""

    layer: np.ndarray  # (1,) int64
    numbers: np.ndarray  # (m, S) uint64: the number of a draw, 2^64 − 1 in an empty slot
    windows: np.ndarray  # (m, S) int32
    positions: np.ndarray  # (m, S) int16
    words: np.ndarray  # (m, S) int32: the number of the word
    activations: np.ndarray  # (m, S) float32

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
        kept = self.numbers, self.windows, self.positions, self.words, self.activations
        tokens = windows, positions, words
        _draw(codes.indptr, codes.indices, codes.data, tokens, self.layer[0], kept)

    def merge(self, other: ActivationSample, words: np.ndarray) -> None:
        """Take in what another part of the corpus gave; ``words`` renumbers its words, (words,)."""
        if len(words):
            other.words = words[other.words].astype(np.int32)
        numbers = np.concatenate([self.numbers, other.numbers], axis=1)
        order = np.argsort(numbers, axis=1)[:, : self.numbers.shape[1]]
        for name in ("numbers", "windows", "positions", "words", "activations"):
            both = np.concatenate([getattr(self, name), getattr(other, name)], axis=1)
            setattr(self, name, np.take_along_axis(both, order, 1))

    def drawn(self, factor: int, most: int = SAMPLE) -> tuple[np.ndarray, ...]:
        """Return a factor's draws, strongest first: window, position, word, activation, quantile.

        With fewer than there are, the quantile still is that in the whole sample: the share of its
        activations that are at most as large.
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


def table(sample: ActivationSample, vocabulary: np.ndarray, at_peak: np.ndarray) -> pa.Table:
    """Return the rows of samples.parquet of one layer.

    ``vocabulary`` holds the words by number; ``at_peak`` (m,) says which factors peak here.
    """
    most = np.where(at_peak, SAMPLE, SAMPLE_ELSEWHERE)
    drawn = [sample.drawn(factor, most[factor]) for factor in range(len(most))]
    sizes = [len(windows) for windows, *_ in drawn]
    window, position, word, activation, quantile = map(np.concatenate, zip(*drawn, strict=True))
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
def _draw(indptr, indices, data, tokens, layer, kept):  # type: ignore[no-untyped-def]
    """Keep the activations of each factor that have the smallest numbers."""
    row_windows, row_positions, row_words = tokens
    numbers, windows, positions, words, activations = kept
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
