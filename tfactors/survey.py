"""One pass over the corpus: what every factor does at every layer.

In come the codes of one batch of windows after another, layer by layer, as sparse rows; out come,
for each layer l and factor c, the importance (the mean of the K largest activations), the density
(the share of tokens with α_c > 0), the maximum, a histogram, the examples (the largest activation
of each of the windows where the factor is strongest), the contexts of the first of them, a random
sample of activations and a word index. The state has a fixed size,
whatever the length of the corpus: a heap a factor, and a word table that forgets its rarest
entries when it is full (lossy counting, Manku & Motwani 2002).

Nothing depends on the order of the windows: of equal activations the earlier window wins, sums are
exact, so that the surveys of several processes merge into the one that one process would have made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numba
import numpy as np
from scipy.sparse import csr_array

from tfactors.activation_sample import ActivationSample
from tfactors.contexts import TopContexts
from tfactors.exact_sum import ExactSum
from tfactors.parallel import cores

# Four bins an octave from 0.05 to 51.2; the first bin also takes what is smaller, the last what is
# larger. With hidden states of norm √d an activation above 50 does not occur for d ≤ 4,096.
BIN_EDGES = 0.05 * 2.0 ** (np.arange(41) / 4)
# Memory of the word table, all layers together, and how full it may be before it forgets.
WORD_TABLE_BYTES = 320 * 2**20
BYTES_A_WORD = 20
WORD_TABLE_LOAD = 0.6
# The word index keeps this many words a factor and layer, and factors a frequent word and layer.
WORDS_PER_FACTOR = 30
FACTORS_PER_WORD = 10
FREQUENT_WORD = 20

# Sums of the word table are whole numbers of this unit: exact in any order, up to 10¹¹.
WORD_UNIT = 2.0**-24

_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_FACTOR_BITS = 24


@dataclass
class LayerSurvey:
    """The running state of one layer (m factors, K values, E examples, a word table of C slots)."""

    top_values: np.ndarray  # (m, K) float32, a min-heap a factor: the K largest activations
    example_values: np.ndarray  # (m, E) float32, a min-heap a factor, one entry a window
    example_windows: np.ndarray  # (m, E) int32, -1 where there is none yet
    example_positions: np.ndarray  # (m, E) int16
    example_words: np.ndarray  # (m, E) int32: the number of the word
    pending_values: np.ndarray  # (m,) float32: the best activation of the window being read
    pending_windows: np.ndarray  # (m,) int32
    pending_positions: np.ndarray  # (m,) int16
    pending_words: np.ndarray  # (m,) int32
    active: np.ndarray  # (m,) int64: tokens with α_c > 0
    histogram: np.ndarray  # (m, bins) int32
    word_keys: np.ndarray  # (C,) uint64: word << 24 | factor
    word_counts: np.ndarray  # (C,) int32
    word_sums: np.ndarray  # (C,) int64, in units of WORD_UNIT
    word_state: np.ndarray  # (2,) int64: used slots, and the largest count forgotten so far

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
            np.full(slots, _EMPTY, np.uint64),
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
        args = (codes.indptr, codes.indices, codes.data)
        _count(*args, self.active, self.histogram, self.top_values)
        _collect_examples(*args, windows, positions, words, self._heaps(), self._pending())
        _index_words(*args, words, self.word_keys, self.word_counts, self.word_sums,
                     self.word_state)  # fmt: skip

    def pack(self) -> None:
        """Drop the empty slots of the word table; what is left can be merged, but takes in no more.

        A small corpus leaves most of the table empty, and it would be saved, loaded and searched.
        """
        used = self.word_keys != _EMPTY
        for name in ("word_keys", "word_counts", "word_sums"):
            setattr(self, name, getattr(self, name)[used])

    def merge(self, other: LayerSurvey, numbers: np.ndarray) -> None:
        """Take in what ``other``, which it uses up and may be packed, has found in other windows.

        ``numbers`` (words of other,) gives the numbers that its words have here.
        """
        for state in (self, other):
            _flush(state._heaps(), state._pending())
            state.pending_windows[:] = -1
        top = np.concatenate([self.top_values, other.top_values], axis=1)
        self.top_values[:] = np.sort(top, axis=1)[:, top.shape[1] // 2 :]  # sorted: a heap
        other.example_words = numbers[other.example_words] if len(numbers) else other.example_words
        both = [
            np.concatenate(pair, axis=1) for pair in zip(self._heaps(), other._heaps(), strict=True)
        ]
        order = np.lexsort((-both[1], both[0]), axis=1)[:, both[0].shape[1] // 2 :]
        for mine, values in zip(self._heaps(), both, strict=True):
            mine[:] = np.take_along_axis(values, order, axis=1)
        self.active += other.active
        self.histogram += other.histogram
        used = other.word_keys != _EMPTY
        keys = other.word_keys[used]
        words = numbers[(keys >> np.uint64(_FACTOR_BITS)).astype(np.int64)].astype(np.uint64)
        keys = words << np.uint64(_FACTOR_BITS) | keys & np.uint64((1 << _FACTOR_BITS) - 1)
        _merge_words(keys, other.word_counts[used], other.word_sums[used],
                     self.word_keys, self.word_counts, self.word_sums, self.word_state)  # fmt: skip

    def _heaps(self) -> tuple[np.ndarray, ...]:
        return self.example_values, self.example_windows, self.example_positions, self.example_words

    def _pending(self) -> tuple[np.ndarray, ...]:
        return self.pending_values, self.pending_windows, self.pending_positions, self.pending_words

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
        _flush(heaps, self._pending())
        for c in range(len(values)):
            kept = np.flatnonzero(windows[c] >= 0)
            kept = kept[np.lexsort((windows[c][kept], -values[c][kept]))]
            yield windows[c][kept], positions[c][kept], words[c][kept], values[c][kept]

    def words(
        self, names: np.ndarray, totals: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the word index as (name, factor, count, mean activation), the strongest entries.

        ``names`` (words,) gives each numbered word the number of its name in the index, so that
        "The" and "the" can share one; ``totals`` (names,) says how often each name occurs. Kept
        are the ``WORDS_PER_FACTOR`` names with the largest summed activation of each factor, and
        the ``FACTORS_PER_WORD`` factors with the largest summed activation of each name that
        occurs at least ``FREQUENT_WORD`` times.
        """
        used = np.flatnonzero(self.word_keys != _EMPTY)
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
    _push_all(heaps, group, score, tie)
    mask = np.zeros(len(group), bool)
    mask[heaps[3][heaps[3] >= 0]] = True
    return mask


@dataclass
class Moments:
    """Sums over the held-out tokens of one layer, from which its quality follows.

    ``sums`` holds Σ‖x‖², Σ‖x − x̂‖², the sum of the duality gaps, and Σx, (3 + d,).
    """

    tokens: int = 0
    active: int = 0
    sums: ExactSum = field(default_factory=ExactSum)

    def add(self, x: np.ndarray, codes: csr_array, errors: np.ndarray, gap: np.ndarray) -> None:
        """Take in states (n, d), their codes, squared errors (n,) and the gaps of some of them."""
        self.tokens += len(x)
        self.active += int(codes.nnz)
        squares = np.einsum("ij,ij->", x, x, dtype=np.float64)
        gaps = gap.mean(dtype=np.float64) * len(x)
        numbers = [squares, errors.sum(dtype=np.float64), gaps]
        self.sums.add(np.concatenate([numbers, x.sum(axis=0, dtype=np.float64)]))

    def merge(self, other: Moments) -> None:
        """Take in all that another one has."""
        self.tokens += other.tokens
        self.active += other.active
        self.sums.merge(other.sums)

    @property
    def errors(self) -> float:
        """Σ‖x − x̂‖²."""
        return float(self.sums.value[1]) if self.tokens else 0.0

    @property
    def l0(self) -> float:
        """Mean number of active factors a token."""
        return self.active / self.tokens if self.tokens else float("nan")

    @property
    def mean_gap(self) -> float:
        """Mean relative duality gap of the codes."""
        return float(self.sums.value[2]) / self.tokens if self.tokens else float("nan")

    @property
    def variance(self) -> float:
        """Σ‖x − x̄‖² with x̄ the mean of all tokens taken in, whatever the batches were."""
        if not self.tokens:
            return 0.0
        squares, total = self.sums.value[0], self.sums.value[3:]
        return float(squares - total @ total / self.tokens)

    @property
    def explained_variance(self) -> float:
        """1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²: 0 for predicting the mean, 1 for a perfect copy."""
        return 1.0 - self.errors / self.variance if self.variance > 0 else float("nan")


class Survey:
    """The pass over the corpus: one :class:`LayerSurvey` a layer and the words met so far."""

    def __init__(
        self,
        layers: Sequence[int],
        factors: int,
        importance_k: int = 200,
        examples: int = 200,
        table_bytes: int = WORD_TABLE_BYTES,
    ) -> None:
        slots = 1 << int(np.log2(table_bytes / len(layers) / BYTES_A_WORD))
        self.layers = list(layers)
        self.tokens = 0
        self.norms = ExactSum()  # Σ‖x‖ of each layer, (layers,)
        self.states = [LayerSurvey.empty(factors, importance_k, examples, slots) for _ in layers]
        self.contexts = [TopContexts.empty(factors) for _ in layers]
        self.samples = [ActivationSample.empty(layer, factors) for layer in layers]
        self.held_out = [Moments() for _ in layers]
        self._words: dict[str, int] = {}
        self._word_totals: list[int] = []

    @property
    def vocabulary(self) -> list[str]:
        """The words met so far, in the order of their numbers."""
        return list(self._words)

    @property
    def word_totals(self) -> np.ndarray:
        """How many tokens each word of the vocabulary has had, (words,) int64."""
        return np.asarray(self._word_totals, np.int64)

    def number_words(self, words: Sequence[str]) -> np.ndarray:
        """Return the numbers of the words of a batch's tokens, new words numbered as they come."""
        numbers = np.empty(len(words), np.int64)
        for i, word in enumerate(words):
            number = self._words.setdefault(word, len(self._words))
            if number == len(self._word_totals):
                self._word_totals.append(0)
            self._word_totals[number] += 1
            numbers[i] = number
        return numbers

    def add(
        self,
        codes: Sequence[csr_array],
        windows: np.ndarray,
        positions: np.ndarray,
        words: Sequence[str],
    ) -> None:
        """Take in one batch: the codes of the same n tokens at every layer, in corpus order.

        A batch holds whole windows.
        """
        numbers = self.number_words(words)
        self.tokens += len(numbers)

        def add(layer: int) -> None:
            self.states[layer].add(codes[layer], windows, positions, numbers)
            self.contexts[layer].add(codes[layer], windows, positions)
            self.samples[layer].add(codes[layer], windows, positions, numbers)

        with ThreadPoolExecutor(max_workers=cores()) as pool:
            list(pool.map(add, range(len(self.states))))

    def merge(self, other: Survey) -> None:
        """Take in the survey of other windows, which is used up.

        The result is that of one pass over all windows, exactly, as long as the word tables have
        not had to forget.
        """
        numbers = np.zeros(len(other._words), np.int64)
        for i, (word, total) in enumerate(zip(other._words, other._word_totals, strict=True)):
            numbers[i] = number = self._words.setdefault(word, len(self._words))
            if number == len(self._word_totals):
                self._word_totals.append(0)
            self._word_totals[number] += total
        self.tokens += other.tokens
        self.norms.merge(other.norms)
        for mine, theirs in zip(self.states, other.states, strict=True):
            mine.merge(theirs, numbers)
        for contexts, more_contexts in zip(self.contexts, other.contexts, strict=True):
            contexts.merge(more_contexts)
        for sample, more_draws in zip(self.samples, other.samples, strict=True):
            sample.merge(more_draws, numbers)
        for held, more in zip(self.held_out, other.held_out, strict=True):
            held.merge(more)

    def save(self, path: Path) -> None:
        """Write the whole state to an .npz file, from which :meth:`load` goes on exactly."""
        arrays: dict[str, Any] = {
            "layers": np.asarray(self.layers),
            "tokens": np.asarray(self.tokens),
            **_arrays("norms", self.norms),
            "words": np.frombuffer("\n".join(self._words).encode(), np.uint8),
            "word_totals": self.word_totals,
        }
        for i, moments in enumerate(self.held_out):
            for part, found in self._parts(i).items():
                arrays |= {f"{part}{i}.{name}": value for name, value in vars(found).items()}
            arrays[f"moments{i}.numbers"] = np.array([moments.tokens, moments.active])
            arrays |= _arrays(f"moments{i}", moments.sums)
        with path.open("wb") as file:
            np.savez(file, **arrays)

    def _parts(self, i: int) -> dict[str, Any]:
        """Return the arrays of one layer by the name under which they are saved."""
        return {"state": self.states[i], "contexts": self.contexts[i], "sample": self.samples[i]}

    @classmethod
    def load(cls, path: Path) -> Survey:
        """Read a state written by :meth:`save`."""
        with np.load(path, allow_pickle=False) as arrays:
            survey = cls.__new__(cls)
            survey.layers = arrays["layers"].tolist()
            survey.tokens = int(arrays["tokens"])
            survey.norms = ExactSum(arrays["norms.high"], arrays["norms.low"])
            words = arrays["words"].tobytes().decode()
            survey._words = {w: i for i, w in enumerate(words.split("\n"))} if words else {}
            survey._word_totals = arrays["word_totals"].tolist()
            survey.states, survey.contexts, survey.samples, survey.held_out = [], [], [], []
            for i in range(len(survey.layers)):
                survey.states.append(_restored(LayerSurvey, arrays, f"state{i}"))
                survey.contexts.append(_restored(TopContexts, arrays, f"contexts{i}"))
                survey.samples.append(_restored(ActivationSample, arrays, f"sample{i}"))
                sums = ExactSum(arrays[f"moments{i}.high"], arrays[f"moments{i}.low"])
                tokens, active = arrays[f"moments{i}.numbers"].tolist()
                survey.held_out.append(Moments(tokens, active, sums))
        return survey


def _arrays(name: str, total: ExactSum) -> dict[str, np.ndarray]:
    return {f"{name}.high": total.high, f"{name}.low": total.low}


def _restored(kind: Any, arrays: Any, prefix: str) -> Any:
    """Return a record of arrays from those saved under a prefix."""
    return kind(*(arrays[f"{prefix}.{name}"] for name in kind.__dataclass_fields__))


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
def _count(indptr, indices, data, active, histogram, top_values):  # type: ignore[no-untyped-def]
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
def _push_all(heaps, groups, scores, ties):  # type: ignore[no-untyped-def]
    """Put every entry into the heap of its group."""
    for entry in range(len(groups)):
        _push_example(heaps, groups[entry], scores[entry], ties[entry], 0, entry)


@numba.njit(cache=True, nogil=True)
def _collect_examples(indptr, indices, data, windows, positions, words, heaps, pending):  # type: ignore[no-untyped-def]
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
def _flush(heaps, pending):  # type: ignore[no-untyped-def]
    """Close the open window of every factor."""
    best, best_window, best_position, best_word = pending
    for c in range(len(best)):
        if best_window[c] >= 0:
            _push_example(heaps, c, best[c], best_window[c], best_position[c], best_word[c])


@numba.njit(cache=True, nogil=True)
def _slot(keys, key):  # type: ignore[no-untyped-def]
    """Find the slot of a key, or the empty slot where it belongs (Fibonacci hashing)."""
    mask = np.uint64(len(keys) - 1)
    slot = ((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
    while keys[slot] != key and keys[slot] != np.uint64(0xFFFFFFFFFFFFFFFF):
        slot = (slot + np.uint64(1)) & mask
    return slot


@numba.njit(cache=True, nogil=True)
def _index_words(indptr, indices, data, words, keys, counts, sums, state):  # type: ignore[no-untyped-def]
    """Add the activations to the word table; a full table forgets its rarest entries."""
    limit = int(len(keys) * 0.6)
    for row in range(len(indptr) - 1):
        word = np.uint64(words[row]) << np.uint64(24)
        for i in range(indptr[row], indptr[row + 1]):
            slot = _slot(keys, word | np.uint64(indices[i]))
            if counts[slot] == 0:
                keys[slot] = word | np.uint64(indices[i])
                state[0] += 1
            counts[slot] += 1
            sums[slot] += np.int64(np.rint(np.float64(data[i]) * 16777216.0))  # 1 / WORD_UNIT
        while state[0] > limit:
            state[1] += 1
            _forget(keys, counts, sums, state)


@numba.njit(cache=True, nogil=True)
def _merge_words(more, more_counts, more_sums, keys, counts, sums, state):  # type: ignore[no-untyped-def]
    """Add the entries of another word table."""
    limit = int(len(keys) * 0.6)
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
    keys[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
    counts[:] = 0
    sums[:] = 0
    for i in range(len(kept)):
        slot = _slot(keys, old[0][i])
        keys[slot], counts[slot], sums[slot] = old[0][i], old[1][i], old[2][i]
    state[0] = len(kept)
