"""What decides an activation: shares of its variance, and how many words and windows it spreads on.

Turns the codes of some tokens into numbers of every factor. The activation a of a factor is taken
over all tokens, zeros included. The share of its variance that lies between groups of tokens (all
tokens of one id, or of one window) is told by pairs of different tokens of one group, because
nothing but the group makes two of them alike:

    E₂   = Σ_g n_g · (S_g² − Q_g) / (n_g (n_g − 1)) / N
    μ²   = ((Σ a)² − Σ a²) / (N (N − 1))
    share = (E₂ − μ²) / (Σ a² / N − μ²)

with S_g and Q_g the sums of a and a² in group g of n_g ≥ 2 tokens, N = Σ n_g, and every sum over
these tokens alone: a token without a partner tells nothing. E₂ is the mean of a_i a_j over the
tokens i, j drawn from the others of the same group; μ² is the same for j drawn from all others, so
that groups dealt out by chance have a share of 0 in expectation, whatever their sizes. A function
of the group has a share of exactly 1. Estimates near 0 can be below it.

How many words or windows the activation spreads on is the effective number

    exp(−Σ_g p_g log p_g),   p_g = S_g / Σ S

which is k where k groups share the activation evenly.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

# A factor that was active on fewer of the tokens has no numbers: chance would make them.
FEWEST_ACTIVATIONS = 20


def numbers_of_all_activations(
    codes: csr_array, token_ids: np.ndarray, windows: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what decides each factor at one layer, as columns of factors.parquet.

    Parameters
    ----------
    codes : (n, m) csr_array
        Activations of n tokens.
    token_ids, windows : (n,) integers
        The id of each token, and the number of its window.

    Returns
    -------
    dict of (m,) float64
        ``token_share`` and ``window_share``, in 0 … 1, and ``effective_windows``; NaN for a factor
        with fewer than 20 activations.
    """
    enough = np.bincount(codes.indices[codes.data > 0], minlength=codes.shape[1])
    numbers = {
        "token_share": between_share(codes, token_ids).clip(0, 1),
        "window_share": between_share(codes, windows).clip(0, 1),
        "effective_windows": effective_number(codes, windows),
    }
    return {k: np.where(enough >= FEWEST_ACTIVATIONS, v, np.nan) for k, v in numbers.items()}


def between_share(codes: csr_array, groups: np.ndarray) -> np.ndarray:
    """Return the share of each factor's variance that lies between groups of tokens.

    Parameters
    ----------
    codes : (n, m) csr_array
        Activations of n tokens.
    groups : (n,) integers
        The group of each token, as the number of its kind or of its window.

    Returns
    -------
    (m,) float64
        As it was estimated, so slightly below 0 at times; NaN where no group has two tokens, and of
        a factor that is the same on all of those that have.

    Examples
    --------
    >>> codes = csr_array(np.array([[2.0, 2.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 9.0]]))
    >>> between_share(codes, np.array([7, 7, 8, 8, 9])).round(2).tolist()
    [1.0, -0.5]
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    with_partner = sizes[group] > 1
    total = int(with_partner.sum())
    if not total:
        return np.full(codes.shape[1], np.nan)
    _, group, sizes = np.unique(group[with_partner], return_inverse=True, return_counts=True)
    codes = csr_array(codes[with_partner], dtype=np.float64)
    squares = codes.power(2)
    pairs = 1 / (sizes - 1)
    # Σ_g (S_g² − Q_g) / (n_g − 1), the second part without its sums by group.
    of_groups = pairs @ _sums(codes, group, len(sizes)).power(2) - pairs[group] @ squares
    of_all = squares.sum(axis=0)
    mean_square = (codes.sum(axis=0) ** 2 - of_all) / (total * (total - 1))
    variance = of_all / total - mean_square
    known = variance > _ROUNDING * of_all / total
    between = of_groups / total - mean_square
    return np.where(known, between / np.where(known, variance, 1), np.nan)


# Relative: a variance below it is the rounding of a factor that is the same everywhere.
_ROUNDING = 1e-12


def effective_number(codes: csr_array, groups: np.ndarray) -> np.ndarray:
    """Return how many groups of tokens each factor's activation spreads on, exp(entropy).

    Parameters
    ----------
    codes : (n, m) csr_array
        Activations of n tokens, 0 or more.
    groups : (n,) integers
        The group of each token, as the number of its word or of its window.

    Returns
    -------
    (m,) float64
        From 1 to the number of groups; NaN for a factor that is nowhere active.

    Examples
    --------
    >>> codes = csr_array(np.array([[1.0, 0.0, 3.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    >>> effective_number(codes, np.array([0, 0, 1])).round(2).tolist()
    [2.0, nan, 1.0]
    """
    names, group = np.unique(groups, return_inverse=True)
    sums = _sums(csr_array(codes, dtype=np.float64), group, len(names))
    total = sums.sum(axis=0)
    active = total > 0
    sums.eliminate_zeros()
    # −Σ p log p = log T − Σ S log S / T, with T the sum of all S.
    sums.data *= np.log(sums.data)
    entropy = np.log(np.where(active, total, 1)) - sums.sum(axis=0) / np.where(active, total, 1)
    return np.where(active, np.exp(entropy), np.nan)


def strongest(codes: csr_array, number: int) -> csr_array:
    """Return the codes with the largest so many of each factor, and no others.

    Parameters
    ----------
    codes : (n, m) csr_array
        Activations of n tokens.
    number : int
        How many of each factor stay, at most; of equal ones the first.

    Examples
    --------
    >>> strongest(csr_array(np.array([[1.0, 0.0], [3.0, 2.0], [2.0, 0.0]])), 2).toarray().tolist()
    [[0.0, 0.0], [3.0, 2.0], [2.0, 0.0]]
    """
    by_token = csr_array(codes).tocoo()
    order = np.lexsort((by_token.row, -by_token.data, by_token.col))
    column = by_token.col[order]
    first = np.searchsorted(column, column)
    kept = order[np.arange(len(order)) - first < number]
    return csr_array(
        (by_token.data[kept], (by_token.row[kept], by_token.col[kept])), shape=codes.shape
    )


def _sums(codes: csr_array, group: np.ndarray, groups: int) -> csr_array:
    """Return the sums of codes (n, m) by group, (groups, m), as sparse as the codes."""
    n = len(group)
    of_group = csr_array((np.ones(n), (group, np.arange(n))), shape=(groups, n))
    return csr_array(of_group @ codes)


def changed_text_share(activation: np.ndarray, changed: np.ndarray, density: float) -> float:
    """Return the share of a factor's variance that what stayed of some texts decides.

    Two readings of a token whose texts share nothing but a part are a pair of different tokens of
    one group, the group being that part:

        share = (p · mean(a a′) − (p · mean a)²) / (p · mean(a²) − (p · mean a)²)

    Where the factor is silent, a is 0 and so is a a′, so that nothing is asked there.

    Parameters
    ----------
    activation : (k,) float
        Activations a of the factor drawn at random from those above 0.
    changed : (k,) float
        The activations a′ of the same tokens where all but the part is another text.
    density : float
        The share p of all tokens that activate the factor.

    Returns
    -------
    float
        Not bounded: chance may take it below 0, and activations that grow above 1. NaN without
        activations, and where all tokens have the same.

    Examples
    --------
    >>> a = np.array([1.0, 3.0])
    >>> changed_text_share(a, a, 0.1), round(changed_text_share(a, a / 2, 0.1), 3)
    (1.0, 0.457)
    """
    if not len(activation):
        return float("nan")
    a, b = np.asarray(activation, np.float64), np.asarray(changed, np.float64)
    square = (density * a.mean()) ** 2
    variance = density * (a**2).mean() - square
    if variance <= 0:
        return float("nan")
    return float((density * (a * b).mean() - square) / variance)
