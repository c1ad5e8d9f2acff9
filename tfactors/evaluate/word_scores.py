"""Turns the labelled occurrences of one word into how well its labels are told, in every way.

A logistic regression tells the labels from one factor, from five, from the whole hidden state, and
from the words around; beside them stands the majority label. Factors are chosen inside the training
folds by their F statistic, at one layer or at any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfactors.evaluate.label_scores import (
    Folds,
    folds_of,
    interval,
    logistic,
    precision_recall_f1,
    predict_labels,
    separation,
)
from tfactors.evaluate.labelled_senses import Occurrence, position_of
from tfactors.explain.encoder import FactorEncoder
from tfactors.text.windows import tokenize
from tfactors.text.word_breaks import words_of_text

NEIGHBOURS = 10  # words on each side that the bag of words may use
MAJORITY, AROUND, WHOLE = "majority label", "words around", "hidden state"
FACTORS = {"one factor": 1, "five factors": 5}
Guesses = dict[tuple[str, int | None], np.ndarray]


@dataclass(frozen=True)
class Score:
    """Means over the labels, and the ends of the 95% interval of the last."""

    precision: float
    recall: float
    f1: float
    low: float
    high: float


@dataclass(frozen=True)
class WordScores:
    """How well the labels of one word are told in every way.

    Attributes
    ----------
    word : str
        The word, in lower case.
    counts : dict of str to int
        How many occurrences have each label.
    documents : int
        How many documents they stand in.
    scores : dict
        By method and layer; the layer is None where the method has none, or chooses it inside the
        training folds.
    factor : dict of int to int
        At each layer, the factor that parts the labels best, on all occurrences.
    """

    word: str
    counts: dict[str, int]
    documents: int
    scores: dict[tuple[str, int | None], Score]
    factor: dict[int, int]

    @property
    def occurrences(self) -> int:
        """Labelled occurrences of the word."""
        return sum(self.counts.values())

    def f1(self, method: str, layer: int | None = None) -> float:
        """Return F₁ of a method at a layer."""
        return self.scores[method, layer].f1

    def best(self, method: str) -> int:
        """Return the layer at which a method does best, after the fact; the lowest of equals."""
        return max(self.factor, key=lambda layer: (self.f1(method, layer), -layer))


def can_be_told(rows: list[Occurrence]) -> bool:
    """Return whether a word's occurrences have two labels at least, and two documents."""
    return all(len({getattr(row, of) for row in rows}) > 1 for of in ("label", "document"))


def score_word(encoder: FactorEncoder, word: str, rows: list[Occurrence], seed: int) -> WordScores:
    """Tell the labels of one word in every way, and score what is told.

    The word has two labels and stands in two documents (:func:`can_be_told`).
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names, labels = np.unique([row.label for row in rows], return_inverse=True)
    documents = np.unique([row.document for row in rows], return_inverse=True)[1]
    folds = folds_of(labels, documents, seed)
    guesses: Guesses = {(MAJORITY, None): np.zeros(len(rows), int)}
    for train, test in folds:
        guesses[MAJORITY, None][test] = np.bincount(labels[train]).argmax()
    bag = CountVectorizer(binary=True, tokenizer=str.split, token_pattern=None)
    words = bag.fit_transform([_around(row) for row in rows])
    guesses[AROUND, None] = predict_labels(logistic(), words, labels, folds)
    codes, factor = [], {}
    for layer, x in zip(encoder.layers, _states(encoder, rows), strict=True):
        sparse = encoder.coder.encode(x, encoder.penalty, encoder.tol)
        # Where no factor is active at all there is one that is silent, and tells nothing.
        active = np.unique(sparse.indices) if sparse.nnz else np.array([0])
        codes.append(sparse[:, active].toarray())
        factor[layer] = int(active[separation(codes[-1], labels).argmax()])
        guesses |= guesses_by_factors(layer, codes[-1], labels, folds)
        whole = make_pipeline(StandardScaler(), logistic(C=0.1))
        guesses[WHOLE, layer] = predict_labels(whole, x, labels, folds)
    guesses |= guesses_by_factors(None, np.hstack(codes), labels, folds)
    counts = {str(name): int((labels == i).sum()) for i, name in enumerate(names)}
    scores = {
        key: Score(*precision_recall_f1(labels, guess), *interval(labels, guess, documents, seed))
        for key, guess in guesses.items()
    }
    return WordScores(word, counts, len(np.unique(documents)), scores, factor)


def guesses_by_factors(
    layer: int | None, codes: np.ndarray, labels: np.ndarray, folds: Folds
) -> Guesses:
    """Return the labels that are told from one and from five of the columns of codes.

    Parameters
    ----------
    layer : int or None
        The layer of the codes, None where they are of all.
    codes : (n, m) float32
        A row an occurrence.
    labels : (n,) int
        The labels of the occurrences.
    folds : Folds
        Inside whose training parts the factors are chosen.
    """
    from sklearn.feature_selection import SelectKBest
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    guesses = {}
    for name, count in FACTORS.items():
        chosen = SelectKBest(separation, k=min(count, codes.shape[1]))
        model = make_pipeline(chosen, StandardScaler(), logistic())
        guesses[name, layer] = predict_labels(model, codes, labels, folds)
    return guesses


def _states(encoder: FactorEncoder, rows: list[Occurrence]) -> np.ndarray:
    """Return the scaled states of the first token of each occurrence, (layers, n, d)."""
    texts, positions = [], []
    for row in rows:
        token_ids, tokens, _ = tokenize(row.text, encoder.model.tokenizer)
        longest = encoder.model.max_length  # of a longer text what stands around the word
        position = position_of(row, tokens)
        first = max(0, min(position - longest // 2, len(tokens) - longest))
        texts.append(token_ids[first : first + longest])
        positions.append(position - first)
    return encoder.states(texts, encoder.layers, positions=positions)


def _around(row: Occurrence) -> str:
    """Return the words and marks around an occurrence, in lower case, a blank between them."""
    before = words_of_text(row.text[: row.offset].casefold())[-NEIGHBOURS:]
    after = words_of_text(row.text[row.offset + len(row.word) :].casefold())
    return " ".join(before + after[:NEIGHBOURS])
