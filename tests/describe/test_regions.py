"""Regions of the map: that they part it at every zoom, and what they are called."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array

from tfactors.bundle.format import REGION_ZOOMS
from tfactors.describe.factor_texts import FactorTexts
from tfactors.describe.regions import Region, region_counts, regions_of
from tfactors.portrait.map_names import placed_names
from tfactors.stages.map import table_of

WORDS = np.array(["of", "the", "treaty", "britain", "water", "carbon", "year"], object)
GROUP = np.repeat(np.arange(3), 64)
M = len(GROUP)


def shares(held: dict[int, list[tuple[int, float]]]) -> csr_array:
    """The share of each factor's examples that have a word, by group of factors."""
    table = np.zeros((M, len(WORDS)))
    for group, words in held.items():
        for word, share in words:
            table[group == GROUP, word] = share
    return csr_array(table)


@pytest.fixture(scope="module")
def found() -> list[Region]:
    """Three heaps: one on “of”, one about treaties, one of which the words are everywhere."""
    own = shares({0: [(0, 0.9)], 1: [(1, 0.1)], 2: [(1, 0.1)]})
    near = shares({0: [(4, 0.2), (5, 0.3)], 1: [(2, 0.4), (3, 0.3)], 2: [(6, 0.05)]})
    texts = FactorTexts(own, near, np.full(M, 80), np.full(len(WORDS), 0.03), WORDS)
    places = (
        np.random.default_rng(0).normal(size=(M, 2))
        + 40 * np.array([[0, 0], [1, 0], [0, 1]])[GROUP]
    )
    return regions_of(places.astype(np.float32), texts)


def test_every_zoom_parts_the_map_into_ever_smaller_regions_that_lie_in_one_another(found):
    counts = [sum(region.zoom == zoom for region in found) for zoom in range(REGION_ZOOMS)]
    assert counts == list(region_counts(M)) == [1, 4, 12]
    parts = np.full((REGION_ZOOMS, M), -1)
    for number, region in enumerate(found):
        assert (parts[region.zoom, region.factors] == -1).all()
        parts[region.zoom, region.factors] = number
    assert (parts >= 0).all()
    for coarse, fine in pairwise(parts):
        assert all(len(set(coarse[fine == number])) == 1 for number in set(fine))


def test_a_name_says_what_the_factors_share_and_the_rest_of_the_map_does_not(found):
    names = {}
    for region in found:
        if region.zoom == 2 and len(region.factors) > 7:
            names.setdefault(GROUP[region.factors[0]], set()).add((region.name, region.shared))
    assert {*names[0]} == {("[of] · water, carbon", 1.0)}
    assert {*names[1]} == {("treaty, britain", 1.0)}
    assert names[2] == {("", 0.0)}
    whole = found[0]
    assert (whole.name, len(whole.factors)) == ("", M)


def test_the_same_places_give_the_same_regions(found):
    places = np.random.default_rng(1).normal(size=(M, 2)).astype(np.float32)
    texts = FactorTexts(shares({}), shares({}), np.zeros(M), np.zeros(len(WORDS)), WORDS)
    first, again = (table_of(regions_of(places, texts), np.arange(M)) for _ in range(2))
    assert first.equals(again)


@pytest.mark.parametrize("m", [1, 2, 11])
def test_a_few_factors_or_factors_at_one_place_are_a_single_region(m):
    texts = FactorTexts(
        *(csr_array((m, len(WORDS))) for _ in range(2)), np.ones(m), np.zeros(len(WORDS)), WORDS
    )
    assert len(regions_of(np.zeros((m, 2), np.float32), texts)) == REGION_ZOOMS


def test_names_that_would_lie_over_one_another_wait_until_the_map_is_near_enough(found):
    regions = table_of(found, np.arange(M)).to_pandas()
    whole = (-10.0, 50.0, -10.0, 50.0)
    names = placed_names(regions, whole, 600, 600)
    assert (names["stop"] > 0).all()
    wide, narrow = names["start"], placed_names(regions, whole, 200, 600)["start"]
    assert (narrow >= wide).all()
    assert (narrow > wide).any()
    shown = names[(names["start"] <= 4.0) & (names["stop"] > 4.0) & (names["zoom"] == 2)]
    pixels = shown[["x", "y"]].to_numpy() * 10 * 4.0
    away = np.abs(pixels[:, None] - pixels[None])
    near = (away[:, :, 0] < 20) & (away[:, :, 1] < 10)
    assert near.sum() == len(shown)
