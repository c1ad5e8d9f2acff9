"""Turns a dictionary and codes of held-out tokens into the factors nearest to each factor.

Factors are near by the cosine of their atoms, or by firing on the same tokens, with the correlation

    φ = (n n₁₁ − n₁ n₂) / √(n₁ (n − n₁) n₂ (n − n₂))

over n tokens, of which n₁ activate the one factor, n₂ the other and n₁₁ both (Pearson's correlation
of two truth values). Factors that fire together need not have like atoms, nor the other way round.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

NEIGHBOURS = 10
# Two factors that meet on fewer tokens fire together by accident.
FEWEST_TOGETHER = 10
_FACTORS_AT_ONCE = 512


def nearest_atoms(atoms: np.ndarray, number: int = NEIGHBOURS) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors with the largest cosine and the cosines, (m, number) each, largest first.

    ``atoms`` is (m, d) with rows of norm 1; with m ≤ number there are m − 1 columns.
    """
    m = len(atoms)
    others, cosines = [], []
    for start in range(0, m, _FACTORS_AT_ONCE):
        cosine = atoms[start : start + _FACTORS_AT_ONCE] @ atoms.T
        cosine[np.arange(len(cosine)), np.arange(start, start + len(cosine))] = -np.inf
        nearest = _largest(cosine, min(number, m - 1))
        others.append(nearest)
        cosines.append(np.take_along_axis(cosine, nearest, 1))
    return np.concatenate(others), np.clip(np.concatenate(cosines), -1, 1)


def firing_together(
    codes: csr_array, factors: np.ndarray, number: int = NEIGHBOURS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors that fire most like some, and φ, (len(factors), number), largest first.

    ``codes`` is (n, m). Where there are fewer that fire together more often than by chance, and on
    at least ``FEWEST_TOGETHER`` tokens, φ is 0 in the columns that are left over.
    """
    n, m = codes.shape
    fires = csr_array((np.ones(codes.nnz, np.float32), codes.indices, codes.indptr), codes.shape)
    counts = np.bincount(codes.indices, minlength=m).astype(np.float64)
    spread = np.sqrt(counts * (n - counts))
    number = min(number, m - 1)
    others = np.zeros((len(factors), number), np.int64)
    values = np.zeros((len(factors), number))
    for start in range(0, len(factors), _FACTORS_AT_ONCE):
        part = factors[start : start + _FACTORS_AT_ONCE]
        both = (fires[:, part].T @ fires).toarray().astype(np.float64)
        chance = counts[part][:, None] * counts[None]
        norm = spread[part][:, None] * spread[None]
        together = np.divide(n * both - chance, norm, where=norm > 0, out=np.zeros_like(both))
        together[both < FEWEST_TOGETHER] = 0
        together[np.arange(len(part)), part] = 0
        nearest = _largest(together, number)
        others[start : start + len(part)] = nearest
        values[start : start + len(part)] = np.take_along_axis(together, nearest, 1)
    return others, np.clip(values, 0, 1)


def table(kind: str, factors: np.ndarray, others: np.ndarray, values: np.ndarray) -> pa.Table:
    """Return rows of neighbours.parquet, those with a value other than 0.

    Parameters
    ----------
    kind : str
        "cosine" or "together".
    factors : (f,) int
        The factors whose neighbours they are.
    others, values : (f, neighbours)
        The neighbours, and how near they are.
    """
    row, rank = np.nonzero(values)
    columns = {
        "factor": factors[row].astype(np.int32),
        "kind": pa.array([kind] * len(row), pa.string()),
        "rank": rank.astype(np.int16),
        "other": others[row, rank].astype(np.int32),
        "value": values[row, rank].astype(np.float32),
    }
    return pa.table(columns)


def _largest(values: np.ndarray, number: int) -> np.ndarray:
    """Return the columns of the largest values of each row, (rows, number).

    The largest comes first, of equal ones the first column.
    """
    columns = np.argpartition(-values, number - 1, axis=1)[:, :number] if number else values[:, :0]
    columns = np.sort(columns.astype(np.int64), axis=1)
    order = np.argsort(-np.take_along_axis(values, columns, 1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1)
