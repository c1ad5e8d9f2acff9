"""Turns places on the map into regions at three zooms, each named by what its factors share.

The finest regions are clusters of places (k-means); coarser ones are joined from them (Ward), so
that each region lies within one of the zoom before. A name is written as a label is:

    [of] · danger, threat, risk    most of its factors are active on “of”, and these words are near
    treaty, britain, convention    they are active on many words
    (empty)                        nothing that the rest of the map does not share as well

A factor holds a word if it is among its own in OWN_SHARE of its examples; and a word near it if
that is in FEWEST_EXAMPLES of them, and LIFT times as often as near the examples of all factors. Of
the words that a region's factors hold more often than others do, the most telling ones that enough
of its factors hold make the name: by their log-odds over its standard deviation, with the prior of
`tfactors.describe.word_bags` (Monroe, Colaresi and Quinn, 2008, “Fightin' words”).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from tfactors import ragged
from tfactors.describe.factor_texts import FactorTexts
from tfactors.describe.word_bags import PRIOR

# How many factors a finest region has on average, and how many regions a zoom has at most.
FACTORS_A_REGION = 16
MOST_REGIONS = (12, 130, 400)
# Regions of one zoom that make one of the zoom before, on average.
JOINED = (4, 3)
OWN_SHARE = 0.3
FEWEST_EXAMPLES = 3
LIFT = 3.0
# What share of a region's factors has to hold a word: one of their own, and one that is near, by
# zoom: the more factors a region has, the less they share.
LEAST_OWN = 0.5
LEAST_NEAR = (0.08, 0.1, 0.15)
# Words that begin with the same letters say the same: mexico and mexican.
_SAME_LETTERS = 5
# Smaller regions than this need so many factors that hold a word.
FEWEST_FACTORS = 3
LEAST_Z, LEAST_ODDS = 2.5, np.log(2.0)
MOST_OWN, MOST_NEAR = 2, 3


@dataclass(frozen=True)
class Region:
    """A part of the map.

    Attributes
    ----------
    zoom : int
        0 for the coarsest.
    name : str
        What its factors share; "" where that is nothing.
    shared : float
        The share of its factors that hold a word of the name.
    x, y : float
        The place of the factor in its middle.
    factors : (n,) int
        Its factors, ascending.
    """

    zoom: int
    name: str
    shared: float
    x: float
    y: float
    factors: np.ndarray


def regions_of(places: np.ndarray, texts: FactorTexts, seed: int = 0) -> list[Region]:
    """Return the regions of a map, zoom by zoom, the largest first.

    Parameters
    ----------
    places : (m, 2) float32
        Where each factor lies.
    texts : FactorTexts
        The words of these factors.
    seed : int
        Of k-means.
    """
    own, near = _held_own(texts), _held_near(texts)
    regions = []
    for zoom, region in enumerate(_partitions(places, seed)):
        order = np.argsort(-np.bincount(region), kind="stable")
        for number in order.tolist():
            members = np.flatnonzero(region == number)
            name, shared = _name(own, near, members, texts.words, LEAST_NEAR[zoom])
            middle = places[members].mean(axis=0)
            away = np.linalg.norm(places[members] - middle, axis=1)
            x, y = places[members[away.argmin()]].tolist()
            regions.append(Region(zoom, name, shared, x, y, members))
    return regions


def region_counts(factors: int) -> tuple[int, ...]:
    """Return how many regions each zoom has at most, the coarsest first.

    >>> region_counts(1800), region_counts(20_000), region_counts(20)
    ((9, 37, 112), (12, 130, 400), (1, 1, 1))
    """
    finest = min(factors // FACTORS_A_REGION, MOST_REGIONS[2])
    middle = min(finest // JOINED[1], MOST_REGIONS[1])
    counts = (min(middle // JOINED[0], MOST_REGIONS[0]), middle, finest)
    return tuple(max(count, 1) for count in counts)


def _partitions(places: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return the number of each factor's region at every zoom, ZOOMS times (m,) int."""
    from sklearn.cluster import AgglomerativeClustering, KMeans
    from threadpoolctl import threadpool_limits

    counts = region_counts(len(places))
    # As many clusters as there are places at most: factors may share one.
    counts = tuple(min(count, len(np.unique(places, axis=0))) for count in counts)
    with threadpool_limits(1):  # more threads would round differently from run to run
        finest = KMeans(counts[-1], n_init=4, random_state=seed).fit(places.astype(np.float64))
        partitions = [finest.labels_]
        for count in counts[-2::-1]:
            joined = np.zeros(counts[-1], np.int64)
            if count > 1:
                joined = AgglomerativeClustering(count).fit(finest.cluster_centers_).labels_
            partitions.insert(0, joined[finest.labels_])
    return partitions


def _held_own(texts: FactorTexts) -> csr_array:
    return _ones(texts.own, texts.own.data >= OWN_SHARE)


def _held_near(texts: FactorTexts) -> csr_array:
    owner = ragged.owners(np.diff(texts.near.indptr))
    enough = texts.near.data * texts.examples[owner] >= FEWEST_EXAMPLES - 0.5
    return _ones(texts.near, enough & (texts.near.data >= LIFT * texts.usual[texts.near.indices]))


def _ones(shares: csr_array, keep: np.ndarray) -> csr_array:
    rows = ragged.owners(np.diff(shares.indptr))[keep]
    return csr_array((np.ones(len(rows)), (rows, shares.indices[keep])), shape=shares.shape)


def _name(
    own: csr_array, near: csr_array, members: np.ndarray, words: np.ndarray, least: float
) -> tuple[str, float]:
    """Return the name of the factors of some rows, and the share of them that it fits.

    ``least`` is the share of them that has to hold a word that is near.
    """
    own_stems = _telling(own, members, LEAST_OWN)[:MOST_OWN]
    near_stems: list[int] = []
    said = {words[stem][:_SAME_LETTERS] for stem in own_stems}
    for stem in _telling(near, members, least):
        if words[stem][:_SAME_LETTERS] not in said and len(near_stems) < MOST_NEAR:
            near_stems.append(stem)
            said.add(words[stem][:_SAME_LETTERS])
    if not own_stems and len(near_stems) < 2:
        return "", 0.0
    parts = [f"[{'|'.join(words[own_stems])}]"] if own_stems else []
    parts += [", ".join(words[near_stems])] if near_stems else []
    holding = own[members][:, own_stems].sum(axis=1) + near[members][:, near_stems].sum(axis=1)
    return " · ".join(parts), float((np.asarray(holding) > 0).mean())


def _telling(held: csr_array, members: np.ndarray, least: float) -> list[int]:
    """Return the stems that members hold more often than other factors, the most telling first."""
    m, n = held.shape[0], len(members)
    holding = np.bincount(held[members].indices, minlength=held.shape[1])
    stems = np.flatnonzero(holding >= max(FEWEST_FACTORS, least * n))
    everywhere = np.bincount(held.indices, minlength=held.shape[1])[stems]
    p = np.clip(everywhere / m, 1e-9, 1 - 1e-9)
    with_prior = holding[stems] + PRIOR * p
    without = n - holding[stems] + PRIOR * (1 - p)
    odds = np.log(with_prior / without) - np.log(p / (1 - p))
    z = odds / np.sqrt(1 / with_prior + 1 / without)
    order = np.lexsort((stems, -z))
    return stems[order][(z[order] >= LEAST_Z) & (odds[order] >= LEAST_ODDS)].tolist()
