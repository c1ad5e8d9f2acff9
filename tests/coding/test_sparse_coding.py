import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_atoms import unit_atoms
from scipy.optimize import nnls
from scipy.sparse import csr_array
from sklearn.linear_model import Lasso

import tfactors as tf
from tfactors.coding.kernel import LANES, RESOLUTION, refit_rows
from tfactors.coding.solver import ROWS, SparseCoder
from tfactors.coding.sparse_coding import proved_gap


def objective(X, dictionary, codes, penalty):
    X, alpha = X.astype(np.float64), codes.toarray().astype(np.float64)
    residual = X - alpha @ dictionary.astype(np.float64)
    return 0.5 * (residual**2).sum(axis=1) + penalty * alpha.sum(axis=1)


@st.composite
def problems(draw, smallest=1e-30, largest=1e30):
    """Samples, a dictionary and a penalty of any shape and size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.sampled_from([0, 1, 2, 7]))
    d = draw(st.sampled_from([1, 2, 5, 16, 33]))
    m = draw(st.sampled_from([1, 3, 16, 40, 120]))
    dictionary = unit_atoms(rng, m, d)
    if draw(st.booleans()):  # duplicates
        dictionary = dictionary[rng.integers(0, m, m)]
    X = rng.standard_normal((n, d))
    X[rng.random(n) < draw(st.sampled_from([0, 0.5]))] = 0
    scale = draw(st.sampled_from([smallest, 1e-6, 1.0, 20.0, 1e6, largest]))
    X = (X * scale).astype(np.float32)
    relative = draw(st.sampled_from([0.0, 1e-3, 0.03, 0.2, 0.7, 100.0]))
    return X, dictionary, relative * scale * np.sqrt(d)


@settings(deadline=None, max_examples=300)
@given(problems())
def test_every_code_is_proved_optimal(problem):
    X, dictionary, penalty = problem
    codes = tf.sparse_encode(X, dictionary, penalty, tol=1e-4)
    assert codes.shape == (len(X), len(dictionary))
    assert codes.dtype == np.float32
    assert (codes.data > 0).all()
    gaps = tf.duality_gap(X, dictionary, codes, penalty)
    assert gaps.shape == (len(X),)
    assert gaps.max(initial=0) <= 1e-3  # tol, and the last bit of float32 codes where λ = 0


@settings(deadline=None, max_examples=150)
@given(problems(smallest=1e-6, largest=1e6))
def test_no_atom_could_lower_the_objective(problem):
    X, dictionary, penalty = problem
    codes = tf.sparse_encode(X, dictionary, penalty, tol=1e-6).toarray().astype(np.float64)
    atoms, norms = dictionary.astype(np.float64), np.linalg.norm(X.astype(np.float64), axis=1)
    correlations = (X - codes @ atoms) @ atoms.T
    slack = 2e-3 * penalty + 1e-4 * norms[:, None]
    assert (correlations <= penalty + slack).all()
    assert (np.abs(correlations - penalty) <= slack)[codes > 1e-3 * norms[:, None]].all()


def test_denormal_samples_have_codes_too():
    rng = np.random.default_rng(0)
    dictionary = unit_atoms(rng, 40, 16)
    X = (rng.standard_normal((5, 16)) * 1e-40).astype(np.float32)
    assert (X != 0).any()
    codes = tf.sparse_encode(X, dictionary, 1e-41)
    assert codes.nnz > 0
    assert tf.duality_gap(X, dictionary, codes, 1e-41).max() < 1e-3


@pytest.mark.parametrize("shape", [(30, 12, 6), (30, 12, 12), (30, 24, 80)])
@pytest.mark.parametrize("penalty", [0.02, 0.1, 0.5, 2.0])
def test_codes_equal_the_lasso_of_scikit_learn(shape, penalty):
    n, d, m = shape
    rng = np.random.default_rng(d * m)
    dictionary, X = unit_atoms(rng, m, d), rng.standard_normal((n, d)).astype(np.float32)
    codes = tf.sparse_encode(X, dictionary, penalty, tol=1e-9 if m <= d else 1e-7).toarray()
    # Its objective divides the squares by the number of its rows, which are our d columns.
    lasso = Lasso(penalty / d, positive=True, fit_intercept=False, tol=1e-12, max_iter=100_000)
    expected = np.array([lasso.fit(dictionary.T.astype(np.float64), x).coef_ for x in X])
    np.testing.assert_allclose(codes, expected, atol=1e-5)


def test_an_orthonormal_dictionary_gives_the_soft_threshold():
    rng = np.random.default_rng(1)
    dictionary = np.linalg.qr(rng.standard_normal((20, 20)))[0].astype(np.float32)
    X = rng.standard_normal((50, 20)).astype(np.float32)
    codes = tf.sparse_encode(X, dictionary, 0.4, tol=1e-8)
    expected = np.maximum(X @ dictionary.T - 0.4, 0)
    np.testing.assert_allclose(codes.toarray(), expected, atol=1e-6)


def test_without_a_penalty_the_fit_is_that_of_non_negative_least_squares():
    rng = np.random.default_rng(2)
    for m in (6, 25, 90):
        dictionary, X = unit_atoms(rng, m, 25), rng.standard_normal((8, 25)).astype(np.float32)
        codes = tf.sparse_encode(X, dictionary, 0.0)
        distance = np.linalg.norm(X - codes @ dictionary, axis=1)
        expected = [nnls(dictionary.T.astype(np.float64), x)[1] for x in X]
        np.testing.assert_allclose(distance, expected, atol=2e-3 * np.linalg.norm(X[0]))


def test_a_code_of_zero_where_no_atom_reaches_the_penalty():
    rng = np.random.default_rng(3)
    dictionary, X = unit_atoms(rng, 30, 8), rng.standard_normal((10, 8)).astype(np.float32)
    highest = (X @ dictionary.T).max(axis=1)
    assert tf.sparse_encode(X, dictionary, highest * 1.001).nnz == 0
    assert (np.diff(tf.sparse_encode(X, dictionary, highest * 0.99).indptr) == 1).all()


def test_each_row_may_have_its_own_penalty():
    rng = np.random.default_rng(4)
    dictionary, X = unit_atoms(rng, 60, 16), rng.standard_normal((20, 16)).astype(np.float32)
    penalties = rng.uniform(0.05, 1, 20)
    together = tf.sparse_encode(X, dictionary, penalties).toarray()
    for x, penalty, code in zip(X, penalties, together, strict=True):
        alone = tf.sparse_encode(x[None], dictionary, penalty).toarray()[0]
        np.testing.assert_allclose(alone, code, atol=1e-5)  # another product, another last bit


def test_atoms_are_sorted_in_every_row():
    rng = np.random.default_rng(5)
    dictionary, X = unit_atoms(rng, 200, 16), rng.standard_normal((300, 16))
    codes = tf.sparse_encode(X, dictionary, 0.05)
    for i in range(len(X)):
        atoms = codes.indices[codes.indptr[i] : codes.indptr[i + 1]]
        assert (np.diff(atoms) > 0).all()


def test_the_codes_are_the_same_bit_for_bit_with_any_number_of_threads():
    rng = np.random.default_rng(6)
    dictionary, X = unit_atoms(rng, 150, 32), rng.standard_normal((5 * ROWS + 17, 32))
    alone = SparseCoder(dictionary, threads=1).encode(X, 0.3)
    for threads in (2, 3, 8):
        codes = SparseCoder(dictionary, threads=threads).encode(X, 0.3)
        np.testing.assert_array_equal(codes.indptr, alone.indptr)
        np.testing.assert_array_equal(codes.indices, alone.indices)
        np.testing.assert_array_equal(codes.data.view(np.uint32), alone.data.view(np.uint32))


def test_codes_of_a_neighbour_as_a_start_change_nothing_but_the_way():
    rng = np.random.default_rng(7)
    dictionary, X = unit_atoms(rng, 150, 32), rng.standard_normal((100, 32)).astype(np.float32)
    coder = SparseCoder(dictionary)
    codes = coder.encode(X, 0.3, tol=1e-7)
    for start in (codes, coder.encode(X[::-1], 0.1), csr_array((100, 150), dtype=np.float32)):
        warm = coder.encode(X, 0.3, tol=1e-7, start=start)
        np.testing.assert_allclose(warm.toarray(), codes.toarray(), atol=1e-4)


def test_a_path_gives_the_codes_of_each_penalty_in_the_order_given():
    rng = np.random.default_rng(8)
    dictionary, X = unit_atoms(rng, 150, 32), rng.standard_normal((700, 32)).astype(np.float32)
    penalties = [0.3, 2.0, 0.1, 100.0]
    path = tf.penalty_path(X, dictionary, penalties, tol=1e-7)
    assert len(path) == len(penalties)
    for codes, penalty in zip(path, penalties, strict=True):
        expected = tf.sparse_encode(X, dictionary, penalty, tol=1e-7)
        np.testing.assert_allclose(codes.toarray(), expected.toarray(), atol=1e-4)
    assert tf.penalty_path(X, dictionary, []) == []


@settings(deadline=None, max_examples=200)
@given(problems(smallest=1e-6, largest=1e6))
def test_refitted_codes_are_non_negative_least_squares_on_the_chosen_atoms(problem):
    X, dictionary, penalty = problem
    chosen = tf.sparse_encode(X, dictionary, penalty)
    refitted = tf.sparse_encode(X, dictionary, penalty, refit=True)
    assert refitted.shape == chosen.shape
    assert refitted.dtype == np.float32
    assert (refitted.data > 0).all()
    assert not ((refitted > 0).astype(int) - (chosen > 0).astype(int) > 0).nnz
    for row, x in enumerate(X.astype(np.float64)):
        atoms = dictionary[chosen[[row]].indices].astype(np.float64)
        best = nnls(atoms.T, x)[1] if len(atoms) else np.linalg.norm(x)
        left = np.linalg.norm(x - refitted[[row]].toarray()[0] @ dictionary.astype(np.float64))
        assert left == pytest.approx(best, rel=1e-4, abs=1e-4 * np.linalg.norm(x))


def test_a_refit_takes_the_shrinkage_away_and_keeps_the_atoms():
    dictionary = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    X = np.random.default_rng(1).normal(size=(50, 12)).astype(np.float32)
    shrunk = tf.sparse_encode(X, dictionary, 0.4)
    refitted = tf.sparse_encode(X, dictionary, 0.4, refit=True)
    assert (refitted.indices == shrunk.indices).all()
    assert refitted.data == pytest.approx(shrunk.data + 0.4, abs=1e-5)


def test_an_atom_that_least_squares_does_not_need_leaves_the_code():
    dictionary = np.array([[1, 0, 0], [0.6, 0.8, 0], [0.6, 0, 0.8]])
    x = np.array([[2.0, -0.5, 1.0]])
    for penalty in np.linspace(0.01, 1.5, 60):
        chosen = tf.sparse_encode(x, dictionary, penalty)
        refitted = tf.sparse_encode(x, dictionary, penalty, refit=True)
        best = nnls(dictionary[chosen.indices].T, x[0])[0] if chosen.nnz else np.zeros(0)
        assert refitted.toarray()[0, chosen.indices] == pytest.approx(best, abs=1e-5)


def test_a_refitted_path_gives_the_refitted_codes_of_each_penalty():
    rng = np.random.default_rng(0)
    dictionary, X = unit_atoms(rng, 60, 20), rng.standard_normal((9, 20))
    penalties = [0.1, 0.9, 0.4]
    path = tf.penalty_path(X, dictionary, penalties, tol=1e-6, refit=True)
    for penalty, codes in zip(penalties, path, strict=True):
        alone = tf.sparse_encode(X, dictionary, penalty, tol=1e-6, refit=True)
        assert codes.toarray() == pytest.approx(alone.toarray(), abs=1e-4)


def test_refitted_codes_are_the_same_bit_for_bit_with_any_number_of_threads():
    rng = np.random.default_rng(0)
    dictionary, X = unit_atoms(rng, 90, 24), rng.standard_normal((3 * ROWS + 5, 24))
    one, three = (SparseCoder(dictionary, threads, refit=True).encode(X, 0.6) for threads in (1, 3))
    assert (one.indptr == three.indptr).all()
    assert (one.indices == three.indices).all()
    assert (one.data == three.data).all()


def test_a_refit_is_compiled_once_whatever_the_size_of_the_dictionary():
    states = np.ones((2, 8), np.float32)
    compiled = []
    for atoms in (8, 2 * LANES):  # of which one fills whole cache lines
        SparseCoder(np.eye(atoms, 8, dtype=np.float32), refit=True).encode(states, 0.1)
        compiled.append(list(refit_rows.signatures))
    assert compiled[0] == compiled[1]


def test_the_proof_of_refitted_codes_is_that_of_the_codes_that_chose():
    rng = np.random.default_rng(0)
    dictionary, X = unit_atoms(rng, 60, 20), rng.standard_normal((30, 20)).astype(np.float32)
    coder = SparseCoder(dictionary, refit=True)
    codes = coder.encode(X, 0.5, 1e-3)
    assert tf.duality_gap(X, dictionary, codes, 0.5).max() > 1e-3
    assert proved_gap(coder, X, codes, 0.5, 1e-3).max() <= 1e-3
    shrunk = coder.without_refit().encode(X, 0.5, 1e-3)
    theirs = tf.duality_gap(X, dictionary, shrunk, 0.5)
    assert (proved_gap(coder, X, codes, 0.5, 1e-3) == theirs).all()


def test_the_gap_bounds_how_far_any_code_is_from_optimal():
    rng = np.random.default_rng(9)
    dictionary, X = unit_atoms(rng, 60, 16), rng.standard_normal((50, 16)).astype(np.float32)
    best = objective(X, dictionary, tf.sparse_encode(X, dictionary, 0.3, tol=1e-7), 0.3)
    for noise in (1e-3, 0.1, 1.0):
        codes = tf.sparse_encode(X, dictionary, 0.3)
        codes.data *= 1 + noise * rng.random(codes.nnz, dtype=np.float32)
        value = objective(X, dictionary, codes, 0.3)
        gaps = tf.duality_gap(X, dictionary, codes, 0.3)
        assert (gaps >= (value - best) / value - 1e-6).all()
        np.testing.assert_allclose(tf.duality_gap(X, dictionary, codes.toarray(), 0.3), gaps)


def test_a_gap_above_the_floors_is_the_textbook_formula():
    rng = np.random.default_rng(10)
    dictionary, X = unit_atoms(rng, 60, 16).astype(np.float64), rng.standard_normal((50, 16))
    X = X.astype(np.float32).astype(np.float64)
    codes = tf.sparse_encode(X, dictionary, 0.3, tol=0.3)
    residual = X - codes.astype(np.float64) @ dictionary
    primal = objective(X, dictionary, codes, 0.3)
    s = np.minimum(1, 0.3 / (residual @ dictionary.T).max(axis=1))[:, None]
    dual = 0.5 * (X**2).sum(axis=1) - 0.5 * ((X - s * residual) ** 2).sum(axis=1)
    gaps = tf.duality_gap(X, dictionary, codes, 0.3)
    assert (gaps <= (primal - dual) / primal + 1e-6).all()
    np.testing.assert_allclose(gaps, (primal - dual) / primal, atol=0.05)
    assert RESOLUTION < 1e-5


def test_the_squared_error_is_that_of_the_dense_product():
    rng = np.random.default_rng(11)
    dictionary, X = unit_atoms(rng, 60, 16), rng.standard_normal((900, 16)).astype(np.float32)
    coder = SparseCoder(dictionary)
    codes = coder.encode(X, 0.3)
    expected = ((X - codes.toarray() @ dictionary) ** 2).sum(axis=1)
    np.testing.assert_allclose(coder.squared_error(X, codes), expected, rtol=1e-5)


def test_memory_is_bounded_by_blocks_not_by_samples_times_atoms():
    rng = np.random.default_rng(12)
    dictionary, X = unit_atoms(rng, 1000, 16), np.zeros((40_000, 16), np.float32)
    X[:, 0] = 1
    coder = SparseCoder(dictionary, threads=2)  # each has a block of its own
    tracemalloc.start()
    coder.encode(X, 0.8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes + 20_000_000  # dense codes would be 160 MB


ATOMS = np.eye(3, dtype=np.float32)
SAMPLES = np.ones((4, 3), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(3), ATOMS, 1.0), r"X has shape \(3,\)"),
        ((np.ones((4, 2)), ATOMS, 1.0), r"X has shape \(4, 2\); expected \(n, 3\)"),
        (([[1, np.nan, 2]], ATOMS, 1.0), "X holds nan at row 0, column 1"),
        (([[1, 2, 3], [1, 2, -np.inf]], ATOMS, 1.0), "X holds -inf at row 1, column 2"),
        (([[1e300, 2, 3]], ATOMS, 1.0), r"X holds 1e\+300 at row 0"),
        ((SAMPLES, ATOMS[0], 1.0), r"dictionary has shape \(3,\)"),
        ((SAMPLES, np.empty((0, 3)), 1.0), r"dictionary has shape \(0, 3\)"),
        ((SAMPLES, ATOMS * 2, 1.0), "dictionary: atom 0 has norm 2"),
        ((SAMPLES, ATOMS * [[1], [1], [np.nan]], 1.0), "dictionary: atom 2 has norm nan"),
        ((SAMPLES, ATOMS, -0.5), "penalty is -0.5"),
        ((SAMPLES, ATOMS, [1, 1, np.nan, 1]), "penalty is nan"),
        ((SAMPLES, ATOMS, [1.0, 2.0]), r"penalty has shape \(2,\)"),
        ((SAMPLES, ATOMS, 1.0, 0.0), "tol is 0"),
        ((SAMPLES, ATOMS, 1.0, 1e-3, csr_array((4, 2))), r"start has shape \(4, 2\)"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        tf.sparse_encode(*arguments)


def test_a_gap_needs_codes_that_fit_and_are_not_negative():
    with pytest.raises(ValueError, match=r"codes has shape \(4, 2\); expected \(4, 3\)"):
        tf.duality_gap(SAMPLES, ATOMS, np.zeros((4, 2)), 1.0)
    with pytest.raises(ValueError, match="codes holds -1"):
        tf.duality_gap(SAMPLES, ATOMS, -np.ones((4, 3)), 1.0)


REPORT = """
import hashlib
import numpy as np
from tfactors.coding import sparse_coding
from tfactors.coding.kernel import solve_rows
assert not solve_rows.signatures, "something was compiled at import"
random = np.random.default_rng(0)
atoms = random.normal(size=(64, 32))
atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
codes = sparse_coding.sparse_encode(random.normal(size=(500, 32)) * 2, atoms, 0.5)
print(sum(solve_rows.stats.cache_hits.values()), sum(solve_rows.stats.cache_misses.values()))
print(hashlib.sha256(codes.data.tobytes()).hexdigest())
"""


@pytest.mark.process
def test_the_kernel_compiles_once_and_from_the_cache_gives_the_same_bits(tmp_path):
    root = Path(__file__).parents[2]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}

    def report():
        done = subprocess.run(
            [sys.executable, "-c", REPORT],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    hits, misses, compiled = report()
    assert (hits, misses) == ("0", "1")
    assert report() == ["1", "0", compiled]
