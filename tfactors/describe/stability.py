"""Turns two dictionaries into how alike they are, atom by atom.

There is the nearest cosine of each atom, a one-to-one matching with the largest sum of cosines (the
Hungarian method), and the shares of atoms matched above a cosine:

    s_c = max_k φ_c·ψ_k,        π = argmax Σ_c φ_c·ψ_π(c)
"""

from __future__ import annotations

import numpy as np

MATCHED = (0.7, 0.9)
# The Hungarian method takes m² numbers and m³ steps: of more factors only the nearest is asked.
MOST_MATCHED = 6_000


def nearest_cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the largest cosine of each atom of ``first`` (m, d) to one of ``second``, (m,)."""
    parts = np.array_split(first, len(first) // 4096 + 1)
    return np.concatenate([(part @ second.T).max(axis=1) for part in parts])


def match(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match atoms one to one with the largest sum of cosines.

    Parameters
    ----------
    first : (m, d) float32
        Rows of norm 1.
    second : (k, d) float32
        Rows of norm 1.

    Returns
    -------
    partner : (m,) int
        The atom of ``second`` for each of ``first``; −1 for one without, where there are fewer.
    cosine : (m,) float32
        Of the two; −1 for an atom without a partner.

    Examples
    --------
    >>> match(np.eye(3)[:2], np.eye(3)[[2, 0, 1]])
    (array([1, 2]), array([1., 1.]))
    """
    from scipy.optimize import linear_sum_assignment

    cosine = first @ second.T
    rows, columns = linear_sum_assignment(cosine, maximize=True)
    partner = np.full(len(first), -1)
    matched = np.full(len(first), -1.0, cosine.dtype)
    partner[rows], matched[rows] = columns, cosine[rows, columns]
    return partner, matched


def matched_shares(first: np.ndarray, second: np.ndarray) -> dict[float, float]:
    """Return the share of atoms with a one-to-one partner above each cosine of MATCHED."""
    if len(first) > MOST_MATCHED:
        return {}
    _, cosine = match(first, second)
    return {t: float((cosine > t).mean()) for t in MATCHED}
