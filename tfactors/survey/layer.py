"""What one pass over the corpus finds at one layer, in arrays of a fixed size.

Turns codes (n, m) of batch after batch into what each factor c does:

    importance   the mean of the K largest activations
    density      the share of tokens with α_c > 0
    maximum      the largest activation
    histogram    how many activations are of which size
    examples     the largest activation of each of the windows where the factor is strongest
    word index   how often and how strongly it is active on which word

It takes a heap a factor, and a word table that forgets its rarest entries when it is full (lossy
counting, Manku & Motwani 2002).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from tfactors.survey.kernel import (
    EMPTY,
    collect_examples,
    count_entries,
    flush,
    index_words,
    merge_words,
    push_all,
)

# Four bins an octave from 0.05 to 51.2; the first bin also takes what is smaller, the last what is
# larger. With hidden states of norm √d an activation above 50 does not occur for d ≤ 4,096.
BIN_EDGES = 0.05 * 2.0 ** (np.arange(41) / 4)
# Memory of the word table, all layers together.
WORD_TABLE_BYTES = 320 * 2**20
BYTES_A_WORD = 20
# The word index keeps this many words a factor and layer, and factors a frequent word and layer.
WORDS_PER_FACTOR = 30
FACTORS_PER_WORD = 10
FREQUENT_WORD = 20

# Sums of the word table are whole numbers of this unit: exact in any order, up to 10¹¹.
WORD_UNIT = 2.0**-24

_FACTOR_BITS = 24


@dataclass
class LayerSurvey:
    """The running state of one layer (m factors, K values, E examples, a word table of C slots).

    Attributes
    ----------
    top_values : (m, K) float32
        The K largest activations, a min-heap a factor.
    example_values : (m, E) float32
        The activations of the examples, a min-heap a factor, one entry a window.
    example_windows, example_positions, example_words : (m, E) int32, int16, int32
        Where the examples stand, and the numbers of their words; window −1 where there is none yet.
    pending_values : (m,) float32
        The best activation of the window that is being read.
    pending_windows, pending_positions, pending_words : (m,) int32, int16, int32
        Where that stands, and the number of its word.
    active : (m,) int64
        Tokens with α_c > 0.
    histogram : (m, bins) int32
    word_keys : (C,) uint64
        Word << 24 | factor.
    word_counts : (C,) int32
    word_sums : (C,) int64
        Summed activations in units of WORD_UNIT.
    word_state : (2,) int64
        Used slots, and the largest count forgotten so far.
    """

    top_values: np.ndarray
    example_values: np.ndarray
    example_windows: np.ndarray
    example_positions: np.ndarray
    example_words: np.ndarray
    pending_values: np.ndarray
    pending_windows: np.ndarray
    pending_positions: np.ndarray
    pending_words: np.ndarray
    active: np.ndarray
    histogram: np.ndarray
    word_keys: np.ndarray
    word_counts: np.ndarray
    word_sums: np.ndarray
    word_state: np.ndarray

    @classmethod
    def empty(cls, factors: int, top: int, examples: int, slots: int) -> LayerSurvey:
        """Return the state before the first token."""
        return cls(
            np.zeros((factors, top), np.float32),
            np.zeros((factors, examples), np.float32),
            np.full((factors, examples), -1, np.int32),
            np.zeros((factors, examples), np.int16),
            np.zeros((factors, examples), np.int32),
            np.zeros(factors, np.float32),
            np.full(factors, -1, np.int32),
            np.zeros(factors, np.int16),
            np.zeros(factors, np.int32),
            np.zeros(factors, np.int64),
            np.zeros((factors, len(BIN_EDGES) - 1), np.int32),
            np.full(slots, EMPTY, np.uint64),
            np.zeros(slots, np.int32),
            np.zeros(slots, np.int64),
            np.zeros(2, np.int64),
        )

    def add(
        self, codes: csr_array, windows: np.ndarray, positions: np.ndarray, words: np.ndarray
    ) -> None:
        """Take in the codes of some tokens; the windows of the rows never decrease.

        ``codes`` is (n, m); ``windows``, ``positions`` and ``words`` are (n,): where each token
        stands and the number of its word.
        """
        entries = codes.indptr, codes.indices, codes.data
        count_entries(*entries, self.active, self.histogram, self.top_values)
        collect_examples(*entries, windows, positions, words, self._heaps(), self._pending())
        index_words(*entries, words, *self._word_table())

    def pack(self) -> None:
        """Drop the empty slots of the word table; what is left can be merged, but takes in no more.

        A small corpus leaves most of the table empty, and it would be saved, loaded and searched.
        """
        used = self.word_keys != EMPTY
        for name in ("word_keys", "word_counts", "word_sums"):
            setattr(self, name, getattr(self, name)[used])

    def merge(self, other: LayerSurvey, numbers: np.ndarray) -> None:
        """Take in what another survey has found in other windows.

        Parameters
        ----------
        other : LayerSurvey
            The survey of those windows, which is used up; it may be packed.
        numbers : (words of other,) integers
            The numbers that its words have here.
        """
        for state in (self, other):
            flush(state._heaps(), state._pending())
            state.pending_windows[:] = -1
        top = np.concatenate([self.top_values, other.top_values], axis=1)
        self.top_values[:] = np.sort(top, axis=1)[:, top.shape[1] // 2 :]  # sorted: a heap
        other.example_words = numbers[other.example_words] if len(numbers) else other.example_words
        both = [
            np.concatenate(pair, axis=1) for pair in zip(self._heaps(), other._heaps(), strict=True)
        ]
        order = np.lexsort((-both[1], both[0]), axis=1)[:, both[0].shape[1] // 2 :]
        for heap, values in zip(self._heaps(), both, strict=True):
            heap[:] = np.take_along_axis(values, order, axis=1)
        self.active += other.active
        self.histogram += other.histogram
        used = other.word_keys != EMPTY
        keys = other.word_keys[used]
        words = numbers[(keys >> np.uint64(_FACTOR_BITS)).astype(np.int64)].astype(np.uint64)
        keys = words << np.uint64(_FACTOR_BITS) | keys & np.uint64((1 << _FACTOR_BITS) - 1)
        entries = keys, other.word_counts[used], other.word_sums[used]
        merge_words(*entries, *self._word_table())

    def _heaps(self) -> tuple[np.ndarray, ...]:
        return self.example_values, self.example_windows, self.example_positions, self.example_words

    def _pending(self) -> tuple[np.ndarray, ...]:
        return self.pending_values, self.pending_windows, self.pending_positions, self.pending_words

    def _word_table(self) -> tuple[np.ndarray, ...]:
        return self.word_keys, self.word_counts, self.word_sums, self.word_state

    def importance(self) -> np.ndarray:
        """Return the mean of each factor's K largest activations, (m,); see DESIGN §5."""
        # Sorted, because a heap's order, and with it the rounding, depends on that of the windows.
        return np.sort(self.top_values, axis=1).mean(axis=1, dtype=np.float64).astype(np.float32)

    def maximum(self) -> np.ndarray:
        """Return the largest activation of each factor, (m,)."""
        return self.top_values.max(axis=1)

    def examples(self) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield each factor's examples as (window, position, word, activation), strongest first.

        The state may be read in mid-course: the window that is still open counts as it stands.
        """
        heaps = values, windows, positions, words = tuple(a.copy() for a in self._heaps())
        flush(heaps, self._pending())
        for c in range(len(values)):
            slots = np.flatnonzero(windows[c] >= 0)
            slots = slots[np.lexsort((windows[c][slots], -values[c][slots]))]
            yield windows[c][slots], positions[c][slots], words[c][slots], values[c][slots]

    def words(
        self, names: np.ndarray, totals: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the strongest entries of the word index.

        These are the ``WORDS_PER_FACTOR`` names with the largest summed activation of each factor,
        and the ``FACTORS_PER_WORD`` factors with the largest summed activation of each name that
        occurs at least ``FREQUENT_WORD`` times.

        Parameters
        ----------
        names : (words,) integers
            The number of each word's name in the index, so that "The" and "the" can share one.
        totals : (names,) integers
            How often each name occurs.

        Returns
        -------
        name, factor, count, mean activation : (entries,) arrays
        """
        used = np.flatnonzero(self.word_keys != EMPTY)
        keys = self.word_keys[used]
        name = names[(keys >> np.uint64(_FACTOR_BITS)).astype(np.int64)]
        factor = (keys & np.uint64((1 << _FACTOR_BITS) - 1)).astype(np.int64)
        pairs, place = np.unique(name << _FACTOR_BITS | factor, return_inverse=True)
        name, factor = pairs >> _FACTOR_BITS, pairs & ((1 << _FACTOR_BITS) - 1)
        count = np.bincount(place, self.word_counts[used], len(pairs)).astype(np.int32)
        total = np.bincount(place, self.word_sums[used], len(pairs)) * WORD_UNIT
        keep = _best(factor, total, name, WORDS_PER_FACTOR)
        keep |= _best(name, total, factor, FACTORS_PER_WORD) & (totals[name] >= FREQUENT_WORD)
        mean = (total[keep] / count[keep]).astype(np.float32)
        return name[keep], factor[keep], count[keep], mean


def _best(group: np.ndarray, score: np.ndarray, tie: np.ndarray, n: int) -> np.ndarray:
    """Mark the n largest scores of each group; ties go to the smaller ``tie``."""
    groups = int(group.max(initial=-1)) + 1
    heaps = (
        np.full((groups, n), -1.0),
        np.full((groups, n), -1, tie.dtype),
        np.zeros((groups, n), np.int16),  # has no use here
        np.full((groups, n), -1),  # which entries they are
    )
    push_all(heaps, group, score, tie)
    mask = np.zeros(len(group), bool)
    mask[heaps[3][heaps[3] >= 0]] = True
    return mask
