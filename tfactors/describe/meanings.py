"""Turns sentence embeddings of a factor's contexts and name into what a search by meaning asks.

A factor has a vector for each of its strongest contexts and one for its name. Of each only the
signs of its d numbers are kept, a bit a number: for a question q of norm 1

    cos(q, v) ≈ √(π / 2) · q · sign(v) / √d

which is right on average where the numbers of v are normal. How near a factor is to a question is
the cosine of the question with the mean of the signs of all its vectors (`directions`); of several
ways that were tried none found more (docs/why/search_by_meaning.md).
"""

from __future__ import annotations

import re

import numpy as np

NAME = -1  # the rank of the vector that is of a factor's name
_ROWS = 2048  # unpacked at once
# What a label is written with, and no word of it.
_SIGNS = re.compile(r"^mixed:?|[\[\]‹›…·|,:.-]+")


def packed(embeddings: np.ndarray) -> np.ndarray:
    """Return the signs of embeddings, (n, ⌈d / 8⌉) uint8.

    >>> packed(np.array([[0.5, -0.1, 0.2, 0.0, -3, -3, -3, -3, 1.0]])).tolist()
    [[160, 128]]
    """
    return np.packbits(embeddings > 0, axis=1)


def cosines(question: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return the cosine of a question with each vector, by its signs.

    Parameters
    ----------
    question : (d,) float32
        Of norm 1.
    bits : (n, ⌈d / 8⌉) uint8
        From `packed`.

    Returns
    -------
    (n,) float32
    """
    d = len(question)
    found = np.empty(len(bits), np.float32)
    for start in range(0, len(bits), _ROWS):
        rows = slice(start, start + _ROWS)
        positive = np.unpackbits(bits[rows], axis=1, count=d).astype(np.float32) @ question
        found[rows] = 2 * positive - question.sum()
    return found * np.float32(np.sqrt(np.pi / 2 / d))


def directions(factor: np.ndarray, bits: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors that have vectors, (m,) int, and of each the mean of its signs, at norm 1.

    Parameters
    ----------
    factor : (n,) int
        Whose each vector is, ascending.
    bits : (n, ⌈d / 8⌉) uint8
        From `packed`.
    width : int
        d.

    Returns
    -------
    factors : (m,) int
    directions : (m, d) float32

    Examples
    --------
    >>> bits = packed(np.array([[1, 1], [1, -1], [-1, -1]]))
    >>> directions(np.array([3, 3, 7]), bits, 2)[1].round(2)
    array([[ 1.  ,  0.  ],
           [-0.71, -0.71]], dtype=float32)
    """
    factors, starts = np.unique(factor, return_index=True)
    sums = np.zeros((len(factors), width), np.float32)
    for at, rows in enumerate(np.split(bits, starts[1:]) if len(factors) else ()):
        sums[at] = 2.0 * np.unpackbits(rows, axis=1, count=width).sum(axis=0) - len(rows)
    return factors, sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def name_to_embed(label: str) -> str:
    """Return the words of a label, without what a rule is written with.

    >>> name_to_embed("mixed: about forest, reserve, timber")
    'about forest reserve timber'
    >>> name_to_embed("for the first [time|day] …")
    'for the first time day'
    """
    return " ".join(_SIGNS.sub(" ", label).split())
