"""Tensors are coded as arrays are: on the device they are on, to the same proof."""

import numpy as np
import pytest
import torch
from random_atoms import unit_atoms

import tfactors as tf

pytestmark = pytest.mark.model


def test_tensors_have_the_codes_of_arrays():
    rng = np.random.default_rng(13)
    dictionary, X = unit_atoms(rng, 90, 24), rng.standard_normal((60, 24)).astype(np.float32)
    X[3], X[5] = 0, X[5] * 1e15
    penalties = rng.uniform(0.1, 1.5, 60)
    tensors = tf.sparse_encode(torch.tensor(X), dictionary, penalties, tol=1e-5)
    arrays = tf.sparse_encode(X, dictionary, penalties, tol=1e-5)
    scale = np.linalg.norm(X, axis=1, keepdims=True) + 1e-9
    np.testing.assert_allclose(tensors.toarray() / scale, arrays.toarray() / scale, atol=2e-3)
    assert tf.duality_gap(X, dictionary, tensors, penalties).max() < 2e-5
    assert tensors.has_sorted_indices
    assert tf.sparse_encode(torch.zeros(0, 24), dictionary, 1.0).shape == (0, 90)


def test_tensors_with_more_factors_than_a_working_set_are_solved_too():
    rng = np.random.default_rng(14)
    dictionary, X = unit_atoms(rng, 260, 100), rng.standard_normal((2, 100)).astype(np.float32)
    codes = tf.sparse_encode(torch.tensor(X), dictionary, 0.02)
    assert np.diff(codes.indptr).max() > 64
    assert tf.duality_gap(X, dictionary, codes, 0.02).max() < 1.1e-3


def test_tensors_are_refitted_as_arrays_are():
    rng = np.random.default_rng(15)
    dictionary, X = unit_atoms(rng, 90, 24), rng.standard_normal((40, 24)).astype(np.float32)
    X[5] *= 1e15  # left to the solver of arrays
    tensors = tf.sparse_encode(torch.tensor(X), dictionary, 0.6, tol=1e-6, refit=True)
    arrays = tf.sparse_encode(X, dictionary, 0.6, tol=1e-6, refit=True)
    scale = np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(tensors.toarray() / scale, arrays.toarray() / scale, atol=1e-4)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.ones(4, 2), r"X has shape \(4, 2\)"),
        (torch.tensor([[1.0, 2.0, torch.nan]]), "X holds nan at row 0, column 2"),
    ],
)
def test_a_wrong_tensor_is_named_with_its_value(tensor, message):
    with pytest.raises(ValueError, match=message):
        tf.sparse_encode(tensor, np.eye(3, dtype=np.float32), 1.0)
