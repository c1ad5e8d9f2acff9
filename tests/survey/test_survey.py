"""The survey against a brute-force count over all codes at once."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from tfactors.survey.activation_sample import ActivationSample
from tfactors.survey.contexts import TopContexts
from tfactors.survey.layer import BIN_EDGES
from tfactors.survey.moments import ExactSum, Moments
from tfactors.survey.survey import Survey

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
    options = {"most_tokens": len(words)} | options
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


def test_a_word_on_which_a_factor_is_hardly_active_has_a_mean_above_zero(corpus):
    codes, windows, positions, words = corpus
    hardly = np.where(codes > 0, np.float32(1e-9), 0)
    survey = run_survey((hardly, windows, positions, words), [])
    _, of_word = np.unique(survey.vocabulary, return_inverse=True)
    for state in survey.states:
        *_, count, mean = state.words(of_word, np.bincount(of_word, survey.word_totals))
        assert count.sum() > 0
        assert (mean > 0).all()


def test_batches_may_be_cut_between_any_two_windows(corpus, survey):
    other = run_survey(corpus, [40, 117, 125])
    for mine, theirs in zip(survey.states, other.states, strict=True):
        np.testing.assert_array_equal(mine.active, theirs.active)
        np.testing.assert_array_equal(mine.importance(), theirs.importance())
        for a, b in zip(mine.examples(), theirs.examples(), strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def test_a_saved_survey_goes_on_as_if_it_had_never_stopped(corpus, survey, tmp_path: Path):
    codes, windows, positions, words = corpus
    cut = 52
    first = Survey([0, 4], FACTORS, TOP, EXAMPLES, most_tokens=len(words))
    first.add([csr_array(c[:cut]) for c in codes], windows[:cut], positions[:cut], words[:cut])
    first.save(tmp_path / "survey.npz")
    second = Survey.load(tmp_path / "survey.npz")
    second.add([csr_array(c[cut:]) for c in codes], windows[cut:], positions[cut:], words[cut:])
    assert second.tokens == survey.tokens
    assert contexts_of(second) == contexts_of(survey)
    assert samples_of(second) == samples_of(survey)
    for mine, theirs in zip(survey.states, second.states, strict=True):
        for name in ("top_values", "active", "histogram"):
            np.testing.assert_array_equal(
                np.sort(getattr(mine, name)), np.sort(getattr(theirs, name))
            )
        for a, b in zip(mine.examples(), theirs.examples(), strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)


def test_a_small_word_table_holds_what_a_large_one_does(corpus, survey):
    large = run_survey(corpus, [52], most_tokens=None)
    names = np.arange(len(survey.vocabulary))
    for mine, theirs in zip(survey.states, large.states, strict=True):
        assert len(mine.word_keys) < len(theirs.word_keys) / 1000
        of_mine, of_theirs = (
            state.words(names, s.word_totals) for state, s in ((mine, survey), (theirs, large))
        )
        for x, y in zip(of_mine, of_theirs, strict=True):
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
            survey.add(
                taken, windows[of_window], positions[of_window], [words[row] for row in of_window]
            )
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
    assert contexts_of(merged) == contexts_of(whole)
    names = [np.array(s.vocabulary) for s in (merged, whole)]
    for mine, theirs in zip(merged.samples, whole.samples, strict=True):
        for c in range(FACTORS):
            a, b = mine.draws_of(c), theirs.draws_of(c)
            assert names[0][a[2]].tolist() == names[1][b[2]].tolist()
            assert [x.tolist() for x in a[:2]] == [x.tolist() for x in b[:2]]
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
        for x, y in zip(
            mine.words(mine_words, mine_totals),
            theirs.words(their_words, their_totals),
            strict=True,
        ):
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


def contexts_of(survey):
    """Window, positions and activations of every context, by layer and factor."""
    return [
        [[(w, p.tolist(), a.tolist()) for w, p, a in layer.contexts(c)] for c in range(FACTORS)]
        for layer in survey.contexts
    ]


def samples_of(survey):
    return [[[x.tolist() for x in s.draws_of(c)] for c in range(FACTORS)] for s in survey.samples]


def test_a_context_is_every_activation_of_the_factor_in_the_windows_of_its_examples(corpus, survey):
    codes, windows, positions, _ = corpus
    for layer, state in enumerate(survey.states):
        for c, (found, *_, values) in enumerate(state.examples()):
            contexts = survey.contexts[layer].contexts(c)[:EXAMPLES]
            assert [context[0] for context in contexts] == found.tolist()
            for (window, where, activations), value in zip(contexts, values, strict=True):
                rows = np.flatnonzero((windows == window) & (codes[layer][:, c] > 0))
                np.testing.assert_array_equal(where, positions[rows])
                np.testing.assert_array_equal(activations, codes[layer][rows, c])
                assert activations.max() == value


def test_contexts_and_samples_do_not_depend_on_the_batches(corpus, survey):
    other = run_survey(corpus, [9, 117])
    assert contexts_of(other) == contexts_of(survey)
    assert samples_of(other) == samples_of(survey)


def test_the_pool_of_contexts_holds_what_counts_however_often_it_is_cleared():
    rng = np.random.default_rng(2)
    dense = rng.random((60 * 100, 8)).astype(np.float32)  # far more than the pool has at first
    kept = TopContexts.empty(8, 3)
    for window in range(60):
        rows = slice(100 * window, 100 * window + 100)
        kept.add(csr_array(dense[rows]), np.full(100, window), np.arange(100))
    assert len(kept.pool_positions) < dense.size / 2
    for c in range(8):
        strongest = dense[:, c].reshape(60, 100).max(axis=1)
        expected = np.argsort(-strongest, kind="stable")[:3]
        assert [window for window, *_ in kept.contexts(c)] == expected.tolist()
        for window, where, activations in kept.contexts(c):
            np.testing.assert_array_equal(where, np.arange(100))
            np.testing.assert_array_equal(activations, dense[100 * window :][:100, c])


def test_of_windows_with_equal_activations_the_first_are_kept_in_any_order_of_reading():
    codes = csr_array(np.ones((5, 1), np.float32))
    forward, parts = TopContexts.empty(1, 2), [TopContexts.empty(1, 2) for _ in range(2)]
    forward.add(codes, np.arange(5), np.zeros(5, np.int16))
    parts[0].add(codes[:3], np.arange(3), np.zeros(3, np.int16))
    parts[1].add(codes[3:], np.arange(3, 5), np.zeros(2, np.int16))
    parts[1].merge(parts[0])
    assert [w for w, *_ in forward.contexts(0)] == [w for w, *_ in parts[1].contexts(0)] == [0, 1]


def test_a_window_cut_between_two_batches_is_refused():
    kept = TopContexts.empty(1, 2)
    kept.add(csr_array(np.ones((2, 1), np.float32)), np.array([3, 4]), np.zeros(2, np.int16))
    with pytest.raises(ValueError, match="window 4 is cut between two batches"):
        kept.add(csr_array(np.ones((1, 1), np.float32)), np.array([4]), np.ones(1, np.int16))


def test_a_sample_holds_every_activation_where_there_are_few(corpus, survey):
    codes, windows, positions, words = corpus
    for layer, sample in enumerate(survey.samples):
        rows = np.flatnonzero(codes[layer][:, 0])
        assert 0 < len(rows) < 40
        rows = rows[np.argsort(-codes[layer][rows, 0])]
        window, position, word, activation, quantile = sample.draws_of(0)
        np.testing.assert_array_equal(activation, codes[layer][rows, 0])
        np.testing.assert_array_equal(window, windows[rows])
        np.testing.assert_array_equal(position, positions[rows])
        assert [survey.vocabulary[w] for w in word] == [words[row] for row in rows]
        np.testing.assert_allclose(quantile, np.arange(len(rows), 0, -1) / len(rows), rtol=1e-6)


def test_every_activation_is_as_likely_to_be_drawn_as_any_other():
    """400 factors draw 10 of the same 100 tokens: each token about 40 times, whatever its size."""
    values = np.arange(1, 101, dtype=np.float32)
    sample = ActivationSample.empty(0, 400, 10)
    codes = csr_array(np.repeat(values[:, None], 400, axis=1))
    sample.add(codes, np.arange(100) // 10, np.arange(100) % 10, np.zeros(100, np.int64))
    drawn = np.bincount(sample.activations.astype(int).ravel() - 1, minlength=100)
    assert drawn.sum() == 4000
    assert abs(drawn[50:].sum() - 2000) < 4 * np.sqrt(4000 * 0.25 * 0.9)
    chi_squared = ((drawn - 40) ** 2 / (40 * 0.9)).sum()
    assert 50 < chi_squared < 160  # 99 degrees of freedom


def test_parts_of_a_corpus_merge_to_the_sample_of_the_whole(corpus):
    codes, windows, positions, _ = corpus
    matrix, words = csr_array(codes[0]), np.arange(len(windows))
    whole = ActivationSample.empty(0, FACTORS, 6)
    parts = [ActivationSample.empty(0, FACTORS, 6) for _ in range(2)]
    whole.add(matrix, windows, positions, words)
    for part, rows in zip(parts, (slice(77, None), slice(0, 77)), strict=True):
        part.add(matrix[rows], windows[rows], positions[rows], words[rows])
    parts[0].merge(parts[1], words)
    for c in range(FACTORS):
        for mine, theirs in zip(whole.draws_of(c), parts[0].draws_of(c), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_words_of_odd_letters_come_back_from_a_checkpoint(tmp_path):
    """A token may hold a newline or a U+0000, and so may a word."""
    survey = Survey([0], factors=2, most_tokens=10)
    words = ["one", "two\n\nlines", "nul\0", "\0", "[bracket"]
    survey.number_words(words)
    survey.save(tmp_path / "survey.npz")
    assert Survey.load(tmp_path / "survey.npz").vocabulary == words
