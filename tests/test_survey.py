"""The survey against a brute-force count over all codes at once."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from tfactors.exact_sum import ExactSum
from tfactors.survey import BIN_EDGES, Moments, Survey

FACTORS, TOP, EXAMPLES = 12, 7, 5
WINDOW_SIZES = [9, 1, 30, 12, 25, 40, 8, 16]


@pytest.fixture(scope="module")
def corpus():
    """Dense codes of two layers, and where each of their tokens stands."""
    rng = np.random.default_rng(0)
    n = sum(WINDOW_SIZES)
    active = rng.random((2, n, FACTORS)) < np.linspace(0.02, 0.6, FACTORS)
    active[:, :, 3] = False
    codes = np.where(active, rng.exponential(2.0, active.shape), 0).astype(np.float32)
    windows = np.repeat(np.arange(len(WINDOW_SIZES), dtype=np.int32), WINDOW_SIZES)
    positions = np.concatenate([np.arange(s, dtype=np.int16) for s in WINDOW_SIZES])
    words = [f"w{i}" for i in rng.zipf(1.5, n) % 20]
    return codes, windows, positions, words


def run_survey(corpus, cuts, **options):
    codes, windows, positions, words = corpus
    survey = Survey([0, 4], FACTORS, TOP, EXAMPLES, **options)
    for start, stop in zip([0, *cuts], [*cuts, len(words)], strict=True):
        part = slice(start, stop)
        survey.add(
            [csr_array(layer[part]) for layer in codes], windows[part], positions[part], words[part]
        )
    return survey


@pytest.fixture(scope="module")
def survey(corpus):
    return run_survey(corpus, [9, 10, 52, 77])


def test_importance_is_the_mean_of_the_largest_activations_zeros_included(corpus, survey):
    for layer, state in enumerate(survey.states):
        expected = np.sort(corpus[0][layer], axis=0)[-TOP:].mean(axis=0)
        np.testing.assert_allclose(state.importance(), expected, rtol=1e-6)
        np.testing.assert_array_equal(state.maximum(), corpus[0][layer].max(axis=0))


def test_active_counts_the_tokens_of_each_factor(corpus, survey):
    for layer, state in enumerate(survey.states):
        np.testing.assert_array_equal(state.active, (corpus[0][layer] > 0).sum(axis=0))


def test_every_activation_is_in_the_bin_of_its_size(corpus, survey):
    edges = np.concatenate([[0], BIN_EDGES[1:-1], [np.inf]])
    for layer, state in enumerate(survey.states):
        for c in range(FACTORS):
            values = corpus[0][layer][:, c]
            expected, _ = np.histogram(values[values > 0], edges)
            np.testing.assert_array_equal(state.histogram[c], expected)


def test_examples_are_the_strongest_token_of_each_of_the_strongest_windows(corpus, survey):
    codes, windows, positions, words = corpus
    for layer, state in enumerate(survey.states):
        for c, found in enumerate(state.examples()):
            best = []
            for w in range(len(WINDOW_SIZES)):
                rows = np.flatnonzero(windows == w)
                row = rows[codes[layer][rows, c].argmax()]
                if codes[layer][row, c] > 0:
                    best.append((-codes[layer][row, c], w, positions[row], words[row]))
            best = sorted(best)[:EXAMPLES]
            names = np.array(survey.vocabulary, dtype=object)[found[2]]
            assert [
                (-v, w, p, n) for w, p, n, v in zip(*found[:2], names, found[3], strict=True)
            ] == best


def test_a_factor_that_is_never_active_has_no_example(survey):
    window, *_ = list(survey.states[0].examples())[3]
    assert len(window) == 0


def test_the_word_index_counts_the_tokens_of_a_word_on_which_a_factor_is_active(corpus, survey):
    codes, _, _, words = corpus
    names, of_word = np.unique(survey.vocabulary, return_inverse=True)
    totals = np.bincount(of_word, survey.word_totals)
    assert dict(zip(names, totals, strict=True)) == Counter(words)
    for layer, state in enumerate(survey.states):
        expected = Counter()
        sums = Counter()
        for row, c in zip(*np.nonzero(codes[layer]), strict=True):
            expected[words[row], c] += 1
            sums[words[row], c] += codes[layer][row, c]
        name, factor, count, mean = state.words(of_word, totals)
        assert {
            (names[w], c): n for w, c, n in zip(name, factor, count, strict=True)
        } == expected  # 20 words: all are among the best 30 of each factor
        for w, c, value in zip(name, factor, mean, strict=True):
            key = names[w], c
            assert value == pytest.approx(sums[key] / expected[key], rel=1e-5)


def test_batches_may_be_cut_anywhere_even_inside_a_window(corpus, survey):
    other = run_survey(corpus, [3, 41, 43])
    for mine, theirs in zip(survey.states, other.states, strict=True):
        np.testing.assert_array_equal(mine.active, theirs.active)
        np.testing.assert_array_equal(mine.importance(), theirs.importance())
        for a, b in zip(mine.examples(), theirs.examples(), strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def test_a_saved_survey_goes_on_as_if_it_had_never_stopped(corpus, survey, tmp_path: Path):
    codes, windows, positions, words = corpus
    cut = 60
    first = Survey([0, 4], FACTORS, TOP, EXAMPLES)
    first.add([csr_array(c[:cut]) for c in codes], windows[:cut], positions[:cut], words[:cut])
    first.save(tmp_path / "survey.npz")
    second = Survey.load(tmp_path / "survey.npz")
    second.add([csr_array(c[cut:]) for c in codes], windows[cut:], positions[cut:], words[cut:])
    assert second.tokens == survey.tokens
    for mine, theirs in zip(survey.states, second.states, strict=True):
        for name in ("top_values", "active", "histogram"):
            np.testing.assert_array_equal(
                np.sort(getattr(mine, name)), np.sort(getattr(theirs, name))
            )
        for a, b in zip(mine.examples(), theirs.examples(), strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def test_a_full_word_table_forgets_rare_words_and_keeps_frequent_ones(corpus):
    rng = np.random.default_rng(1)
    survey = Survey([0], 4, TOP, EXAMPLES, table_bytes=16 * 1024)
    n = 400
    for batch in range(20):
        words = [f"rare{batch}-{i}" if i % 2 else "often" for i in range(n)]
        codes = csr_array((rng.random((n, 4)) + 0.1).astype(np.float32))
        survey.add([codes], np.full(n, batch, np.int32), np.arange(n, dtype=np.int16), words)
    used, forgotten = survey.states[0].word_state
    assert used <= 0.6 * 1024 + 4
    assert forgotten >= 1
    names, of_word = np.unique(survey.vocabulary, return_inverse=True)
    totals = np.bincount(of_word, survey.word_totals).astype(int)
    name, factor, count, _ = survey.states[0].words(of_word, totals)
    often = names.tolist().index("often")
    assert sorted(factor[name == often]) == [0, 1, 2, 3]
    # Lossy counting: a count is short by at most what was forgotten each time.
    assert (count[name == often] == 20 * n // 2).all()


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("ties", [False, True])
def test_surveys_of_parts_merge_into_the_survey_of_the_whole(corpus, ranks, ties, tmp_path):
    codes, windows, positions, words = corpus
    if ties:  # a model without positions gives a word the same state wherever it stands
        codes = np.ceil(codes).clip(0, 4).astype(np.float32)
    rng = np.random.default_rng(7)
    states = rng.normal(size=(len(words), 6)).astype(np.float32) * 1000
    parts = [np.flatnonzero(windows % ranks == rank) for rank in range(ranks)]
    surveys = []
    for rows in [np.arange(len(words)), *parts]:
        survey = Survey([0, 4], FACTORS, TOP, EXAMPLES, table_bytes=2**16)
        for window in np.unique(windows[rows]):
            of_window = np.flatnonzero(windows == window)
            taken = [csr_array(layer[of_window]) for layer in codes]
            survey.add(taken, windows[of_window], positions[of_window],
                       [words[row] for row in of_window])  # fmt: skip
            x = states[of_window]
            survey.norms.add(np.linalg.norm(x, axis=1).sum(dtype=np.float64) * np.ones(2))
            for held, layer in zip(survey.held_out, taken, strict=True):
                held.add(x, layer, np.abs(x[:, 0]), np.abs(x[:, 1]) * 1e-7)
        surveys.append(survey)
    whole, merged, *others = surveys
    for number, other in enumerate(others):  # as the processes of a build hand them over
        other.save(tmp_path / f"{number}.npz")
        merged.merge(Survey.load(tmp_path / f"{number}.npz"))
    assert merged.tokens == whole.tokens
    np.testing.assert_array_equal(merged.norms.value, whole.norms.value)
    for mine, theirs in zip(merged.held_out, whole.held_out, strict=True):
        assert mine.explained_variance == theirs.explained_variance
        assert (mine.l0, mine.mean_gap, mine.errors) == (theirs.l0, theirs.mean_gap, theirs.errors)
    mine_names, mine_words = np.unique(merged.vocabulary, return_inverse=True)
    their_names, their_words = np.unique(whole.vocabulary, return_inverse=True)
    np.testing.assert_array_equal(mine_names, their_names)
    mine_totals = np.bincount(mine_words, merged.word_totals)
    their_totals = np.bincount(their_words, whole.word_totals)
    for mine, theirs in zip(merged.states, whole.states, strict=True):
        np.testing.assert_array_equal(mine.importance(), theirs.importance())
        np.testing.assert_array_equal(mine.active, theirs.active)
        np.testing.assert_array_equal(mine.histogram, theirs.histogram)
        for a, b in zip(mine.examples(), theirs.examples(), strict=True):
            found = np.array(merged.vocabulary)[a[2]].tolist()
            assert found == np.array(whole.vocabulary)[b[2]].tolist()
            for x, y in zip((a[0], a[1], a[3]), (b[0], b[1], b[3]), strict=True):
                np.testing.assert_array_equal(x, y)
        for x, y in zip(mine.words(mine_words, mine_totals),
                        theirs.words(their_words, their_totals), strict=True):  # fmt: skip
            np.testing.assert_array_equal(x, y)


def test_a_sum_is_the_same_in_every_order_and_exact():
    rng = np.random.default_rng(4)
    terms = rng.normal(size=(1000, 3)) * 10.0 ** rng.integers(-12, 12, (1000, 3))
    parts = [ExactSum() for _ in range(3)]
    for number, row in enumerate(terms[rng.permutation(1000)]):
        parts[number % 3].add(row)
    for part in parts[1:]:
        parts[0].merge(part)
    np.testing.assert_array_equal(parts[0].value, [math.fsum(column) for column in terms.T])


def moments(x, x_hat, cuts=()):
    held = Moments()
    for a, b in zip([0, *cuts], [*cuts, len(x)], strict=True):
        codes = csr_array(np.ones((b - a, 1), np.float32))
        errors = ((x[a:b] - x_hat[a:b]) ** 2).sum(axis=1)
        held.add(x[a:b], codes, errors, np.zeros(b - a))
    return held


@pytest.fixture
def states():
    return np.random.default_rng(2).normal(3.0, 2.0, (1000, 16)).astype(np.float32)


def test_predicting_the_mean_explains_no_variance(states):
    held = moments(states, np.broadcast_to(states.mean(axis=0), states.shape))
    assert held.explained_variance == pytest.approx(0, abs=1e-5)


def test_a_perfect_copy_explains_all_variance(states):
    assert moments(states, states).explained_variance == 1


def test_the_size_of_the_batches_does_not_change_the_explained_variance(states):
    x_hat = states + np.random.default_rng(3).normal(0, 1, states.shape).astype(np.float32)
    whole = moments(states, x_hat).explained_variance
    assert moments(states, x_hat, [1, 17, 500]).explained_variance == pytest.approx(whole, 1e-6)
    expected = 1 - ((states - x_hat) ** 2).sum() / ((states - states.mean(0)) ** 2).sum()
    assert whole == pytest.approx(expected, rel=1e-5)
