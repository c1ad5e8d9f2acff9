"""Vectors of signs: cosines that are right on average, and the direction of their mean."""

import numpy as np
import pytest

from tfactors.describe.meanings import cosines, directions, packed


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_signs_give_the_cosine_on_average() -> None:
    random = np.random.default_rng(0)
    question = unit(random.standard_normal(384)).astype(np.float32)
    for cosine in (-0.4, 0.0, 0.3, 0.8):
        other = random.standard_normal((3000, 384))
        other = unit(other - (other @ question)[:, None] * question)
        vectors = cosine * question + np.sqrt(1 - cosine**2) * other
        found = cosines(question, packed(vectors))
        assert found.mean() == pytest.approx(cosine, abs=0.01)
        assert found.std() < 0.05


def test_a_width_that_fills_no_byte_counts_no_bit_beyond_it() -> None:
    vectors = np.random.default_rng(1).standard_normal((5, 11))
    question = unit(np.ones(11)).astype(np.float32)
    expected = np.sign(vectors) @ question * np.sqrt(np.pi / 2 / 11)
    np.testing.assert_allclose(cosines(question, packed(vectors)), expected, rtol=1e-5)


def test_a_factor_has_the_direction_of_the_mean_of_its_signs() -> None:
    random = np.random.default_rng(2)
    factor = np.repeat([3, 5, 40], [1, 2, 7])
    vectors = random.standard_normal((10, 13))
    factors, found = directions(factor, packed(vectors), 13)
    assert factors.tolist() == [3, 5, 40]
    for at, number in enumerate(factors):
        expected = unit(np.sign(vectors[factor == number]).mean(axis=0))
        np.testing.assert_allclose(found[at], expected, atol=1e-6)
    nobody, nothing = directions(factor[:0], packed(vectors[:0]), 13)
    assert nothing.shape == (len(nobody), 13) == (0, 13)
