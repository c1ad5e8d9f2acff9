"""The compiled kernel of sparse coding: one row at a time, an active-set method.

For a row x with the correlations b = xΦᵀ, the Gram matrix G = ΦΦᵀ and a penalty λ it solves

    min_{α ≥ 0}  P(α),      P(α) = ½‖x − αΦ‖² + λ‖α‖₁ ,

which needs b, G and ‖x‖² only. A small working set W of atoms, whose Gram matrix G_WW fits the
first-level cache, grows until the duality gap is small enough. A round is:

    1. the atoms that correlate most with the residual, r_j > λ, join W;
    2. a few sweeps of coordinate descent on W find the signs (who is zero, who is positive);
    3. Cholesky solves G_SS α_S = b_S − λ on the support S exactly; a step that would leave α ≥ 0
       stops at the boundary, drops that atom and solves again (Lawson and Hanson, 1974, ch. 23);
    4. r = b − α_S G_S over all m atoms, which are contiguous rows of G, and the gap.

With 0 ≤ s ≤ λ / max r the scaled residual s(x − αΦ) is feasible for the dual problem; its value D
is a lower bound of every P, and

    P(α) − D = ½(1 − s)²‖x − αΦ‖² + λ‖α‖₁ − s·αrᵀ ,      smallest at s = 1 + αrᵀ / ‖x − αΦ‖² .

Columns of B and of the Gram matrix are padded with zeros to whole cache lines of LANES floats.
The arithmetic is that of the arrays given: float32, or float64 for rows that need it.
"""

# mypy: disable-error-code="no-untyped-def"

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

LANES = 16
"""Floats in a cache line: the Gram matrix is padded to whole lines and searched line by line."""

JOIN = 32
"""Atoms that may join the working set in one round."""

NEAR = 0.7
"""Only atoms that correlate with the residual at least NEAR times as much as the best one join:
the others mostly fall below the penalty once the best ones are in."""

SWEEPS = 5
"""Sweeps of coordinate descent before the exact solve, and one more for every 16 atoms in W."""

AIM = 0.5
"""A row is done at AIM times the tolerance, or at the tolerance when no atom wants to join: half
the mean gap, at no cost that can be measured."""

RESOLUTION = 2.0**-18
"""Where float32 codes end, relative to ‖x‖: a dual point may exceed a smaller penalty by up to
RESOLUTION·‖x‖, and a gap is relative to at least RESOLUTION·½‖x‖²."""

REFITS = 20
"""Rounds of a refit at most; nearly every code needs one."""

DEPENDENT = 0.3
"""Atoms are dependent where a pivot of Cholesky falls below DEPENDENT·√eps (float32: 1e-4)."""


# No NaN reaches the kernel, and sums may be reordered: both let LLVM use the SIMD lanes.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "nnan"},
}


def compiled(function: Callable) -> Callable:
    """Compile on the first call and cache it beside the module, or in the user's cache folder."""
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # no folder at all can be written: compile in every process
        return njit(**OPTIONS)(function)


def inlined(function: Callable) -> Callable:
    """A part of compiled functions, which becomes part of the code of each that calls it.

    Left to call it by name, a process that has just compiled both would find the part as compiled
    by itself, one that reads the cache as compiled with its caller: the last bits would differ.
    """
    return njit(forceinline=True, **OPTIONS)(function)


@inlined
def _correlations(b, gram, atoms, values, n, r):
    """r = b − α_S G_S, four rows of the Gram matrix at a time."""
    for j in range(r.size):
        r[j] = b[j]
    for i in range(0, n - 3, 4):
        g0, g1, g2, g3 = gram[atoms[i]], gram[atoms[i + 1]], gram[atoms[i + 2]], gram[atoms[i + 3]]
        v0, v1, v2, v3 = values[i], values[i + 1], values[i + 2], values[i + 3]
        for j in range(r.size):
            r[j] -= v0 * g0[j] + v1 * g1[j] + v2 * g2[j] + v3 * g3[j]
    for i in range(n - n % 4, n):
        g0, v0 = gram[atoms[i]], values[i]
        for j in range(r.size):
            r[j] -= v0 * g0[j]


@inlined
def _line_maxima(r, maxima):
    """The largest value of every line of r, and of all of r."""
    highest = r[0]
    for line in range(maxima.size):
        top = r[line * LANES]
        for j in range(line * LANES + 1, (line + 1) * LANES):
            top = max(top, r[j])
        maxima[line] = top
        highest = max(highest, top)
    return highest


@inlined
def _most_correlated(r, maxima, place, threshold, joining):
    """Up to JOIN atoms outside the working set with the largest r_j > threshold."""
    joined = 0
    for line in range(maxima.size):
        if maxima[line] > threshold:
            for j in range(line * LANES, (line + 1) * LANES):
                if r[j] > threshold and place[j] < 0:
                    if joined < JOIN:
                        joining[joined] = j
                        joined += 1
                        continue
                    weakest = 0
                    for i in range(1, JOIN):
                        if r[joining[i]] < r[joining[weakest]]:
                            weakest = i
                    if r[j] > r[joining[weakest]]:
                        joining[weakest] = j
    return joined


@inlined
def _join(j, k, place, atoms, b, b_w, gram, gram_w):
    """Atom j takes place k, the next free one, in the working set."""
    place[j], atoms[k], b_w[k] = k, j, b[j]
    row = gram[j]
    for i in range(k + 1):
        gram_w[k, i] = gram_w[i, k] = row[atoms[i]]


@inlined
def _descend(gram_w, left, alpha, n, penalty):
    """Coordinate descent on the working set; left = b_W − α_W G_WW is kept up to date."""
    zero, width = penalty * 0, (n + LANES - 1) // LANES * LANES
    for _ in range(SWEEPS + n // 16):
        largest = zero
        for k in range(n):
            step = max(zero, alpha[k] + left[k] - penalty) - alpha[k]
            if step != zero:
                alpha[k] += step
                row = gram_w[k]
                for i in range(width):
                    left[i] -= step * row[i]
                largest = max(largest, abs(step))
        if largest <= penalty * alpha.dtype.type(1e-3):
            break


@inlined
def _residual(gram_w, b_w, alpha, n, left):
    """left = b_W − α_W G_WW afresh; returns its largest value."""
    width = (n + LANES - 1) // LANES * LANES
    for i in range(width):
        left[i] = b_w[i]
    for k in range(n):
        value, row = alpha[k], gram_w[k]
        if value != 0:
            for i in range(width):
                left[i] -= value * row[i]
    highest = left[0]
    for k in range(1, n):
        highest = max(highest, left[k])
    return highest


@inlined
def _solve_support(gram_w, b_w, alpha, n, penalty, left, lower, upper, step, support, factored):
    """Newton steps α_S += G_SS⁻¹ (left_S − λ) on the support S, kept within α ≥ 0.

    A step stops where the first atom reaches zero; that atom leaves and the rest solves again.
    Where atoms of S depend on each other, the step goes along the dependence instead: αΦ stays,
    ‖α‖₁ falls, until one of them reaches zero. G_SS = lower @ upper, upper = lower.T, is Cholesky's
    with the diagonal inverted; rows of the atoms that S kept since the last call stay factored.
    """
    zero, one = penalty * 0, alpha.dtype.type(1)
    dependent = alpha.dtype.type(DEPENDENT) * np.sqrt(np.finfo(alpha.dtype).eps)
    while True:
        size, kept = 0, 0
        for k in range(n):
            if alpha[k] > zero:
                if kept == size and size < factored and support[size] == k:
                    kept += 1
                support[size] = k
                size += 1
        length = one
        for i in range(kept, size):
            for j in range(i + 1):
                lower[i, j] = gram_w[support[i], support[j]]
        for j in range(size):
            if j >= kept:
                if lower[j, j] < dependent:
                    length = alpha.dtype.type(1e30)
                    break
                lower[j, j] = one / np.sqrt(lower[j, j])
                kept = j + 1
            for i in range(kept, size):
                lower[i, j] *= lower[j, j]
                upper[j, i] = lower[i, j]
            for i in range(kept, size):
                value = lower[i, j]
                for q in range(i + 1):  # upper[j, : j + 1] is zero
                    lower[i, q] -= value * upper[j, q]
        factored = kept
        last = factored
        if length > one:  # atom `last` of S = Σ w_q atom q: find w
            step[:last] = lower[last, :last]
            size = last + 1
        else:
            for i in range(size):
                step[i] = left[support[i]] - penalty
            for i in range(size):
                step[i] *= lower[i, i]
                value, column = step[i], upper[i]
                for q in range(size):
                    step[q] -= value * column[q]
        for i in range(last - 1, -1, -1):
            step[i] *= lower[i, i]
            value, row = step[i], lower[i]
            for q in range(i):
                step[q] -= value * row[q]
        if length > one:
            total = -one
            for i in range(last):
                total += step[i]
            step[last] = -one
            if total > zero:
                for i in range(size):
                    step[i] = -step[i]
        blocked = -1
        for i in range(size):
            if alpha[support[i]] + length * step[i] < zero:
                length, blocked = -alpha[support[i]] / step[i], support[i]
        for i in range(size):
            alpha[support[i]] = max(zero, alpha[support[i]] + length * step[i])
        if blocked >= 0:
            alpha[blocked] = zero
        highest = _residual(gram_w, b_w, alpha, n, left)
        if blocked < 0:
            return highest, factored


@compiled
def solve_rows(
    X, B, gram, penalties, tol, rounds, norms, start, squares, indices, data, counts, gaps
):
    """Solve every row of X, B = XΦᵀ, for its penalties in the order given, each from the last.

    Writes the codes to ``indices``, ``data`` and ``counts`` (row, penalty) and their relative gaps
    to ``gaps``; infinity and no entries where the working set outgrows ``limit`` atoms or ‖x‖ lies
    outside ``norms``. ``start`` is (indptr, indices): atoms that join first. ``squares``
    (3, limit, limit) is room to work in, zeros at first. Returns the number of entries written.
    """
    real, limit = B.dtype.type, squares.shape[1]
    gram_w, lower, upper = squares[0], squares[1], squares[2]
    zero, one, half, tiny = real(0), real(1), real(0.5), np.finfo(B.dtype).tiny
    rest, maxima = np.empty(B.shape[1], B.dtype), np.empty(B.shape[1] // LANES, B.dtype)
    place = np.full(B.shape[1], -1, np.int32)  # of an atom in the working set
    atoms, support = np.empty(limit, np.int32), np.empty(limit, np.int32)
    used, joining = np.empty(limit, np.int32), np.empty(limit, np.int32)
    alpha, values, b_w = (
        np.zeros(limit, B.dtype),
        np.empty(limit, B.dtype),
        np.zeros(limit, B.dtype),
    )
    left, z = np.zeros(limit, B.dtype), np.zeros(limit, B.dtype)
    started, start_atoms = start
    margin = one + real(tol / 4)
    written = 0
    for t in range(B.shape[0]):
        b, n, size, factored = B[t], 0, 0, 0
        norm2 = zero
        for i in range(X.shape[1]):
            norm2 += X[t, i] * X[t, i]
        norm = np.sqrt(norm2)
        if not norms[0] <= norm <= norms[1]:
            counts[t], gaps[t] = 0, np.inf
            continue
        noise, least = real(RESOLUTION) * norm, real(RESOLUTION) * half * norm2 + tiny
        eps = np.finfo(B.dtype).eps
        doubt = real(8) * eps * norm2  # rounding in ‖x − αΦ‖²
        r = b
        highest = _line_maxima(r, maxima)
        for p in range(penalties.shape[1]):
            penalty = penalties[t, p]
            for attempt in range(rounds):
                # 1. Who joins: the start of this row, or the best correlated atoms.
                joined = 0
                if attempt == 0 and p == 0:
                    for e in range(started[t], min(started[t + 1], started[t] + limit)):
                        joining[joined] = start_atoms[e]
                        joined += 1
                if joined == 0:
                    joined = _most_correlated(
                        r, maxima, place, max(penalty * margin, real(NEAR) * highest), joining
                    )
                if n + joined > limit:  # make room: only the support stays
                    for k in range(n):
                        place[atoms[k]] = -1
                        alpha[k] = zero
                    n, factored = 0, 0
                    for i in range(size):
                        _join(used[i], n, place, atoms, b, b_w, gram, gram_w)
                        alpha[n] = values[i]
                        n += 1
                if n + joined > limit:
                    counts[t, p], gaps[t, p], size = 0, np.inf, 0
                    break
                for i in range(joined):
                    _join(joining[i], n, place, atoms, b, b_w, gram, gram_w)
                    n += 1

                # 2 and 3. Solve on the working set.
                for k in range(n):
                    left[k] = r[atoms[k]]
                for _ in range(10):
                    _descend(gram_w, left, alpha, n, penalty)
                    highest, factored = _solve_support(
                        gram_w, b_w, alpha, n, penalty, left, lower, upper, z, support, factored
                    )
                    if highest <= penalty * real(1.001):
                        break

                # 4. The correlations with all atoms and the certificate.
                size, total, product, explained = 0, zero, zero, zero
                for k in range(n):
                    if alpha[k] > zero:
                        used[size], values[size] = atoms[k], alpha[k]
                        size += 1
                r = rest
                _correlations(b, gram, used, values, size, r)
                highest = _line_maxima(r, maxima)
                for i in range(size):
                    total += values[i]
                    product += values[i] * r[used[i]]
                    explained += values[i] * b[used[i]]
                error2 = max(zero, norm2 - explained - product) + doubt
                primal = half * error2 + penalty * total
                s = one if product >= zero else max(zero, one + product / max(error2, tiny))
                if s * highest > max(penalty, noise):
                    s = max(penalty, noise) / highest
                gap = half * (one - s) ** 2 * error2 + penalty * total - s * product
                gap += eps * norm * total  # rounding in αrᵀ
                gaps[t, p] = max(zero, gap) / max(primal - doubt, least)
                if gaps[t, p] <= (tol if joined == 0 else real(AIM) * tol):
                    break
            counts[t, p] = size
            for i in range(size):  # sorted by insertion: a code has few entries
                j, value, e = used[i], values[i], written + i
                while e > written and indices[e - 1] > j:
                    indices[e], data[e] = indices[e - 1], data[e - 1]
                    e -= 1
                indices[e], data[e] = j, value
            written += size
        for k in range(n):
            place[atoms[k]] = -1
            alpha[k] = zero
    return written


@compiled
def refit_rows(X, dictionary, gram, squares, indptr, indices, data):
    """Replace codes in compressed rows by those that fit best on the same atoms, without a price.

    Every row becomes argmin ‖x − αΦ‖² over α ≥ 0 that is zero wherever the code was; what falls to
    zero stays among ``data`` as 0. ``squares`` (3, limit, limit), float64 and zeros at first, is
    room to work in for codes of at most ``limit`` atoms, a whole number of LANES.
    """
    gram_w, lower, upper = squares[0], squares[1], squares[2]
    limit = squares.shape[1]
    alpha, b_w, left, step = np.zeros(limit), np.zeros(limit), np.zeros(limit), np.zeros(limit)
    support, zero = np.empty(limit, np.int32), 0.0
    for t in range(X.shape[0]):
        first, n, norm2, factored = indptr[t], indptr[t + 1] - indptr[t], zero, 0
        if n == 0:
            continue
        for i in range(X.shape[1]):
            norm2 += np.float64(X[t, i]) * np.float64(X[t, i])
        for k in range(n):
            atom, product = dictionary[indices[first + k]], zero
            for i in range(atom.size):
                product += np.float64(X[t, i]) * np.float64(atom[i])
            b_w[k], alpha[k] = product, data[first + k]
            row = gram[indices[first + k]]
            for i in range(n):
                gram_w[k, i] = row[indices[first + i]]
        _residual(gram_w, b_w, alpha, n, left)
        for _ in range(REFITS):
            highest, factored = _solve_support(
                gram_w, b_w, alpha, n, zero, left, lower, upper, step, support, factored
            )
            if highest <= RESOLUTION * np.sqrt(norm2):
                break
            _descend(gram_w, left, alpha, n, zero)  # an atom that left comes back
        for k in range(n):
            data[first + k] = alpha[k]


@compiled
def squared_errors(X, dictionary, indptr, indices, data, errors):
    """‖x − αΦ‖² of every row of X for codes in compressed rows."""
    residual = np.empty(X.shape[1], X.dtype)
    for t in range(X.shape[0]):
        residual[:] = X[t]
        for e in range(indptr[t], indptr[t + 1]):
            value, atom = data[e], dictionary[indices[e]]
            for i in range(residual.size):
                residual[i] -= value * atom[i]
        total = residual[0] * 0
        for i in range(residual.size):
            total += residual[i] * residual[i]
        errors[t] = total
