"""Turns codes of the occurrences of a word at one layer into groups, and how well these separate.

Of each occurrence the 6 strongest activations count, as a row of norm 1. Ward's method joins rows
into a tree, which is cut where the mean silhouette is largest (Rousseeuw 1987),

    s = (b − a) / max(a, b),     distance of two occurrences = 1 − cosine,

a being the mean distance of an occurrence to those of its own group, b to those of the nearest
other one. Groups of fewer than three occurrences are shown as strays, and count as what they are:
clusters of their own. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.sparse import csr_array

from tfactors import ragged

STRONGEST = 6  # activations of an occurrence that count
SMALLEST_GROUP = 3
MOST_GROUPS = 6
MOST_STRAYS = 0.2  # share of occurrences that may be in smaller groups
STRAY = -1


@dataclass(frozen=True)
class Grouping:
    """The groups of the occurrences of one word at one layer.

    Attributes
    ----------
    layer : int
        The layer.
    group : (n,) int64
        The group of each occurrence, numbered from 0, the largest first; STRAY in none.
    silhouette : float
        Mean over the occurrences; NaN where no cut gives two groups.
    """

    layer: int
    group: np.ndarray
    silhouette: float

    @property
    def groups(self) -> int:
        """How many groups there are; 1 where none separate."""
        return int(self.group.max(initial=0)) + 1


def strongest(codes: csr_array, most: int = STRONGEST) -> csr_array:
    """Return codes with only the largest activations of each row; of equals the first factors."""
    row = ragged.owners(np.diff(codes.indptr))
    order = np.lexsort((codes.indices, -codes.data, row))
    rank = np.arange(len(order)) - codes.indptr[row]
    largest = order[rank < most]
    places = row[largest], codes.indices[largest]
    return csr_array((codes.data[largest], places), shape=codes.shape)


def grouped(codes: csr_array, layer: int = 0) -> Grouping:
    """Return the groups of occurrences whose codes (n, m) are given."""
    n = codes.shape[0]
    best = Grouping(layer, np.zeros(n, np.int64), float("nan"))  # one group, no cut
    if n < 2 * SMALLEST_GROUP:
        return best
    rows = directions(codes)
    distance = np.clip(1 - rows @ rows.T, 0, 2)
    np.fill_diagonal(distance, 0)
    if not distance.any():
        return best
    for column in islice(_cuts(linkage(rows, "ward"), n), MOST_GROUPS + int(MOST_STRAYS * n)):
        sizes = np.bincount(column)
        large = sizes >= SMALLEST_GROUP
        if sizes[~large].sum() > MOST_STRAYS * n:
            break
        if not 2 <= large.sum() <= MOST_GROUPS:
            continue
        mean = float(silhouettes(distance, column).mean())
        if not mean <= best.silhouette:  # the first is compared with NaN
            order = np.argsort(-np.where(large, sizes, 0), kind="stable")
            number = np.full(len(sizes), STRAY)
            number[order[: large.sum()]] = np.arange(large.sum())
            best = Grouping(layer, number[column], mean)
    return best


def _cuts(tree: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """Yield the clusters of a tree of n points, (n,) numbers: two of them, then three, to n.

    Each is the one before with the cluster parted that was joined last.
    """
    column = np.zeros(n, np.int64)
    number_of = {2 * n - 2: 0}  # node of the tree -> number of the cluster
    for clusters, merge in enumerate(range(n - 2, -1, -1), start=1):
        left, right = int(tree[merge, 0]), int(tree[merge, 1])
        number = number_of.pop(n + merge)
        number_of |= {left: number, right: clusters}
        column = column.copy()
        column[_points(tree, right, n)] = clusters
        yield column


def _points(tree: np.ndarray, node: int, n: int) -> list[int]:
    """Return the points below a node of a tree of n points."""
    points, waiting = [], [node]
    while waiting:
        node = waiting.pop()
        if node < n:
            points.append(node)
        else:
            waiting += [int(tree[node - n, 0]), int(tree[node - n, 1])]
    return points


def directions(codes: csr_array) -> np.ndarray:
    """Return the rows of codes with norm 1 over the factors that are active, (n, active)."""
    active = np.unique(codes.indices)
    place = np.searchsorted(active, codes.indices)
    shape = (codes.shape[0], len(active))
    dense = csr_array((codes.data, place, codes.indptr), shape=shape).toarray().astype(np.float64)
    return dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12)


def silhouettes(distance: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the silhouette of each point; 0 for one that is alone in its group.

    Parameters
    ----------
    distance : (n, n) float
        Between the points.
    group : (n,) int
        Numbers 0, 1 … of which at least two occur.

    Returns
    -------
    (n,) float64
    """
    n, sizes = len(group), np.bincount(group)
    sums = distance @ np.eye(len(sizes))[group]
    own_group = np.arange(n), group
    within = sums[own_group] / np.maximum(sizes[group] - 1, 1)
    means = sums / sizes
    means[own_group] = np.inf
    other = means.min(axis=1)
    silhouette = (other - within) / np.maximum(np.maximum(within, other), 1e-12)
    return np.where(sizes[group] > 1, silhouette, 0.0)


def best_of(groupings: Sequence[Grouping]) -> Grouping | None:
    """Return the grouping that separates best, the lowest layer of equals; None if none does.

    Not that of layer 0: before the first block a token knows its word and its position, and no
    context, so groups there are places in the window.
    """
    separate = [g for g in groupings if g.layer > 0 and not np.isnan(g.silhouette)]
    return max(separate, key=lambda g: (g.silhouette, -g.layer), default=None)


def by_chance(codes: csr_array, draws: int = 20, seed: int = 0) -> float:
    """Return the mean silhouette of the groups found where there are none to find.

    In each draw the activations of every factor are dealt out anew among the occurrences, so that
    factors go on being as frequent and as strong as they are, and no longer go together.
    """
    rng, silhouettes_by_chance = np.random.default_rng(seed), []
    dense = codes[:, np.unique(codes.indices)].toarray()
    for _ in range(draws):
        silhouette = grouped(csr_array(rng.permuted(dense, axis=0))).silhouette
        silhouettes_by_chance.append(0.0 if np.isnan(silhouette) else silhouette)
    return float(np.mean(silhouettes_by_chance))


def marks(codes: csr_array, group: np.ndarray, number: int, most: int = 4) -> list[int]:
    """Return the factors that mark a group, at most so many.

    Their mean activation inside the group less that outside is largest; the largest comes first,
    and only those that are stronger inside count.

    Parameters
    ----------
    codes : (n, m) csr_array
        Of the occurrences.
    group : (n,) int
        The group of each.
    number : int
        The group that is asked about.
    most : int
        How many factors at most.
    """
    inside = codes[group == number].mean(axis=0)
    outside = codes[group != number].mean(axis=0) if (group != number).any() else 0 * inside
    gain = np.asarray(inside).ravel() - np.asarray(outside).ravel()
    order = np.argsort(-gain, kind="stable")[:most]
    return [int(factor) for factor in order if gain[factor] > 0]
