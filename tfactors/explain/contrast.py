"""The nearest contexts where a factor is silent, by the model's own similarity.

Turns the strongest examples of a factor at a layer into words of the corpus that the model holds
for most like theirs, and at which the factor is not active all the same. With x the hidden state at
the layer and x̄ the mean of all that were read, the similarity of a token to the examples e is

    s = max over e of cos(x − x̄, x_e − x̄)

and a word is silent where the code of every one of its tokens, solved as the build solves it, has a
zero for the factor. Words that the examples have stand apart from others.

The text that is read is drawn from the corpus: the windows of the examples, windows with their
words, and some at random. What is found is the nearest among these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tfactors.text.words import clipped, spelled, word_bounds

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from tfactors.bundle import Bundle
    from tfactors.explain.encoder import FactorEncoder

EXAMPLES = 8
# Windows with words of the examples, and windows drawn from the rest; fewer where states are long.
WITH_WORDS, AT_RANDOM = 40, 16
_MOST_NUMBERS = 2**24  # of states that are held at once: 64 MB
SHOWN = 8  # places of each kind
_FIRING = 3  # other factors of a place
_CODED_AT_ONCE, _MOST_CODED = 64, 512  # words of a kind
COLUMNS = [
    *("kind", "window", "position", "word", "similarity", "example"),
    *("factors", "activations"),
]

Firing = list[tuple[int, float]]  # factors and their activations, strongest first


@dataclass(frozen=True)
class ContrastPlan:
    """What is to be read.

    Attributes
    ----------
    factor, layer : int
        Which factor, and where.
    examples : DataFrame
        Its strongest examples, columns window, position, word and rank.
    windows : list of int
        What the model reads, those of the examples first.
    """

    factor: int
    layer: int
    examples: pd.DataFrame
    windows: list[int]

    @property
    def words(self) -> set[str]:
        """The words of the examples, casefolded."""
        return {word.casefold() for word in self.examples["word"]}


@dataclass(frozen=True)
class Contrast:
    """Where a factor is silent though its strongest examples are near.

    Attributes
    ----------
    places : DataFrame
        Columns kind ("same" or "other" word), window, position, word, similarity, example (rank of
        the nearest one), factors and activations (lists: the strongest others that fire there);
        each kind by similarity, at most one a window.
    windows : int
        Windows that were read.
    same, same_silent : int
        Places of the examples' words in them that were coded, nearest first, and how many of those
        are silent.
    """

    places: pd.DataFrame
    windows: int
    same: int
    same_silent: int


@dataclass(frozen=True)
class _Words:
    """The words that were read, in the order of their tokens, which are rows of states.

    Attributes
    ----------
    window : (words,) int
    first, last : (words,) int
        The row of the first token, and the one behind the last.
    position : (words,) int
        Of the first token in the window.
    spelling : list of str
        Casefolded.
    """

    window: np.ndarray
    first: np.ndarray
    last: np.ndarray
    position: np.ndarray
    spelling: list[str]

    def rows_of(self, windows: pd.Series, positions: pd.Series) -> np.ndarray:
        """Return the rows of tokens."""
        begins = dict(zip(self.window.tolist()[::-1], self.first.tolist()[::-1], strict=True))
        return np.array([begins[w] + p for w, p in zip(windows, positions, strict=True)], np.int64)

    def best_rows(self, similarity: np.ndarray) -> np.ndarray:
        """Return of each word the row of its most similar token, which it is as near as."""
        spans = zip(self.first.tolist(), self.last.tolist(), strict=True)
        return np.array([first + similarity[first:last].argmax() for first, last in spans])

    def holds_one_of(self, word: int, rows: np.ndarray) -> bool:
        """Whether one of these rows is a token of a word."""
        return bool(((rows >= self.first[word]) & (rows < self.last[word])).any())


def plan_contrast(bundle: "Bundle", factor: int, layer: int) -> ContrastPlan:
    """Return what has to be read; the same for the same bundle."""
    examples = bundle.examples(factor, layer, EXAMPLES)
    own = examples["window"].tolist()
    if not own:
        return ContrastPlan(factor, layer, examples, [])
    texts = bundle.windows(own)
    phrases = {
        _phrase(row.token_ids, row.word_starts, int(position))
        for row, position in zip(texts.itertuples(), examples["position"], strict=True)
    }
    longest = max(1, bundle.about.corpus.window_length)
    most = max(8, _MOST_NUMBERS // (longest * bundle.about.model.width) - len(own))
    with_words, at_random = min(WITH_WORDS, most * 5 // 7), min(AT_RANDOM, most * 2 // 7)
    found = bundle.windows_with(sorted(phrases), with_words + len(own), [factor, layer])
    found = [window for window in found if window not in own][:with_words]
    rng = np.random.default_rng([factor, layer, 1])
    count = bundle.about.corpus.windows
    drawn = rng.choice(count, min(count, at_random), replace=False).tolist()
    return ContrastPlan(factor, layer, examples, list(dict.fromkeys([*own, *found, *drawn])))


def _phrase(token_ids: np.ndarray, word_starts: np.ndarray, position: int) -> tuple[int, ...]:
    """Return the tokens of the word at a position."""
    bounds = word_bounds(word_starts)
    at = int(np.searchsorted(bounds, position, side="right")) - 1
    return tuple(int(token) for token in token_ids[bounds[at] : bounds[at + 1]])


def read_windows(
    bundle: "Bundle", encoder: "FactorEncoder", plan: ContrastPlan, windows: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return of all tokens of some windows the states that are coded, and the hidden states.

    Returns
    -------
    coded, states : (tokens, d) float32
        What is coded lacks what the token brings of its own; the states have it.
    """
    texts = [np.asarray(ids) for ids in bundle.windows(list(windows))["token_ids"]]
    coded, own = encoder.parts(texts, [plan.layer])
    return coded[0], coded[0] if own is None else coded[0] + own[0]


def find_contrast(
    bundle: "Bundle",
    encoder: "FactorEncoder",
    plan: ContrastPlan,
    coded: np.ndarray,
    states: np.ndarray,
) -> Contrast:
    """Return the nearest places where the factor is silent.

    Parameters
    ----------
    bundle, encoder
        The bundle and its model.
    plan : ContrastPlan
        What was read.
    coded, states : (tokens, d) float32
        Of all windows of the plan, in their order, as :func:`read_windows` gives them.
    """
    words = _words_of(bundle, plan.windows)
    rows = words.rows_of(plan.examples["window"], plan.examples["position"])
    similarity, nearest = _similarities(states, rows)
    best = words.best_rows(similarity)
    order = np.argsort(-similarity[best], kind="stable")
    order = order[[not words.holds_one_of(at, rows) for at in order]]
    is_same = np.array([spelling in plan.words for spelling in words.spelling], bool)
    found: list[dict[str, Any]] = []
    counts: dict[str, tuple[int, int]] = {}
    for kind, wanted in (("same", True), ("other", False)):
        candidates = order[is_same[order] == wanted]
        silent, asked = _silent_words(encoder, plan.factor, words, candidates, coded, best)
        counts[kind] = asked, len(silent)
        for at, firing in _one_a_window(silent, words)[:SHOWN]:
            row = int(best[at])
            found.append(
                {
                    "kind": kind,
                    "window": int(words.window[at]),
                    "position": int(words.position[at]) + row - int(words.first[at]),
                    "word": words.spelling[at],
                    "similarity": float(similarity[row]),
                    "example": int(plan.examples["rank"].iloc[nearest[row]]),
                    "factors": [factor for factor, _ in firing],
                    "activations": [activation for _, activation in firing],
                }
            )
    return Contrast(pd.DataFrame(found, columns=COLUMNS), len(plan.windows), *counts["same"])


def _words_of(bundle: "Bundle", windows: Sequence[int]) -> _Words:
    """Return all words of some windows, whose tokens are rows one after the other."""
    numbers, firsts, lasts, positions, spellings = [], [], [], [], []
    start = 0
    for row in bundle.windows(list(windows), token_ids=False).itertuples(index=False):
        for first, last in pairwise(word_bounds(row.word_starts).tolist()):
            numbers.append(int(row.window))
            firsts.append(start + first)
            lasts.append(start + last)
            positions.append(first)
            spellings.append(clipped(spelled("".join(row.tokens[first:last]))).casefold())
        start += len(row.tokens)
    return _Words(
        np.array(numbers), np.array(firsts), np.array(lasts), np.array(positions), spellings
    )


def _similarities(states: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return of each state the similarity to the nearest of some rows, and which of them it is."""
    centred = states - states.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    centred /= np.maximum(norms, np.finfo(np.float32).tiny)
    cosines = centred @ centred[rows].T
    nearest = cosines.argmax(axis=1)
    return cosines[np.arange(len(cosines)), nearest], nearest


def _silent_words(
    encoder: "FactorEncoder",
    factor: int,
    words: _Words,
    candidates: np.ndarray,
    coded: np.ndarray,
    best: np.ndarray,
) -> tuple[list[tuple[int, Firing]], int]:
    """Return the candidates at none of whose tokens the factor is active, and how many were coded.

    They are coded in their order, until enough are silent.
    """
    silent: list[tuple[int, Firing]] = []
    asked = 0
    while asked < min(len(candidates), _MOST_CODED) and len(_one_a_window(silent, words)) < SHOWN:
        some = candidates[asked : asked + _CODED_AT_ONCE]
        spans = [np.arange(words.first[at], words.last[at]) for at in some]
        codes = encoder.coder.encode(coded[np.concatenate(spans)], encoder.penalty, encoder.tol)
        codes = codes.tocsr()
        start = 0
        for at, span in zip(some.tolist(), spans, strict=True):
            own = codes[start : start + len(span)]
            if not (own.data[own.indices == factor] > 0).any():
                silent.append((at, _firing(codes, start + int(best[at] - words.first[at]))))
            start += len(span)
        asked += len(some)
    return silent, asked


def _firing(codes: "csr_array", row: int) -> Firing:
    """Return the strongest factors of a row of codes, with their activations."""
    span = slice(codes.indptr[row], codes.indptr[row + 1])
    factors, activations = codes.indices[span], codes.data[span]
    strongest = np.argsort(-activations, kind="stable")[:_FIRING]
    return [(int(factors[at]), float(activations[at])) for at in strongest if activations[at] > 0]


def _one_a_window(silent: list[tuple[int, Firing]], words: _Words) -> list[tuple[int, Firing]]:
    """Return the first of each window."""
    first: dict[int, tuple[int, Firing]] = {}
    for word in silent:
        first.setdefault(int(words.window[word[0]]), word)
    return list(first.values())
