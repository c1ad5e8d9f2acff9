"""Factors near one another, and the map of all of them."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from tfactors.describe import neighbours
from tfactors.describe.factor_map import factor_map
from tfactors.describe.factor_texts import FactorTexts


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("m", [1, 2, 5, 40])
def test_the_nearest_atoms_are_those_of_the_largest_cosine(m):
    atoms = unit(np.random.default_rng(0).normal(size=(m, 6)))
    others, cosines = neighbours.nearest_atoms(atoms, 4)
    assert others.shape == cosines.shape == (m, min(4, m - 1))
    for factor in range(m):
        cosine = np.delete(atoms @ atoms[factor], factor)
        np.testing.assert_allclose(cosines[factor], np.sort(cosine)[::-1][:4], atol=1e-6)
        assert factor not in others[factor]
        np.testing.assert_allclose(atoms[others[factor]] @ atoms[factor], cosines[factor], 1e-5)


def test_firing_together_is_the_correlation_of_firing():
    rng = np.random.default_rng(1)
    fires = rng.random((500, 8)) < 0.2
    fires[:, 5] = fires[:, 2] ^ (rng.random(500) < 0.05)
    codes = csr_array(np.where(fires, rng.random(fires.shape) + 0.1, 0).astype(np.float32))
    others, values = neighbours.firing_together(codes, np.array([2, 5, 7]), 3)
    expected = np.corrcoef(fires.T)
    for row, factor in enumerate((2, 5, 7)):
        assert factor not in others[row][values[row] > 0]
        positive = values[row] > 0
        np.testing.assert_allclose(
            values[row][positive], expected[factor, others[row][positive]], rtol=1e-9
        )
    assert others[0, 0] == 5
    assert others[1, 0] == 2


def test_factors_that_met_only_by_accident_are_no_neighbours():
    codes = np.zeros((1000, 3), np.float32)
    codes[:9, :2] = 1
    codes[:, 2] = 1  # always: correlates with nothing
    _, values = neighbours.firing_together(csr_array(codes), np.arange(3))
    assert (values == 0).all()
    table = neighbours.table("together", np.arange(3), np.zeros((3, 2), int), values)
    assert table.num_rows == 0


@pytest.mark.parametrize("shape", [(1, 4), (2, 4), (9, 1), (10, 1), (12, 3), (60, 16)])
def test_a_map_of_any_size_has_a_place_for_each_factor_the_same_each_time(shape):
    atoms = unit(np.random.default_rng(0).normal(size=shape))
    places = factor_map(atoms)
    assert places.shape == (shape[0], 2)
    assert np.isfinite(places).all()
    np.testing.assert_array_equal(places, factor_map(atoms))


def test_on_the_map_atoms_that_point_the_same_way_lie_near_one_another():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 15)
    atoms = unit(rng.normal(size=(4, 16))[groups] + 0.1 * rng.normal(size=(60, 16)))
    places = factor_map(atoms)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    same = groups[:, None] == groups[None]
    assert distance[same].max() < distance[~same].min()


def test_on_the_map_factors_of_one_word_lie_near_one_another_though_their_atoms_are_orthogonal():
    word = np.arange(40) % 4
    own = csr_array(np.eye(4)[word])
    texts = FactorTexts(own, csr_array((40, 4)), np.full(40, 50), np.zeros(4), np.array([*"abcd"]))
    told = []
    places = factor_map(np.eye(40, dtype=np.float32), texts=texts, done=told.append)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (word[distance.argmin(axis=1)] == word).mean() > 0.9
    assert sum(told) == 40
