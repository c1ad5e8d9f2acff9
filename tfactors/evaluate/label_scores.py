"""Turns labels, features and documents into how well the features tell the labels.

Each occurrence is given a label by a logistic regression that has not seen its document. Precision,
recall and F₁ are means over the labels, which weigh alike however frequent they are; the interval
is that of a bootstrap over documents.

    precision = right / given      recall = right / there      F₁ = 2 right / (given + there)
"""

from __future__ import annotations

from typing import Any

import numpy as np

FOLDS = 5
DRAWS = 200

Folds = list[tuple[np.ndarray, np.ndarray]]


def logistic(C: float = 1.0) -> Any:
    """Return a logistic regression for which all labels together weigh alike."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=2000, class_weight="balanced")


def separation(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the F statistic of each feature (n, m); 0 for one that is the same everywhere.

    Variance between the labels over that within: Σ n_l (x̄_l − x̄)² / (L − 1) over
    Σ (x − x̄_l)² / (n − L). Scikit-learn's, without its warnings of constant features.
    """
    belongs = (labels[:, None] == np.unique(labels)).astype(np.float64)
    n, count = belongs.shape
    means = (belongs.T @ features) / belongs.sum(axis=0)[:, None]
    between = belongs.sum(axis=0) @ (means - features.mean(axis=0)) ** 2 / max(count - 1, 1)
    within = ((features - belongs @ means) ** 2).sum(axis=0) / max(n - count, 1)
    return np.where(between > 1e-12, between / np.maximum(within, 1e-12), 0.0)


def folds_of(labels: np.ndarray, documents: np.ndarray, seed: int) -> Folds:
    """Return folds of whole documents, labels spread evenly; a fold may lack a label to test."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    folds = min(FOLDS, len(np.unique(documents)))
    if np.bincount(labels).min() >= folds:
        splitter: Any = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    else:
        splitter = GroupKFold(folds)
    return list(splitter.split(np.zeros(len(labels)), labels, documents))


def predict_labels(model: Any, features: Any, labels: np.ndarray, folds: Folds) -> np.ndarray:
    """Return the label that each occurrence is given by a model that has not seen its document."""
    from sklearn.base import clone

    predicted = np.zeros(len(labels), int)
    for train, test in folds:
        if len(np.unique(labels[train])) < 2:
            predicted[test] = labels[train][0]
            continue
        predicted[test] = clone(model).fit(features[train], labels[train]).predict(features[test])
    return predicted


def precision_recall_f1(
    labels: np.ndarray, guess: np.ndarray, weight: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Return precision, recall and F₁, each the mean over the labels; 0 where nothing is found.

    ``weight`` (n,) says how often each occurrence counts. A label that no occurrence has, and none
    is given, is left out.
    """
    weight = np.ones(len(labels)) if weight is None else weight
    numbers = np.unique(labels)
    there, given = labels[:, None] == numbers, guess[:, None] == numbers
    right, given, there = weight @ (there & given), weight @ given, weight @ there
    right, given, there = (part[given + there > 0] for part in (right, given, there))
    precision, recall = right / np.maximum(given, 1), right / np.maximum(there, 1)
    f1 = 2 * right / np.maximum(given + there, 1)
    return float(precision.mean()), float(recall.mean()), float(f1.mean())


def interval(
    labels: np.ndarray, guess: np.ndarray, documents: np.ndarray, seed: int
) -> tuple[float, float]:
    """Return the 2.5 and 97.5 % quantiles of F₁ over draws of as many documents as there are.

    Occurrences of one document are alike, so that draws of occurrences would promise too much.
    """
    rng, count = np.random.default_rng([seed, 11]), int(documents.max()) + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), DRAWS)
    f1 = [precision_recall_f1(labels, guess, times[documents].astype(float))[2] for times in drawn]
    low, high = np.quantile(f1, [0.025, 0.975])
    return float(low), float(high)
