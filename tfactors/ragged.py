"""Lists of different lengths that lie one after another in one array, as the rows of a CSR matrix.

Turns the sizes of k lists into index arrays over all their entries: where a list begins, which list
an entry belongs to, and which entries some spans of another array cover.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def offsets(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return where each list begins, and last where all of them end.

    Parameters
    ----------
    sizes : (k,) integers
        Entries of each list, 0 or more.

    Returns
    -------
    (k + 1,) int64

    Examples
    --------
    >>> offsets([2, 0, 3])
    array([0, 2, 2, 5])
    """
    edges = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=edges[1:])
    return edges


def owners(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the number of the list that each entry belongs to.

    Parameters
    ----------
    sizes : (k,) integers
        Entries of each list, 0 or more.

    Returns
    -------
    (Σ sizes,) int64, from 0 to k − 1

    Examples
    --------
    >>> owners([2, 0, 3])
    array([0, 0, 2, 2, 2])
    """
    return np.repeat(np.arange(len(sizes)), sizes)


def spans(
    starts: int | Sequence[int] | np.ndarray, sizes: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Return start, start + 1 … start + size − 1 of each list, one list after another.

    Parameters
    ----------
    starts : int or (k,) integers
        The first index of each list; 0 numbers the entries of every list from 0.
    sizes : (k,) integers
        Entries of each list, 0 or more.

    Returns
    -------
    (Σ sizes,) int64

    Examples
    --------
    >>> spans([10, 90, 50], [2, 0, 3])
    array([10, 11, 50, 51, 52])
    >>> spans(0, [2, 0, 3])
    array([0, 1, 0, 1, 2])
    """
    edges = offsets(sizes)
    return np.repeat(starts - edges[:-1], sizes) + np.arange(edges[-1])
