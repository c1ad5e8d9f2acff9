"""Occurrences of a word fall into groups by their factors, and no better than they should."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import silhouette_samples

from tfactors.describe import senses


def two_senses(n: int = 30, seed: int = 0) -> tuple[np.ndarray, csr_array]:
    """A common factor, two others of each sense, and noise; a third is of the second sense."""
    rng = np.random.default_rng(seed)
    sense = np.arange(n) % 3 > 0
    dense = np.zeros((n, 40), np.float32)
    dense[:, 0] = rng.uniform(1, 2, n)
    for first, second in ((1, 2), (3, 4)):
        dense[np.arange(n), np.where(sense, first, second)] = rng.uniform(2, 4, n)
    dense[np.arange(n), rng.integers(5, 40, n)] = rng.uniform(0.2, 0.6, n)
    return sense, csr_array(dense)


def test_two_senses_that_wake_two_factors_are_found_and_the_larger_one_comes_first():
    sense, codes = two_senses()
    found = senses.grouped(senses.strongest(codes))
    assert found.groups == 2
    assert np.array_equal(found.group == 0, sense)
    assert found.silhouette > 0.7
    assert set(senses.marks(codes, found.group, 0)[:2]) == {1, 3}
    assert set(senses.marks(codes, found.group, 1)[:2]) == {2, 4}


def test_the_silhouette_is_scikit_learns():
    rng = np.random.default_rng(1)
    points = rng.random((25, 3))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    group = np.array([0] * 12 + [1] * 10 + [2] * 2 + [3])
    expected = silhouette_samples(distance, group, metric="precomputed")
    assert senses.silhouettes(distance, group) == pytest.approx(expected)


def test_senses_separate_better_than_the_same_activations_dealt_out_by_chance():
    _, codes = two_senses()
    codes = senses.strongest(codes)
    shuffled = senses.by_chance(codes)
    assert senses.grouped(codes).silhouette > shuffled + 0.2
    assert shuffled == senses.by_chance(codes), "the same seed, the same number"


def test_a_stray_occurrence_is_no_group():
    _, codes = two_senses()
    dense = codes.toarray()
    dense[4] = 0
    dense[4, 30] = 5
    found = senses.grouped(csr_array(dense))
    assert found.group[4] == senses.STRAY
    assert found.groups == 2


def test_nothing_is_grouped_where_all_occurrences_are_alike_or_few():
    alike = csr_array(np.ones((20, 4), np.float32))
    few = two_senses(5)[1]
    for codes in (alike, few):
        found = senses.grouped(codes)
        assert found.groups == 1
        assert np.isnan(found.silhouette)
    assert senses.best_of([senses.grouped(alike, 1)]) is None


def test_layer_0_which_knows_no_context_is_never_the_best():
    _, codes = two_senses()
    found = [senses.grouped(codes, layer) for layer in (0, 1, 2)]
    best = senses.best_of(found)
    assert best is not None
    assert best.layer == 1, "the lowest of equals"


def test_only_the_strongest_activations_of_an_occurrence_are_kept():
    codes = csr_array(np.array([[1, 3, 2, 0], [0, 0, 5, 0]], np.float32))
    kept = senses.strongest(codes, 2).toarray()
    assert kept.tolist() == [[0, 3, 2, 0], [0, 0, 5, 0]]
