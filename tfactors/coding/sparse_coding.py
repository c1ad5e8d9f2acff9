"""Turns hidden states and a dictionary into codes, each with a certificate.

For every row x of X (n, d) and a dictionary Φ (m, d) of unit atoms it solves

    α = argmin_{α ≥ 0}  P(α),      P(α) = ½‖x − αΦ‖² + λ‖α‖₁

and proves it. With the residual ε = x − αΦ and 0 ≤ s ≤ λ / max εΦᵀ, the point s·ε is feasible for
the dual problem, so that D = ½‖x‖² − ½‖x − sε‖² is a lower bound of every P. The relative
*duality gap* (P(α) − D) / P(α) bounds how far a code is from optimal, whatever produced it.

:class:`tfactors.coding.solver.SparseCoder` solves it; these are the functions that users call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from tfactors.coding.kernel import RESOLUTION
from tfactors.coding.solver import (
    ROWS,
    SparseCoder,
    _checked_dictionary,
    _checked_samples,
    checked_penalty,
)
from tfactors.errors import InputError


def sparse_encode(
    X: np.ndarray,
    dictionary: np.ndarray,
    penalty: float | np.ndarray,
    tol: float = 1e-3,
    start: csr_array | None = None,
    refit: bool = False,
) -> csr_array:
    """Return the codes of X over a dictionary: argmin over α ≥ 0 of ½‖x − αΦ‖² + λ‖α‖₁, by row.

    Parameters
    ----------
    X : (n, d) array, or a torch tensor on any device
        One sample a row, finite; the arithmetic is float32. A tensor is solved on its device, in
        batches (`tfactors.coding.torch_solver`); the codes come back on the host all the same.
    dictionary : (m, d) array
        One atom a row, unit norm.
    penalty : float or (n,) array
        λ ≥ 0, one for all rows or one a row, in the units of X.
    tol : float
        The largest relative duality gap of any row.
    start : (n, m) csr_array, optional
        Codes of similar rows; their atoms are tried first. Changes the time, not the answer.
    refit : bool
        λ chooses the atoms of each code and does not shrink its values: they become those of
        least squares, α ≥ 0, on the same atoms.

    Returns
    -------
    (n, m) csr_array, float32, indices sorted in each row

    Raises
    ------
    InputError
        (a ValueError) for wrong shapes, values that are not finite, atoms that are not unit norm or
        a negative penalty; names the argument and the value.

    Examples
    --------
    >>> import numpy as np
    >>> sparse_encode(np.array([[3.0, -1.0]]), np.eye(2), penalty=1.0).toarray()
    array([[2., 0.]], dtype=float32)
    >>> sparse_encode(np.array([[3.0, -1.0]]), np.eye(2), penalty=1.0, refit=True).toarray()
    array([[3., 0.]], dtype=float32)
    """
    if hasattr(X, "is_cuda"):  # a torch tensor: solved where it lies, torch is imported already
        from tfactors.coding.torch_solver import TorchSparseCoder

        tensor: Any = X
        return TorchSparseCoder(dictionary, tensor.device, refit).encode(tensor, penalty, tol)
    return SparseCoder(dictionary, refit=refit).encode(X, penalty, tol, start)


def penalty_path(
    X: np.ndarray,
    dictionary: np.ndarray,
    penalties: Sequence[float],
    tol: float = 1e-3,
    refit: bool = False,
) -> list[csr_array]:
    """Return the codes of X for each of the penalties; every λ starts from the last.

    Parameters
    ----------
    X : (n, d) array
        One sample a row, finite.
    dictionary : (m, d) array
        One atom a row, unit norm.
    penalties : sequence of float
        λ ≥ 0, in the units of X.
    tol : float
        The largest relative duality gap of any row.
    refit : bool
        As in `sparse_encode`.

    Returns
    -------
    list of (n, m) csr_array, float32, in the order of the penalties

    Raises
    ------
    InputError
        As `sparse_encode`.
    """
    return SparseCoder(dictionary, refit=refit).path(X, penalties, tol)


def proved_gap(
    coder: SparseCoder, X: np.ndarray, codes: csr_array, penalty: float, tol: float
) -> np.ndarray:
    """Return the relative duality gap behind the codes that a coder made of X, (n,) float64.

    Codes that were refitted minimise another objective; the proof is of those that chose their
    atoms, and these are solved once more.
    """
    if coder.refit:
        codes = coder.without_refit().encode(X, penalty, tol)
    return duality_gap(X, coder.dictionary, codes, penalty)


def duality_gap(
    X: np.ndarray,
    dictionary: np.ndarray,
    codes: csr_array | np.ndarray,
    penalty: float | np.ndarray,
) -> np.ndarray:
    """Return the relative duality gap (P − D) / P of every code.

    0 is optimal; a gap of g proves that no code has a value below (1 − g)·P. Two floors keep the
    ratio meaningful where float32 codes end: a correlation up to 2⁻¹⁸‖x‖ is not held against a
    smaller penalty, and P counts as at least 2⁻¹⁸·½‖x‖².

    Parameters
    ----------
    X : (n, d) array
        One sample a row, finite.
    dictionary : (m, d) array
        One atom a row, unit norm.
    codes : (n, m) csr_array or array
        The codes of X, none negative.
    penalty : float or (n,) array
        λ ≥ 0, one for all rows or one a row, in the units of X.

    Returns
    -------
    (n,) float64

    Raises
    ------
    InputError
        As `sparse_encode`, and for codes of another shape or below 0.
    """
    dictionary = _checked_dictionary(dictionary)
    X = _checked_samples(X, dictionary.shape[1])
    penalties = checked_penalty(penalty, len(X))
    codes = csr_array(codes)
    if codes.shape != (len(X), len(dictionary)):
        raise InputError(
            f"codes has shape {codes.shape}; expected {(len(X), len(dictionary))}, "
            "a row a sample and a column an atom"
        )
    if codes.nnz and not codes.data.min() >= 0:
        raise InputError(f"codes holds {codes.data.min()}; a code is never negative")
    gaps, atoms = np.empty(len(X)), dictionary.astype(np.float64)
    for i in range(0, len(X), ROWS):
        rows = slice(i, i + ROWS)
        x, alpha = X[rows].astype(np.float64), codes[rows].astype(np.float64)
        level = penalties[rows]
        residual = x - alpha @ atoms
        correlations = residual @ atoms.T
        norm2 = np.einsum("ij,ij->i", x, x)
        error2 = np.einsum("ij,ij->i", residual, residual)
        total = np.asarray(alpha.sum(axis=1)).ravel()
        product = np.einsum("ij,ij->i", x, residual) - error2
        highest = correlations.max(axis=1, initial=0.0)
        bound = np.maximum(level, RESOLUTION * np.sqrt(norm2))
        s = 1 + np.divide(product, error2, out=np.zeros_like(product), where=error2 > 0)
        s = s.clip(0, 1)
        s = np.where(s * highest > bound, bound / np.where(highest > 0, highest, 1), s)
        gap = 0.5 * (1 - s) ** 2 * error2 + level * total - s * product
        primal = np.maximum(0.5 * error2 + level * total, 0.5 * RESOLUTION * norm2)
        gaps[rows] = np.divide(gap.clip(0), primal, out=np.zeros_like(gap), where=primal > 0)
    return gaps
