"""Shares of variance against a function of the group, chance, a closed form, and brute force."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array

from tfactors.survey.variance_shares import between_share, changed_text_share, effective_number

WINDOWS = np.repeat(np.arange(60), 20)


def drawn_tokens(seed: int, tokens: int = 1200) -> np.ndarray:
    """Token ids with a few frequent ones and many rare ones, some of them seen once."""
    return np.random.default_rng(seed).zipf(1.6, tokens).clip(max=300)


def sparse(*columns: np.ndarray) -> csr_array:
    return csr_array(np.stack(columns, axis=1))


def test_what_follows_from_the_token_alone_is_decided_by_it() -> None:
    random, tokens = np.random.default_rng(0), drawn_tokens(0)
    of_token = np.where(random.random(301) < 0.3, random.exponential(2, 301), 0)
    found = between_share(sparse(of_token[tokens], 3 * of_token[tokens]), tokens)
    np.testing.assert_allclose(found, 1, rtol=1e-12)


def test_what_follows_from_the_window_alone_is_decided_by_it() -> None:
    of_window = np.where(np.arange(60) % 7 == 0, 1.0 + np.arange(60), 0)
    found = between_share(sparse(of_window[WINDOWS]), WINDOWS)
    assert found[0] == pytest.approx(1, rel=1e-12)
    assert abs(between_share(sparse(of_window[WINDOWS]), drawn_tokens(1))[0]) < 0.05


def test_the_order_of_the_tokens_in_a_window_changes_nothing() -> None:
    random = np.random.default_rng(2)
    activation = random.exponential(1, 1200) * (random.random(1200) < 0.2)
    order = np.lexsort((random.random(1200), WINDOWS))
    before = between_share(sparse(activation), WINDOWS)
    np.testing.assert_allclose(between_share(sparse(activation[order]), WINDOWS), before)


def test_dealt_out_by_chance_an_activation_is_decided_by_nothing() -> None:
    tokens = drawn_tokens(3)
    activation = np.where(tokens == 1, 2.0, 0) + (WINDOWS < 4) * 3.0
    random = np.random.default_rng(3)
    shuffled = sparse(*(random.permutation(activation) for _ in range(2000)))
    for groups in (tokens, WINDOWS):
        found = between_share(shuffled, groups)
        assert abs(found).max() < 0.25
        assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))


@pytest.mark.parametrize(("word", "window"), [(0.5, 0.2), (0.0, 0.6), (0.9, 0.05)])
def test_the_shares_of_planted_parts_come_back(word: float, window: float) -> None:
    """a = u_token + v_window + noise, of variances that are known."""
    found = []
    for seed in range(40):
        random, tokens = np.random.default_rng([seed, 9]), drawn_tokens(seed)
        # Tokens are few and frequent ones heavy, so u varies over tokens as it was drawn.
        of_token = random.standard_normal(301)
        u = of_token[tokens] - of_token[tokens].mean()
        u *= np.sqrt(word) / u.std()
        v = random.standard_normal(60)
        v = ((v - v.mean()) / v.std())[WINDOWS] * np.sqrt(window)
        noise = random.standard_normal(1200) * np.sqrt(1 - word - window)
        codes = sparse(10 + u + v + noise)
        found.append([between_share(codes, g)[0] for g in (tokens, WINDOWS)])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    np.testing.assert_array_less(abs(mean - (word, window)), 2.5 * error + 0.005)


def test_groups_of_two_have_no_bias() -> None:
    random = np.random.default_rng(5)
    pairs = np.repeat(np.arange(400), 2)
    draws = [
        np.repeat(random.standard_normal(400), 2) + random.standard_normal(800) for _ in range(600)
    ]
    found = between_share(sparse(*draws), pairs)
    assert abs(found.mean() - 0.5) < 3 * found.std() / np.sqrt(len(found)) + 1 / 400


def test_tokens_that_are_seen_once_tell_nothing() -> None:
    activation = sparse(np.random.default_rng(6).random(50))
    assert np.isnan(between_share(activation, np.arange(50))).all()
    # One of them more changes nothing: shares are of the tokens with a partner.
    groups = np.array([1, 1, 2, 2, 3])
    values = np.array([1.0, 2.0, 5.0, 4.0, 100.0])
    with_single, without = (between_share(sparse(values[:k]), groups[:k]) for k in (5, 4))
    assert with_single == without


def test_a_factor_that_is_silent_or_the_same_everywhere_has_no_share() -> None:
    columns = sparse(np.zeros(1200), np.full(1200, 0.1))
    assert np.isnan(between_share(columns, WINDOWS)).all()


@given(
    arrays(np.int64, 9, elements=st.integers(0, 3)), arrays(np.int64, 9, elements=st.integers(0, 4))
)
def test_the_formula_is_a_mean_over_pairs(groups: np.ndarray, values: np.ndarray) -> None:
    partners = [[j for j in range(9) if j != i and groups[j] == groups[i]] for i in range(9)]
    kept = [i for i in range(9) if partners[i]]
    found = between_share(sparse(values.astype(float)), groups)[0]
    if not kept or len({values[i] for i in kept}) == 1:
        assert np.isnan(found)
        return
    of_group = np.mean([np.mean([values[i] * values[j] for j in partners[i]]) for i in kept])
    of_all = np.mean([values[i] * values[j] for i, j in permutations(kept, 2)])
    variance = np.mean([values[i] ** 2 for i in kept]) - of_all
    assert found == pytest.approx((of_group - of_all) / variance, abs=1e-9)


def test_evenly_shared_words_are_counted_and_others_by_their_entropy() -> None:
    words = np.repeat(np.arange(5), 4)
    even, of_two, silent = np.ones(20), np.where(words < 2, 3.0, 0), np.zeros(20)
    found = effective_number(sparse(even, of_two, silent), words)
    np.testing.assert_allclose(found, [5, 2, np.nan])
    random = np.random.default_rng(7)
    activation = random.exponential(1, 20)
    p = np.array([activation[words == w].sum() for w in range(5)]) / activation.sum()
    expected = np.exp(-(p * np.log(p)).sum())
    assert effective_number(sparse(activation), words)[0] == pytest.approx(expected)


def test_another_text_that_changes_nothing_leaves_all_and_one_that_silences_nothing() -> None:
    activation = np.random.default_rng(8).exponential(2, 30)
    assert changed_text_share(activation, activation, 0.02) == pytest.approx(1)
    assert -0.05 < changed_text_share(activation, 0 * activation, 0.02) < 0
    assert np.isnan(changed_text_share(activation[:0], activation[:0], 0.02))


def test_what_stays_of_a_text_decides_its_planted_share() -> None:
    """a = what the part gives + what the rest gives, both silent on most tokens."""
    found = []
    for seed in range(60):
        random = np.random.default_rng([seed, 11])
        part = random.exponential(1, 20_000) * (random.random(20_000) < 0.1)
        rest = [random.exponential(1, 20_000) * (random.random(20_000) < 0.05) for _ in range(2)]
        a, changed = part + rest[0], part + rest[1]
        active = random.permutation(np.flatnonzero(a > 0))[:40]
        density = float((a > 0).mean())
        found.append(changed_text_share(a[active], changed[active], density))
    # The variance of an exponential that is there with chance p is 2p − p².
    truth = 0.19 / (0.19 + 0.0975)
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - truth) < 2.5 * error
