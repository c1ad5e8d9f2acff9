"""A number for every place of a corpus: it looks drawn at random and is the same on every machine.

Whoever keeps the k places with the smallest numbers has drawn k places at random. No state of a
random generator has to be saved, and neither the batches nor the order in which parts of a corpus
are read changes what is drawn. With the odd constant γ = 2⁶⁴/φ, all modulo 2⁶⁴,

    hash(n, salt) = mix(γ·n ⊕ salt)        n = 2¹⁶ · window + position

A round of *mix* is x ← (x ⊕ x ≫ shift) · factor. SplitMix64's three rounds (Steele, Lea and Flood,
2014) let every bit of n reach every bit of the number. Another salt gives another draw.
"""

from __future__ import annotations

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)
NO_SALT = np.uint64(0)

# (shift, factor) of each round. Other numbers would draw other places.
SPLITMIX64 = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
    (np.uint64(31), np.uint64(1)),
)


def place_number(windows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return n = 2¹⁶ · window + position of some places, (n,) uint64.

    >>> place_number(np.array([0, 1]), np.array([7, 7]))
    array([    7, 65543], dtype=uint64)
    """
    return windows.astype(np.uint64) << np.uint64(16) | positions.astype(np.uint64)


def scramble(number, salt=NO_SALT, rounds=SPLITMIX64):  # type: ignore[no-untyped-def]
    """Return hash(n, salt) of some numbers; plain arithmetic, so that numba can compile it.

    Parameters
    ----------
    number : (n,) uint64
        One number a place. In compiled code also a single one.
    salt : uint64 or (n,) uint64
        Sets the draws of different things apart.
    rounds : tuple of (shift, factor)
        The rounds of mix.

    Returns
    -------
    (n,) uint64

    Examples
    --------
    >>> scramble(np.array([1, 2], np.uint64)) >> np.uint64(48)
    array([57888, 28280], dtype=uint64)
    """
    mixed = number * GAMMA ^ salt
    for shift, factor in rounds:
        mixed = (mixed ^ mixed >> shift) * factor
    return mixed
