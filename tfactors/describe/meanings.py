"""Turns sentence embeddings of a factor's contexts and name into what a search by meaning asks.

A factor has a vector for each of its strongest contexts and one for its name. Of each only the
signs of its d numbers are kept, a bit a number: for a question q of norm 1

    cos(q, v) ≈ √(π / 2) · q · sign(v) / √d

which is right on average where the numbers of v are normal. How near a factor is to a question is
the mean of its largest such cosines, of its name's and its contexts' together (`likeness`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

NAME = -1  # the rank of the vector that is of a factor's name
BEST = 3  # vectors of a factor, those nearest to the question, that its likeness is the mean of
_ROWS = 2048  # unpacked at once
# What a label is written with, and no word of it.
_SIGNS = re.compile(r"^mixed:?|[\[\]‹›…·|,:.-]+")


class Likeness(NamedTuple):
    """How near factors are to a question.

    Attributes
    ----------
    factors : (m,) int
        The factors that have vectors, ascending.
    likeness : (m,) float32
        How near each is.
    cosines : (rows,) float32
        Of each vector, in the order of the rows.
    """

    factors: np.ndarray
    likeness: np.ndarray
    cosines: np.ndarray


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


def likeness(question: np.ndarray, factor: np.ndarray, bits: np.ndarray) -> Likeness:
    """Return how near each factor is to a question.

    Parameters
    ----------
    question : (d,) float32
        Its embedding, of norm 1.
    factor : (n,) int
        Whose each vector is, ascending.
    bits : (n, ⌈d / 8⌉) uint8
        From `packed`.
    """
    found = cosines(question, bits)
    factors, starts, counts = np.unique(factor, return_index=True, return_counts=True)
    # Each factor's own in the order of their cosines: the first BEST of them count.
    order = np.lexsort((-found, factor))
    place = np.arange(len(found)) - np.repeat(starts, counts)
    counted = np.where(place < BEST, found[order], 0)
    sums = np.add.reduceat(counted, starts) if len(starts) else counted
    return Likeness(factors, sums / np.minimum(counts, BEST), found)


def name_to_embed(label: str) -> str:
    """Return the words of a label, without what a rule is written with.

    >>> name_to_embed("mixed: about forest, reserve, timber")
    'about forest reserve timber'
    >>> name_to_embed("for the first [time|day] …")
    'for the first time day'
    """
    return " ".join(_SIGNS.sub(" ", label).split())
