"""The strongest windows of every factor at one layer, token by token.

Turns the codes of whole windows, in any number a time, into what each factor does at every token of
the windows that hold its strongest activations: the positions with α > 0 and the activations there.
Windows are ranked by their largest activation, equal ones by their number. So neither the batches
nor the order in which parts of a corpus are read changes what is kept.

The contexts lie one after another in a pool that grows; what a stronger window has pushed out is
left behind there until the pool is full, and then dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from tfactors import ragged
from tfactors.binary_digits import rounded_down

_FIRST_POOL = 1 << 14
CONTEXT_BITS = 8
"""Binary digits of the activations around an example: 0.4 %."""


@dataclass
class TopContexts:
    """The running state of one layer: R slots a factor, and the pool that they point into.

    Attributes
    ----------
    values : (m, R) float32
        The largest activation of a window, 0 in an empty slot.
    windows : (m, R) int32
    starts : (m, R) int64
        Where in the pool a context begins.
    sizes : (m, R) int16
        How many tokens of the window are active.
    pool_positions : (P,) int16
    pool_activations : (P,) float32
    used : (1,) int64
        How much of the pool is taken.
    last_window : (1,) int64
        The window with which the last batch ended.
    """

    values: np.ndarray
    windows: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    pool_positions: np.ndarray
    pool_activations: np.ndarray
    used: np.ndarray
    last_window: np.ndarray

    @classmethod
    def empty(cls, factors: int, contexts: int) -> TopContexts:
        """Return the state before the first window, with room for so many contexts a factor."""
        shape = (factors, contexts)
        return cls(
            np.zeros(shape, np.float32),
            np.zeros(shape, np.int32),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int16),
            np.zeros(_FIRST_POOL, np.int16),
            np.zeros(_FIRST_POOL, np.float32),
            np.zeros(1, np.int64),
            np.full(1, -1, np.int64),
        )

    def add(self, codes: csr_array, windows: np.ndarray, positions: np.ndarray) -> None:
        """Take in the codes (n, m) of whole windows; ``windows`` and ``positions`` are (n,).

        Raises
        ------
        ValueError
            The batch begins in the window with which the last one ended.
        """
        if not len(windows):
            return
        if windows[0] == self.last_window[0]:
            raise ValueError(f"window {windows[0]} is cut between two batches; give whole windows")
        self.last_window[0] = windows[-1]
        edges = np.flatnonzero(np.diff(windows, prepend=-1, append=-1))
        edge = 0
        while edge < len(edges) - 1:
            slots = self.values, self.windows, self.starts, self.sizes
            pool = self.pool_positions, self.pool_activations, self.used
            matrix = codes.indptr, codes.indices, codes.data
            edge = _collect(matrix, windows, positions, edges, edge, slots, pool)
            if edge < len(edges) - 1:
                first, stop = codes.indptr[edges[edge]], codes.indptr[edges[edge + 1]]
                self._make_room(int(stop - first))

    def _make_room(self, needed: int) -> None:
        """Copy the contexts that still count to the front of a pool with room for more."""
        sizes = self.sizes.ravel().astype(np.int64)
        edges = ragged.offsets(sizes)
        total = int(edges[-1])
        source = ragged.spans(self.starts.ravel(), sizes)
        length = max(2 * (total + needed), _FIRST_POOL)
        for name in ("pool_positions", "pool_activations"):
            old = getattr(self, name)
            new = np.zeros(length, old.dtype)
            new[:total] = old[source]
            setattr(self, name, new)
        self.starts = edges[:-1].reshape(self.starts.shape)
        self.used[0] = total

    def merge(self, other: TopContexts) -> None:
        """Take in what another part of the corpus gave."""
        shift = len(self.pool_positions)
        starts = np.concatenate([self.starts, other.starts + shift], axis=1)
        values = np.concatenate([self.values, other.values], axis=1)
        windows = np.concatenate([self.windows, other.windows], axis=1)
        sizes = np.concatenate([self.sizes, other.sizes], axis=1)
        order = np.lexsort((windows, -values), axis=1)[:, : self.values.shape[1]]
        self.values, self.windows, self.starts, self.sizes = (
            np.take_along_axis(a, order, 1) for a in (values, windows, starts, sizes)
        )
        self.pool_positions = np.concatenate([self.pool_positions, other.pool_positions])
        self.pool_activations = np.concatenate([self.pool_activations, other.pool_activations])
        self.last_window[0] = max(self.last_window[0], other.last_window[0])
        self._make_room(0)

    def contexts(self, factor: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Return window, positions and activations of a factor's contexts, strongest first."""
        order = np.lexsort((self.windows[factor], -self.values[factor]))
        contexts = []
        for slot in order[self.sizes[factor][order] > 0]:
            start = self.starts[factor, slot]
            part = slice(start, start + self.sizes[factor, slot])
            tokens = self.pool_positions[part], self.pool_activations[part]
            contexts.append((int(self.windows[factor, slot]), *tokens))
        return contexts


def contexts_table(
    layer: int, contexts: TopContexts, examples: Iterable[tuple[np.ndarray, ...]]
) -> pa.Table:
    """Return the rows of contexts.parquet of one layer.

    Activations but the largest of a window, that of the example, are rounded down to
    ``CONTEXT_BITS``: more would be most of the file and nothing that a reader sees.

    Parameters
    ----------
    layer : int
        Which hidden state.
    contexts : TopContexts
        What was kept there.
    examples : iterable of tuple of arrays
        For each factor the windows of its examples, strongest first, and more.
    """
    columns: dict[str, list[Any]] = {"factor": [], "rank": [], "positions": [], "activations": []}
    for factor, (windows, *_) in enumerate(examples):
        context_of = {window: context for window, *context in contexts.contexts(factor)}
        for rank, window in enumerate(windows[: contexts.values.shape[1]].tolist()):
            positions, activations = context_of[window]
            columns["factor"].append(factor)
            columns["rank"].append(rank)
            columns["positions"].append(positions)
            shorter = rounded_down(activations, CONTEXT_BITS)
            example = activations == activations.max()
            columns["activations"].append(np.where(example, activations, shorter))
    lists = {"positions": pa.int16(), "activations": pa.float32()}
    return pa.table(
        {"factor": pa.array(columns["factor"], pa.int32())}
        | {"layer": pa.array(np.full(len(columns["rank"]), layer, np.int16))}
        | {"rank": pa.array(columns["rank"], pa.int16())}
        | {name: pa.array(columns[name], pa.list_(kind)) for name, kind in lists.items()}
    )


@numba.njit(cache=True, nogil=True)
def _collect(matrix, row_windows, row_positions, edges, edge, slots, pool):  # type: ignore[no-untyped-def]
    """Take in window after window; stop before the first that may not fit into the pool."""
    indptr, indices, data = matrix
    values, windows, starts, sizes = slots
    pool_positions, pool_activations, used = pool
    m, n_slots = values.shape
    best = np.zeros(m, np.float32)
    count = np.zeros(m, np.int16)
    cursor = np.full(m, -1, np.int64)
    while edge < len(edges) - 1:
        first, stop = indptr[edges[edge]], indptr[edges[edge + 1]]
        if used[0] + stop - first > len(pool_positions):
            break
        window = row_windows[edges[edge]]
        for i in range(first, stop):
            c = indices[i]
            best[c] = max(best[c], data[i])
            count[c] += 1
        for i in range(first, stop):
            c = indices[i]
            if count[c] == 0:  # seen to already
                continue
            slot = _weakest(values[c], windows[c], n_slots)
            # Of equal windows the one with the smaller number counts more.
            equal = best[c] == values[c, slot] and window < windows[c, slot]
            if best[c] > values[c, slot] or equal:
                values[c, slot], windows[c, slot] = best[c], window
                starts[c, slot], sizes[c, slot] = used[0], count[c]
                cursor[c] = used[0]
                used[0] += count[c]
            best[c], count[c] = 0, 0
        for row in range(edges[edge], edges[edge + 1]):
            for i in range(indptr[row], indptr[row + 1]):
                at = cursor[indices[i]]
                if at >= 0:
                    pool_positions[at] = row_positions[row]
                    pool_activations[at] = data[i]
                    cursor[indices[i]] = at + 1
        cursor[indices[first:stop]] = -1
        edge += 1
    return edge


@numba.njit(cache=True, nogil=True)
def _weakest(values, windows, n_slots):  # type: ignore[no-untyped-def]
    """Find the slot of the smallest value, among equal ones that of the last window."""
    weakest = 0
    for slot in range(1, n_slots):
        lower = values[slot] < values[weakest]
        if lower or (values[slot] == values[weakest] and windows[slot] > windows[weakest]):
            weakest = slot
    return weakest
