"""The loops of the survey, compiled: one entry of a sparse code after another.

Adds the entries of a batch's codes, row by row, to the arrays of a layer's state, which change in
place. A heap is a row of an array with the weakest value first. The word table is an open hash
table whose keys are ``word number · 2²⁴ + factor``; when it is full, its rarest entries are
forgotten (lossy counting).
"""

from __future__ import annotations

import numba
import numpy as np

from tfactors.text.place_hash import GAMMA

# How full the word table may be before it forgets.
WORD_TABLE_LOAD = 0.6

# The key of an empty slot of the word table.
EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)


@numba.njit(cache=True, nogil=True)
def _replace_root(heap, value):  # type: ignore[no-untyped-def]
    """Replace the smallest value of a min-heap."""
    i, n = 0, len(heap)
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = value


@numba.njit(cache=True, nogil=True)
def count_entries(indptr, indices, data, active, histogram, top_values):  # type: ignore[no-untyped-def]
    """Count every activation in its bin, and keep the K largest of each factor."""
    last = histogram.shape[1] - 1
    for i in range(indptr[0], indptr[-1]):
        c, value = indices[i], data[i]
        active[c] += 1
        bin_ = int(np.floor(4.0 * np.log2(value / 0.05)))
        histogram[c, min(max(bin_, 0), last)] += 1
        if value > top_values[c, 0]:
            _replace_root(top_values[c], value)


@numba.njit(cache=True, nogil=True)
def _weaker(value, window, other_value, other_window):  # type: ignore[no-untyped-def]
    """Whether one example gives way to another: smaller, or as large in a later window."""
    return value < other_value or (value == other_value and window > other_window)


@numba.njit(cache=True, nogil=True)
def _push_example(heaps, c, value, window, position, word):  # type: ignore[no-untyped-def]
    """Put one example into the heap of factor c, if it is strong enough."""
    values, windows, positions, words = heaps
    heap, places, n = values[c], windows[c], values.shape[1]
    if not _weaker(heap[0], places[0], value, window):
        return
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and _weaker(
            heap[child + 1], places[child + 1], heap[child], places[child]
        ):
            child += 1
        if not _weaker(heap[child], places[child], value, window):
            break
        heap[i], places[i] = heap[child], places[child]
        positions[c, i], words[c, i] = positions[c, child], words[c, child]
        i = child
    heap[i], places[i], positions[c, i], words[c, i] = value, window, position, word


@numba.njit(cache=True, nogil=True)
def push_all(heaps, groups, scores, ties):  # type: ignore[no-untyped-def]
    """Put every entry into the heap of its group."""
    for entry in range(len(groups)):
        _push_example(heaps, groups[entry], scores[entry], ties[entry], 0, entry)


@numba.njit(cache=True, nogil=True)
def collect_examples(indptr, indices, data, windows, positions, words, heaps, pending):  # type: ignore[no-untyped-def]
    """Keep the best token of the open window of each factor; a new window closes the old one."""
    best, best_window, best_position, best_word = pending
    for row in range(len(indptr) - 1):
        window = windows[row]
        for i in range(indptr[row], indptr[row + 1]):
            c, value = indices[i], data[i]
            if best_window[c] != window:
                if best_window[c] >= 0:
                    _push_example(heaps, c, best[c], best_window[c], best_position[c], best_word[c])
                best[c], best_window[c] = value, window
                best_position[c], best_word[c] = positions[row], words[row]
            elif value > best[c]:
                best[c], best_position[c], best_word[c] = value, positions[row], words[row]


@numba.njit(cache=True, nogil=True)
def flush(heaps, pending):  # type: ignore[no-untyped-def]
    """Close the open window of every factor."""
    best, best_window, best_position, best_word = pending
    for c in range(len(best)):
        if best_window[c] >= 0:
            _push_example(heaps, c, best[c], best_window[c], best_position[c], best_word[c])


@numba.njit(cache=True, nogil=True)
def _slot(keys, key):  # type: ignore[no-untyped-def]
    """Find the slot of a key, or the empty slot where it belongs (Fibonacci hashing)."""
    mask = np.uint64(len(keys) - 1)
    slot = ((key * GAMMA) >> np.uint64(20)) & mask
    while keys[slot] != key and keys[slot] != EMPTY:
        slot = (slot + np.uint64(1)) & mask
    return slot


@numba.njit(cache=True, nogil=True)
def index_words(indptr, indices, data, words, keys, counts, sums, state):  # type: ignore[no-untyped-def]
    """Add the activations to the word table; a full table forgets its rarest entries."""
    limit = int(len(keys) * WORD_TABLE_LOAD)
    for row in range(len(indptr) - 1):
        word = np.uint64(words[row]) << np.uint64(24)
        for i in range(indptr[row], indptr[row + 1]):
            slot = _slot(keys, word | np.uint64(indices[i]))
            if counts[slot] == 0:
                keys[slot] = word | np.uint64(indices[i])
                state[0] += 1
            counts[slot] += 1
            units = np.int64(np.rint(np.float64(data[i]) * 16777216.0))  # 1 / WORD_UNIT
            sums[slot] += max(units, 1)  # what is active at all counts
        while state[0] > limit:
            state[1] += 1
            _forget(keys, counts, sums, state)


@numba.njit(cache=True, nogil=True)
def merge_words(more, more_counts, more_sums, keys, counts, sums, state):  # type: ignore[no-untyped-def]
    """Add the entries of another word table."""
    limit = int(len(keys) * WORD_TABLE_LOAD)
    for i in range(len(more)):
        slot = _slot(keys, more[i])
        if counts[slot] == 0:
            keys[slot] = more[i]
            state[0] += 1
        counts[slot] += more_counts[i]
        sums[slot] += more_sums[i]
        while state[0] > limit:
            state[1] += 1
            _forget(keys, counts, sums, state)


@numba.njit(cache=True, nogil=True)
def _forget(keys, counts, sums, state):  # type: ignore[no-untyped-def]
    """Rebuild the word table without the entries whose count is at most ``state[1]``."""
    kept = np.flatnonzero(counts > state[1])
    old = keys[kept].copy(), counts[kept].copy(), sums[kept].copy()
    keys[:] = EMPTY
    counts[:] = 0
    sums[:] = 0
    for i in range(len(kept)):
        slot = _slot(keys, old[0][i])
        keys[slot], counts[slot], sums[slot] = old[0][i], old[1][i], old[2][i]
    state[0] = len(kept)
