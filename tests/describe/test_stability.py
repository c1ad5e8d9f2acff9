"""How steady factors are: the nearest atom, and partners one to one."""

import numpy as np
import pytest

from tfactors.describe.stability import match, matched_shares, nearest_cosine


@pytest.fixture(scope="module")
def atoms() -> np.ndarray:
    atoms = np.random.default_rng(0).normal(size=(60, 32)).astype(np.float32)
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def test_a_dictionary_in_another_order_is_found_again_whole(atoms):
    order = np.random.default_rng(1).permutation(60)
    partner, cosine = match(atoms, atoms[order])
    assert (order[partner] == np.arange(60)).all()
    assert np.allclose(cosine, 1)
    assert np.allclose(nearest_cosine(atoms, atoms[order]), 1)
    assert matched_shares(atoms, atoms[order]) == {0.7: 1.0, 0.9: 1.0}


def test_a_random_dictionary_is_not_found_again(atoms):
    other = np.random.default_rng(2).normal(size=(60, 32)).astype(np.float32)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    assert matched_shares(atoms, other) == {0.7: 0.0, 0.9: 0.0}
    assert nearest_cosine(atoms, other).mean() < 0.6


def test_two_factors_do_not_share_a_partner(atoms):
    """Both of a pair of twins are near the one twin of the other side, but only one has it."""
    twins = np.concatenate([atoms[:1], atoms[:59]])
    assert np.allclose(nearest_cosine(twins, atoms), 1)
    partner, cosine = match(twins, atoms)
    assert len(set(partner.tolist())) == 60
    assert (cosine > 0.9).sum() == 59


def test_an_atom_too_many_has_no_partner(atoms):
    partner, cosine = match(atoms, atoms[:50])
    assert (partner >= 0).sum() == 50
    assert (cosine[partner < 0] == -1).all()
