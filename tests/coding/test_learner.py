import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.utils.estimator_checks import parametrize_with_checks

import tfactors as tf

ROOT = Path(__file__).parents[2]


@parametrize_with_checks([tf.DictionaryLearner(n_components=8, epochs=3, random_state=0)])
def test_the_learner_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def planted(rng, n, m=30, d=20, active=3):
    """Samples that are sparse non-negative combinations of known atoms."""
    atoms = rng.standard_normal((m, d))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = rng.uniform(1, 3, (n, m)) * (rng.random((n, m)) < active / m)
    return (codes @ atoms).astype(np.float32), atoms.astype(np.float32)


def mean_objective(X, dictionary, penalty):
    codes = tf.sparse_encode(X, dictionary, penalty)
    residual = X - codes @ dictionary
    return float(np.mean(0.5 * (residual**2).sum(axis=1) + penalty * codes.sum(axis=1)))


def test_atoms_that_made_the_data_are_found_again():
    X, atoms = planted(np.random.default_rng(0), 6000)
    learner = tf.DictionaryLearner(
        n_components=30, penalty=0.2, batch_size=500, epochs=20, random_state=0
    ).fit(X)
    likeness = (learner.components_ @ atoms.T).max(axis=0)
    assert (likeness > 0.95).mean() > 0.9


def test_every_atom_has_unit_length():
    X, _ = planted(np.random.default_rng(1), 1000)
    learner = tf.DictionaryLearner(n_components=40, penalty=0.2, random_state=0).fit(X)
    np.testing.assert_allclose(np.linalg.norm(learner.components_, axis=1), 1, atol=1e-5)
    assert learner.components_.dtype == np.float32


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_held_out_objective_is_below_that_of_scikit_learn():
    X, _ = planted(np.random.default_rng(2), 1000)
    train, held_out = X[:600], X[600:]
    learner = tf.DictionaryLearner(n_components=30, penalty=0.3, batch_size=150, random_state=0)
    other = MiniBatchDictionaryLearning(
        30,
        alpha=0.3,
        max_iter=10,
        batch_size=150,
        fit_algorithm="cd",
        positive_code=True,
        random_state=0,
    ).fit(train)
    atoms = other.components_ / np.linalg.norm(other.components_, axis=1, keepdims=True)
    ours = mean_objective(held_out, learner.fit(train).components_, 0.3)
    assert ours < mean_objective(held_out, atoms, 0.3)


def test_transform_solves_the_objective_of_the_training():
    X, _ = planted(np.random.default_rng(3), 500)
    learner = tf.DictionaryLearner(n_components=30, penalty=0.3, random_state=0).fit(X)
    codes = learner.transform(X)
    assert tf.duality_gap(X, learner.components_, codes, 0.3).max() <= learner.tol * 1.01


def test_a_seed_fixes_the_dictionary_to_the_bit():
    X, _ = planted(np.random.default_rng(4), 1500)
    first, again, other = (
        tf.DictionaryLearner(25, 0.3, batch_size=400, epochs=3, random_state=seed).fit(X)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.components_, again.components_)
    assert not np.array_equal(first.components_, other.components_)


CORES = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
import hashlib, numpy as np, tfactors as tf
X = np.random.default_rng(0).standard_normal((3000, 40))
learner = tf.DictionaryLearner(100, 0.5, batch_size=1000, epochs=2, random_state=0).fit(X)
print(hashlib.sha256(learner.components_.tobytes()).hexdigest())
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor affinity")
def test_the_dictionary_is_the_same_on_one_core_and_on_all():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    prints = {
        subprocess.run(
            [sys.executable, "-c", CORES, cores], env=environment, capture_output=True, check=True
        ).stdout
        for cores in ("1", "64")
    }
    assert len(prints) == 1


def test_a_saved_learner_goes_on_to_the_bit(tmp_path):
    X, _ = planted(np.random.default_rng(5), 3000)
    learner = tf.DictionaryLearner(25, 0.3, patience=400, random_state=0)
    for batch in X[:1500].reshape(3, 500, -1):
        learner.partial_fit(batch)
    learner.save(tmp_path / "learner.npz")
    resumed = tf.DictionaryLearner.load(tmp_path / "learner.npz")
    assert resumed.get_params() == learner.get_params()
    for batch in X[1500:].reshape(3, 500, -1):
        learner.partial_fit(batch)
        resumed.partial_fit(batch)
    for name in ("components_", "usage_", "moments_", "idle_"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(learner, name))
    assert resumed.n_samples_seen_ == learner.n_samples_seen_ == 3000
    assert (resumed.n_updates_, resumed.objective_) == (learner.n_updates_, learner.objective_)


def test_a_file_that_is_no_learner_says_so(tmp_path):
    (tmp_path / "other.npz").write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"other\.npz is not a saved DictionaryLearner"):
        tf.DictionaryLearner.load(tmp_path / "other.npz")
    np.savez(tmp_path / "arrays.npz", X=np.ones(3))
    with pytest.raises(ValueError, match=r"arrays\.npz is not a saved DictionaryLearner"):
        tf.DictionaryLearner.load(tmp_path / "arrays.npz")


def test_a_sample_of_weight_zero_counts_for_nothing():
    X, _ = planted(np.random.default_rng(6), 1000)
    weights = np.random.default_rng(7).integers(0, 2, 500).astype(np.float64)
    with_zeros = tf.DictionaryLearner(20, 0.3, random_state=0).partial_fit(X[:500])
    without = tf.DictionaryLearner(20, 0.3, random_state=0).partial_fit(X[:500])
    with_zeros.partial_fit(X[500:], sample_weight=weights)
    without.partial_fit(X[500:][weights > 0])
    np.testing.assert_array_equal(with_zeros.components_, without.components_)


def test_heavier_samples_pull_the_atoms_towards_them():
    X, _ = planted(np.random.default_rng(8), 2000)
    near, far = X[::2], X[1::2]
    learners = [
        tf.DictionaryLearner(10, 0.3, random_state=0).partial_fit(
            X, sample_weight=np.tile(weights, 1000)
        )
        for weights in ([10.0, 0.1], [0.1, 10.0])
    ]
    for learner in learners:
        assert learner.n_samples_seen_ == 2000
    first, second = (learner.components_ for learner in learners)
    assert mean_objective(near, first, 0.3) < mean_objective(near, second, 0.3)
    assert mean_objective(far, second, 0.3) < mean_objective(far, first, 0.3)


def test_dead_atoms_start_again_from_what_is_explained_worst():
    rng = np.random.default_rng(9)
    (old, _), (new, _) = planted(rng, 2000), planted(rng, 2000)
    learner = tf.DictionaryLearner(40, 0.3, patience=600, memory=2000, random_state=0)
    learner.partial_fit(np.tile(old[:1], (300, 1)))  # founds nearly all atoms on one sample
    for batch in new.reshape(20, 100, -1):
        learner.partial_fit(batch)
    assert learner.n_revived_ > 0
    assert len(np.unique(tf.sparse_encode(new, learner.components_, 0.3).indices)) == 40


def test_fewer_samples_than_atoms_are_enough_to_begin():
    X = np.random.default_rng(10).standard_normal((5, 12))
    learner = tf.DictionaryLearner(50, 0.1, random_state=0).partial_fit(X)
    assert learner.components_.shape == (50, 12)
    assert np.isfinite(learner.components_).all()


def test_a_learner_without_atoms_is_refused():
    with pytest.raises(ValueError, match="n_components is 0"):
        tf.DictionaryLearner(0).fit(np.ones((3, 2)))
