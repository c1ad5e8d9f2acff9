"""The solver of sparse codes, block by block, each code with its certificate.

Turns rows X (n, d) and a dictionary Φ (m, d) into α = argmin_{α ≥ 0} ½‖x − αΦ‖² + λ‖α‖₁ of each
row, with the lower bound that proves it; :mod:`tfactors.coding.sparse_coding` gives the formulas.
:mod:`tfactors.coding.kernel` solves one block. This module feeds it: blocks of rows, one product
XΦᵀ a block, every block on one thread, so that the codes are the same bit for bit with any number
of threads. A row whose gap float32 cannot prove (a penalty or a norm far outside its range) is
solved again in float64.

Where a coder refits, λ chooses the atoms of a code and nothing else: their activations are those of
least squares, still at least 0, so that λ no longer shrinks them (the relaxed lasso of Meinshausen,
2007, at its end φ = 0).

Memory: the Gram matrix (4m² bytes; 8m² more once a row needed float64) and, for every thread, one
block of correlations (ROWS·m floats); never an (n, m) array of codes.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from tfactors.coding.kernel import LANES, refit_rows, solve_rows, squared_errors
from tfactors.errors import InputError
from tfactors.parallel import cores, in_parallel, one_blas_thread
from tfactors.ragged import offsets, spans

ROWS, FEWER_ROWS = 512, 256
"""Rows a block: enough for BLAS to run at full speed, few enough to stay in the cache; fewer where
there are not many rows, so that all cores have work. Blocks do not depend on the number of
threads, and so neither do the codes."""

UNIT = 1e-4
"""How far the norm of an atom may be from 1."""


class SparseCoder:
    """A checked dictionary and its Gram matrix, reused over many calls.

    Parameters
    ----------
    dictionary : (m, d) array
        One atom a row, unit norm; one of zeros is dead, and never active.
    threads : int, optional
        All the processor's cores by default. The codes do not depend on it.
    refit : bool
        Whether the codes are refitted, without λ, on the atoms that were chosen with it.

    Attributes
    ----------
    dictionary : (m, d) float32
    gram : (m, m) float32
    """

    def __init__(
        self, dictionary: np.ndarray, threads: int | None = None, refit: bool = False
    ) -> None:
        self.refit = refit
        self._atoms = _padded(_checked_dictionary(dictionary))
        self.threads = threads or cores()
        self._columns = np.ascontiguousarray(self._atoms.T)  # BLAS reads it a little faster
        self._gram = self._products(self._atoms)
        self.dictionary = self._atoms[: len(dictionary)]
        self.gram = self._gram[: len(dictionary), : len(dictionary)]

    def on_one_thread(self) -> Self:
        """Return the same coder, sharing its arrays, for one of several batches at once."""
        coder = copy.copy(self)
        coder.threads = 1
        return coder

    def without_refit(self) -> Self:
        """Return the same coder, sharing its arrays, of the codes that minimise the objective."""
        coder = copy.copy(self)
        coder.refit = False
        return coder

    def encode(
        self,
        X: np.ndarray,
        penalty: float | np.ndarray,
        tol: float = 1e-3,
        start: csr_array | None = None,
    ) -> csr_array:
        """Return codes (n, m) of X (n, d); the parameters and errors of `sparse_encode`."""
        X = _checked_samples(X, self.dictionary.shape[1])
        penalties = checked_penalty(penalty, len(X))[:, None]
        shape = (len(X), len(self.dictionary))
        if start is not None and start.shape != shape:
            raise InputError(f"start has shape {start.shape}; expected {shape}, the codes' own")
        codes = self._solve(X, penalties, checked_tol(tol), start)[0]
        return self.refitted(X, codes) if self.refit else codes

    def path(self, X: np.ndarray, penalties: Sequence[float], tol: float = 1e-3) -> list[csr_array]:
        """Return codes of X for each penalty; the parameters and errors of `penalty_path`."""
        X = _checked_samples(X, self.dictionary.shape[1])
        levels = np.asarray(penalties, dtype=np.float64)
        if levels.ndim != 1:
            raise InputError(f"penalties has shape {levels.shape}; expected a list of numbers")
        for level in levels:
            checked_penalty(level, len(X))
        order = np.argsort(-levels)  # descending: supports grow
        codes = self._solve(X, np.tile(levels[order], (len(X), 1)), checked_tol(tol), None)
        if self.refit:
            codes = [self.refitted(X, code) for code in codes]
        return [codes[place] for place in np.argsort(order)]

    def refitted(self, X: np.ndarray, codes: csr_array) -> csr_array:
        """Return argmin ‖x − αΦ‖² over α ≥ 0 on the atoms of each code, (n, m) float32.

        An atom that least squares does not need leaves the code.
        """
        counts = np.diff(codes.indptr)
        data = codes.data.astype(np.float32)
        limit = -(-int(counts.max(initial=1)) // LANES) * LANES

        def work(blocks: Iterator[int]) -> None:
            squares = np.zeros((3, limit, limit))
            for first in blocks:
                rows = slice(first, min(first + ROWS, len(X)))
                entries = codes.indptr[first : rows.stop + 1], codes.indices, data
                refit_rows(X[rows], self.dictionary, self._gram, squares, *entries)

        in_parallel(range(0, len(X), ROWS), work, self.threads)
        kept = data > 0
        sizes = np.diff(offsets(kept)[codes.indptr])
        return codes_of_rows(sizes, codes.indices[kept], data[kept], codes.shape[1])

    def squared_error(self, X: np.ndarray, codes: csr_array) -> np.ndarray:
        """Return ‖x − αΦ‖² of every row, (n,) float32, without dense codes."""
        X = _checked_samples(X, self.dictionary.shape[1])
        if codes.shape != (len(X), len(self.dictionary)):
            raise InputError(
                f"codes has shape {codes.shape}; expected {(len(X), len(self.dictionary))}"
            )
        errors = np.empty(len(X), np.float32)

        def work(blocks: Iterator[int]) -> None:
            for first in blocks:
                rows = slice(first, min(first + ROWS, len(X)))
                entries = codes.indptr[first : rows.stop + 1], codes.indices, codes.data
                squared_errors(X[rows], self.dictionary, *entries, errors[rows])

        in_parallel(range(0, len(X), ROWS), work, self.threads)
        return errors

    def _solve(
        self, X: np.ndarray, penalties: np.ndarray, tol: float, start: csr_array | None
    ) -> list[csr_array]:
        """Return codes for each column of penalties (n, p).

        They are solved in float32, and what that leaves in float64.
        """
        if start is None:
            start = csr_array((len(X), len(self.dictionary)), dtype=np.float32)
        codes = self._solve_blocks(X, penalties, tol, start, self._gram, FAST)
        hard = np.flatnonzero(~(codes.gaps <= tol).all(axis=1))
        if len(hard):
            exact = self._solve_blocks(
                X[hard], penalties[hard], tol, start[hard], self._exact_gram, EXACT
            )
            codes = codes.replaced(hard, exact)
            if not (codes.gaps <= tol).all():
                warnings.warn(
                    f"{(~(codes.gaps <= tol)).sum()} codes stop at a relative duality gap of up to "
                    f"{codes.gaps.max():.1e}, above tol={tol:g}; a larger penalty or tol is needed",
                    RuntimeWarning,
                    stacklevel=3,
                )
        return [codes.column(p, len(self.dictionary)) for p in range(penalties.shape[1])]

    def _solve_blocks(
        self,
        X: np.ndarray,
        penalties: np.ndarray,
        tol: float,
        start: csr_array,
        gram: np.ndarray,
        effort: _Effort,
    ) -> _Codes:
        """Return codes of X (n, d) for penalties (n, p), in the arithmetic of the Gram matrix."""
        n, p = penalties.shape
        levels = np.minimum(penalties, effort.largest_penalty).astype(gram.dtype)
        columns = self._columns.astype(gram.dtype, copy=False)
        m = columns.shape[1]
        limit = effort.working_set(m, X.shape[1])
        codes = _Codes(np.zeros((n, p), np.int64), np.zeros((n, p)), [], [])
        size = min(ROWS, max(FEWER_ROWS, n // (16 * LANES) * LANES))
        starts = range(0, n, size)
        codes.indices, codes.data = [None] * len(starts), [None] * len(starts)

        def work(blocks: Iterator[int]) -> None:
            correlations = np.empty((min(size, n), m), gram.dtype)
            # Pages that stay untouched cost nothing.
            squares, room = np.zeros((3, limit, limit), gram.dtype), len(correlations) * p * limit
            indices, data = np.empty(room, np.int32), np.empty(room, np.float32)
            for first in blocks:
                rows = slice(first, min(first + size, n))
                x = X[rows].astype(gram.dtype, copy=False)
                b = np.matmul(x, columns, out=correlations[: len(x)])
                begin = start.indptr[first : rows.stop + 1], start.indices
                problem = x, b, gram, levels[rows]
                limits = tol, effort.rounds, effort.norms
                solution = indices, data, codes.counts[rows], codes.gaps[rows]
                used = solve_rows(*problem, *limits, begin, squares, *solution)
                codes.indices[first // size] = indices[:used].copy()
                codes.data[first // size] = data[:used].copy()

        with one_blas_thread():
            in_parallel(starts, work, self.threads)
        return codes

    @cached_property
    def _exact_gram(self) -> np.ndarray:
        return self._products(self._atoms.astype(np.float64))

    def _products(self, atoms: np.ndarray) -> np.ndarray:
        """Return ΦΦᵀ, made block by block.

        A threaded BLAS would keep its threads spinning beside the solver's.
        """
        gram = np.empty((len(atoms), len(atoms)), atoms.dtype)

        def work(blocks: Iterator[int]) -> None:
            for first in blocks:
                last = min(first + FEWER_ROWS, len(atoms))
                gram[first:last, first:] = atoms[first:last] @ atoms[first:].T
                gram[last:, first:last] = gram[first:last, last:].T

        with one_blas_thread():
            in_parallel(range(0, len(atoms), FEWER_ROWS), work, self.threads)
        return gram


@dataclass(frozen=True)
class _Effort:
    """How hard to try: FAST proves nearly every row, EXACT the rest."""

    rounds: int
    norms: tuple[float, float]  # of x; outside them ‖x‖² leaves the range of the arithmetic
    largest_penalty: float  # the same answer as anything above it, without overflow

    def working_set(self, m: int, d: int) -> int:
        """Return how many atoms fit: any support (d independent ones), and those that join.

        Where EXACT, all atoms do. It is an odd number of cache lines, so that the rows of G_WW
        spread over the whole cache.
        """
        room = m if self is EXACT else min(m, d + 8 * LANES)
        return room // (2 * LANES) * 2 * LANES + 3 * LANES


FAST = _Effort(rounds=40, norms=(1e-12, 1e12), largest_penalty=1e30)
EXACT = _Effort(rounds=2000, norms=(0.0, np.inf), largest_penalty=1e300)


@dataclass
class _Codes:
    """Codes for n rows and p penalties, their entries ordered by row, penalty, atom."""

    counts: np.ndarray  # (n, p) entries of each
    gaps: np.ndarray  # (n, p) relative duality gaps
    indices: list  # the entries' atoms, in pieces
    data: list  # and their values

    def replaced(self, rows: np.ndarray, other: _Codes) -> _Codes:
        """Return these codes with those of some rows taken from another object."""
        sizes, others = self.counts.sum(axis=1), other.counts.sum(axis=1)
        first = offsets(sizes)[:-1]
        first[rows] = sizes.sum() + offsets(others)[:-1]
        sizes[rows] = others
        entries = spans(first, sizes)
        counts, gaps = self.counts.copy(), self.gaps.copy()
        counts[rows], gaps[rows] = other.counts, other.gaps
        return _Codes(
            counts,
            gaps,
            [np.concatenate([*self.indices, *other.indices])[entries]],
            [np.concatenate([*self.data, *other.data])[entries]],
        )

    def column(self, p: int, m: int) -> csr_array:
        """Return the codes for one of the penalties as an array (n, m)."""
        n, penalties = self.counts.shape
        indices = np.concatenate([np.empty(0, np.int32), *self.indices])
        data = np.concatenate([np.empty(0, np.float32), *self.data])
        if penalties > 1:
            owner = np.repeat(np.tile(np.arange(penalties), n), self.counts.ravel())
            indices, data = indices[owner == p], data[owner == p]
        return codes_of_rows(self.counts[:, p], indices, data, m)


def codes_of_rows(
    counts: np.ndarray, indices: np.ndarray, data: np.ndarray, factors: int
) -> csr_array:
    """Return codes from their entries, which are ordered by row and atom.

    Parameters
    ----------
    counts : (n,) integers
        Entries of each row.
    indices, data : (entries,) integers and float32
        The entries' atoms and their values.
    factors : int
        Atoms of the dictionary, m.

    Returns
    -------
    (n, m) csr_array, indices sorted in each row
    """
    indptr = offsets(counts)
    if indptr[-1] < 2**31:
        indptr = indptr.astype(np.int32)
    codes = csr_array((data, indices, indptr), shape=(len(counts), factors))
    codes.has_canonical_format = True
    return codes


def _padded(dictionary: np.ndarray) -> np.ndarray:
    """Return the dictionary with atoms of zeros up to a whole number of cache lines."""
    m, d = dictionary.shape
    atoms = np.zeros((-(-m // LANES) * LANES, d), np.float32)
    atoms[:m] = dictionary
    return atoms


def _checked_dictionary(dictionary: np.ndarray) -> np.ndarray:
    """Return the atoms as float32; InputError for a wrong shape or atoms that are not unit norm."""
    atoms = np.asarray(dictionary)
    if atoms.ndim != 2 or 0 in atoms.shape:
        raise InputError(
            f"dictionary has shape {atoms.shape}; expected (m, d), one atom a row, at least one"
        )
    norms = np.sqrt(np.einsum("ij,ij->i", atoms, atoms, dtype=np.float64))
    wrong = np.flatnonzero(~((np.abs(norms - 1) <= UNIT) | (norms == 0)))
    if len(wrong):
        raise InputError(
            f"dictionary: atom {wrong[0]} has norm {norms[wrong[0]]:.6g}; expected 1, "
            "divide every row by its norm"
        )
    return atoms.astype(np.float32)


def _checked_samples(X: np.ndarray, d: int) -> np.ndarray:
    """Return the samples as float32; InputError for a wrong shape or values not finite."""
    samples = np.asarray(X)
    if samples.ndim != 2 or samples.shape[1] != d:
        raise InputError(
            f"X has shape {samples.shape}; expected (n, {d}), one sample a row, "
            "as wide as the dictionary"
        )
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(samples, dtype=np.float32)
    for i in range(0, len(samples), ROWS):  # block by block: no array of booleans as large as X
        block = samples[i : i + ROWS]
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            raise InputError(
                f"X holds {np.asarray(X)[i + row, column]} at row {i + row}, column {column}; "
                "expected finite float32 values"
            )
    return samples


def checked_penalty(penalty: float | np.ndarray, n: int) -> np.ndarray:
    """Return one λ a row, (n,) float64; InputError for another shape, NaN or a negative number."""
    levels = np.asarray(penalty, dtype=np.float64)
    if levels.ndim > 1 or (levels.ndim == 1 and len(levels) != n):
        raise InputError(
            f"penalty has shape {levels.shape}; expected one number or one a row, ({n},)"
        )
    wrong = levels[~(np.isfinite(levels) & (levels >= 0))]
    if wrong.size:
        raise InputError(f"penalty is {wrong.flat[0]:g}; expected a finite number of at least 0")
    return np.broadcast_to(levels, (n,))


def checked_tol(tol: float) -> float:
    """Return the tolerance as a float; InputError where it is no relative gap."""
    if not 0 < tol < 1:
        raise InputError(f"tol is {tol}; expected a relative duality gap between 0 and 1")
    return float(tol)
