"""Vectors of signs: cosines that are right on average, and the mean of the nearest three."""

import numpy as np
import pytest

from tfactors.describe.meanings import BEST, cosines, likeness, packed


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


def test_a_factor_is_as_near_as_its_nearest_three_vectors() -> None:
    random = np.random.default_rng(2)
    counts = [1, 2, 3, 7]
    factor = np.repeat([3, 5, 6, 40], counts)
    bits = packed(random.standard_normal((sum(counts), 64)))
    question = unit(random.standard_normal(64)).astype(np.float32)
    found = likeness(question, factor, bits)
    assert found.factors.tolist() == [3, 5, 6, 40]
    for at, number in enumerate(found.factors):
        nearest = np.sort(found.cosines[factor == number])[::-1][:BEST]
        assert found.likeness[at] == pytest.approx(nearest.mean(), rel=1e-5)
    nothing = likeness(question, factor[:0], bits[:0])
    assert len(nothing.factors) == len(nothing.likeness) == 0
