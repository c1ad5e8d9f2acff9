"""Turns atoms, and the words of factors, into places on a map: like factors lie near one another.

How alike two factors are is the cosine of their atoms, to which those of their words are added,

    likeness = cos(atoms) + OWN · cos(own words) + NEAR · cos(words near) ,

because in many dimensions atoms are almost orthogonal, and say of most pairs only that they differ.
Each factor gets two coordinates by t-SNE (van der Maaten and Hinton 2008, as scikit-learn computes
it) on the largest likenesses of each factor. The axes have no meaning, and neither have sizes of
clusters or the gaps between them; only nearness has. benchmarks/map_layouts.py compares layouts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from tfactors.describe.factor_texts import FactorTexts, directions

PERPLEXITY = 30.0
# How much words count beside atoms; with more of them fewer neighbours by atom stay neighbours.
OWN, NEAR = 0.2, 1.0
# Fewer factors than this are laid out by their two leading directions alone.
FEWEST = 10
# Factors whose likeness to all others is worked out at once.
ROWS = 256


def factor_map(
    atoms: np.ndarray,
    seed: int = 0,
    texts: FactorTexts | None = None,
    done: Callable[[int], object] = lambda factors: None,
) -> np.ndarray:
    """Return the coordinates of each factor; the same input and seed give the same map.

    Parameters
    ----------
    atoms : (m, d) float32
        The dictionary, rows of norm 1.
    seed : int
        Of t-SNE.
    texts : FactorTexts, optional
        The words of these factors; without them atoms alone decide.
    done : callable
        Is told of how many more factors the nearest are known.

    Returns
    -------
    (m, 2) float32
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    m = len(atoms)
    # One thread: with more the sums round differently from run to run, and maps with them.
    with threadpool_limits(1):
        start = _leading_directions(atoms.astype(np.float64), min(2, *atoms.shape))
        if start.shape[1] < 2:
            start = np.pad(start, ((0, 0), (0, 1)))
        if m < FEWEST:
            done(m)
            return start.astype(np.float32)
        perplexity = min(PERPLEXITY, (m - 1) / 3)
        near = nearest(atoms, texts, min(m, int(3 * perplexity) + 2), done)
        start = start / max(start[:, 0].std(), 1e-12) * 1e-4
        tsne = TSNE(
            perplexity=perplexity,
            metric="precomputed",
            init=start.astype(np.float32),
            random_state=seed,
        )
        return tsne.fit_transform(near).astype(np.float32)


def nearest(
    atoms: np.ndarray,
    texts: FactorTexts | None,
    number: int,
    done: Callable[[int], object] = lambda factors: None,
) -> csr_array:
    """Return the distances of each factor to those nearest to it, (m, m), itself first.

    Of unit vectors the squared distance is 2 − 2 · likeness.
    """
    m = len(atoms)
    atoms = atoms / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-12)
    words: list[tuple[float, csr_array, csr_array]] = []
    if texts is not None:
        for weight, shares in ((OWN, texts.own), (NEAR, texts.near)):
            rows_of_words = directions(shares)
            words.append((weight, rows_of_words, csr_array(rows_of_words.T)))
    whole = 1 + sum(weight for weight, _, _ in words)
    columns, squares = np.empty((m, number), np.int32), np.empty((m, number), np.float32)
    for first in range(0, m, ROWS):
        rows = slice(first, min(first + ROWS, m))
        likeness = atoms[rows] @ atoms.T
        for weight, of_words, turned in words:
            likeness += np.float32(weight) * (of_words[rows] @ turned).toarray()
        own = np.arange(rows.start, rows.stop)
        likeness[own - first, own] = np.inf  # nothing is nearer
        chosen = np.argsort(-likeness, axis=1, kind="stable")[:, :number]
        columns[rows] = chosen
        squares[rows] = 2 - 2 * np.take_along_axis(likeness, chosen, axis=1) / whole
        done(rows.stop - rows.start)
    distances = np.sqrt(np.clip(squares, 0, None)).ravel()
    return csr_array((distances, columns.ravel(), np.arange(0, m * number + 1, number)), (m, m))


def _leading_directions(atoms: np.ndarray, number: int) -> np.ndarray:
    """Return coordinates of atoms along their leading directions, (m, number), signs fixed."""
    centred = atoms - atoms.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    vectors = vectors[:, ::-1][:, :number]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return centred @ vectors
