"""What a token brings of its own: planted parts are found, and no order changes a bit."""

import numpy as np
import pytest

from tfactors.coding.baseline import BaselineSums, TokenBaseline, fit_baseline, quantized
from tfactors.coding.state_transform import StateTransform

LAYERS, WIDTH, KINDS, PLACES = (1, 2), 6, 30, 10


def embed(token_ids: np.ndarray) -> np.ndarray:
    """An input embedding of 4 numbers for any token id, at norm 1."""
    rows = np.stack([np.random.default_rng([7, int(i)]).standard_normal(4) for i in token_ids])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def planted(tokens: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States (layers, n, d) that are a sum of a part by token, one by place, and noise."""
    random = np.random.default_rng(seed)
    ids, places = random.integers(0, KINDS, tokens), random.integers(0, PLACES, tokens)
    parts = np.random.default_rng(99)
    of_token = parts.standard_normal((len(LAYERS), KINDS, WIDTH))
    of_place = 0.5 * parts.standard_normal((len(LAYERS), PLACES, WIDTH))
    states = 3 + of_token[:, ids] + of_place[:, places]
    states += noise * random.standard_normal(states.shape)
    return states.astype(np.float32), ids, places


def summed(states: np.ndarray, ids: np.ndarray, places: np.ndarray, batch: int) -> BaselineSums:
    sums = BaselineSums.empty(np.arange(KINDS), PLACES, len(LAYERS) * WIDTH)
    for first in range(0, len(ids), batch):
        some = slice(first, first + batch)
        sums.add(sums.of_batch(states[:, some], ids[some], places[some]))
    return sums


def fit(states: np.ndarray, ids: np.ndarray, places: np.ndarray) -> TokenBaseline:
    return fit_baseline(summed(states, ids, places, 1000), LAYERS, embed)


def test_planted_parts_of_token_and_place_are_found() -> None:
    fitted = fit(*planted(200_000, noise=1.0))
    states, ids, places = planted(5_000, noise=0.0, seed=1)
    left = states - fitted.own_part(ids, places, LAYERS)
    # Of means of some 6,000 and 20,000 states with noise 1, rounded to eight binary digits.
    assert np.abs(left).max() < 0.15
    assert np.sqrt((left**2).mean()) < 0.04


def test_no_order_and_no_batch_changes_a_bit_of_the_sums() -> None:
    states, ids, places = planted(3_000, noise=1.0)
    order = np.random.default_rng(5).permutation(len(ids))
    one = summed(states, ids, places, 3_000)
    other = summed(states[:, order], ids[order], places[order], 17)
    half = len(ids) // 2
    merged = summed(states[:, :half], ids[:half], places[:half], 100)
    merged.merge(summed(states[:, half:], ids[half:], places[half:], 999))
    for name in ("by_token", "by_place", "pairs"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(getattr(one, name), getattr(merged, name))
    expected = np.zeros((KINDS, PLACES), np.int64)
    np.add.at(expected, (ids, places), 1)
    np.testing.assert_array_equal(one.pairs, expected)
    np.testing.assert_allclose(
        one.by_place[3] * 2.0**-20, states[:, places == 3].sum(axis=1).ravel(), atol=1e-3
    )


def test_sums_come_back_from_their_file(tmp_path) -> None:
    sums = summed(*planted(500, noise=1.0), batch=100)
    sums.save(tmp_path / "sums.npz")
    again = BaselineSums.load(tmp_path / "sums.npz")
    for name, values in vars(sums).items():
        np.testing.assert_array_equal(values, getattr(again, name))


def test_a_token_that_was_never_seen_gets_what_its_embedding_predicts() -> None:
    random = np.random.default_rng(3)
    slope = random.standard_normal((4, WIDTH))
    ids = np.repeat(np.arange(KINDS), 400)
    places = random.integers(0, PLACES, len(ids))
    states = np.stack([1 + embed(ids) @ slope] * 2).astype(np.float32)
    fitted = fit(states, ids, places)
    unseen = np.arange(1000, 1010)
    own = fitted.own_part(unseen, np.zeros(10, np.int64), LAYERS)
    np.testing.assert_allclose(own[0], 1 + embed(unseen) @ slope, atol=0.1)
    assert not fitted._codes_of(unseen).any()
    assert not np.isin(unseen, fitted.token_ids).any()


def test_an_empty_entry_of_the_vocabulary_gets_what_no_embedding_predicts() -> None:
    """A row of zeros, as padded vocabularies have them, is a token like any other."""

    def embed_or_nothing(token_ids: np.ndarray) -> np.ndarray:
        return np.where((np.asarray(token_ids) == 500)[:, None], 0, embed(token_ids))

    random = np.random.default_rng(3)
    slope = random.standard_normal((4, WIDTH))
    ids = np.repeat(np.arange(KINDS), 400)
    places = random.integers(0, PLACES, len(ids))
    states = np.stack([1 + embed(ids) @ slope] * 2).astype(np.float32)
    fitted = fit_baseline(summed(states, ids, places, 1000), LAYERS, embed_or_nothing)
    own = fitted.own_part(np.array([500, 500]), np.array([0, 9]), LAYERS)
    np.testing.assert_allclose(own, 1, atol=0.1)
    # Seen in the text, it has its own mean as others do.
    ids[ids == 7] = 500
    sums = BaselineSums.empty(np.unique(ids), PLACES, len(LAYERS) * WIDTH)
    sums.add(sums.of_batch(states, ids, places))
    seen = fit_baseline(sums, LAYERS, embed_or_nothing)
    truth = 1 + embed(np.array([7])) @ slope
    np.testing.assert_allclose(
        seen.own_part(np.array([500]), places[:1], LAYERS)[0], truth, atol=0.1
    )


def test_a_rare_token_stays_near_its_prediction_and_a_frequent_one_gets_its_mean() -> None:
    states, ids, places = planted(20_000, noise=0.0)
    once = np.flatnonzero(ids == 3)[1:]  # token 3 is seen once
    kept = np.setdiff1d(np.arange(len(ids)), once)
    fitted = fit(states[:, kept], ids[kept], places[kept])
    assert fitted.counts[fitted.token_ids == 3].tolist() == [1]
    nowhere = fitted.own_part(np.array([3, 4]), np.array([0, 0]), LAYERS)
    predicted = nowhere - np.stack([fitted._codes_of(np.array([3, 4])) @ fitted.basis], 0).reshape(
        2, len(LAYERS), WIDTH
    ).transpose(1, 0, 2)
    truth = np.stack([states[:, np.flatnonzero((ids == i) & (places == 0))[0]] for i in (3, 4)], 1)
    share = np.linalg.norm(nowhere - predicted, axis=2) / np.linalg.norm(truth - predicted, axis=2)
    np.testing.assert_allclose(share[:, 0], 1 / 3, atol=0.08)  # n / (n + 2)
    np.testing.assert_allclose(share[:, 1], 1, atol=0.08)


def test_a_place_beyond_the_last_known_one_takes_the_last_ones() -> None:
    fitted = fit(*planted(5_000, noise=0.1))
    last, beyond = (fitted.own_part(np.array([5]), np.array([p]), LAYERS) for p in (9, 511))
    np.testing.assert_array_equal(last, beyond)


def test_the_part_of_one_layer_is_that_of_all() -> None:
    fitted = fit(*planted(5_000, noise=0.1))
    ids, places = np.array([1, 2, 1, 77]), np.array([0, 3, 0, 2])
    both = fitted.own_part(ids, places, LAYERS)
    np.testing.assert_array_equal(fitted.own_part(ids, places, [2])[0], both[1])
    np.testing.assert_array_equal(both[:, 0], both[:, 2])


def test_a_low_rank_keeps_the_frequent_tokens_best() -> None:
    states, ids, places = planted(30_000, noise=0.0)
    rare = np.flatnonzero(ids >= 20)[400:]  # ten kinds are a hundred times rarer
    kept = np.setdiff1d(np.arange(len(ids)), rare)
    sums = summed(states[:, kept], ids[kept], places[kept], 1000)
    errors = []
    for rank in (3, 12):
        fitted = fit_baseline(sums, LAYERS, embed, rank=rank)
        assert fitted.basis.shape == (rank, len(LAYERS) * WIDTH)
        error = ((states - fitted.own_part(ids, places, LAYERS)) ** 2).sum(axis=(0, 2))
        errors.append([error[ids < 20].mean(), error[ids >= 20].mean()])
    (low_frequent, low_rare), (full_frequent, _) = errors
    assert low_frequent < low_rare
    assert full_frequent < 0.05 * low_frequent


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_whole_numbers_are_within_half_a_step(kind: type) -> None:
    values = np.random.default_rng(0).standard_normal((50, 40)) * np.logspace(-6, 6, 50)[:, None]
    values[7] = 0
    codes, steps = quantized(values, kind)
    assert codes.dtype == kind
    assert steps[7] == 0
    assert (
        np.abs(codes * steps[:, None].astype(np.float64) - values) <= 0.501 * steps[:, None]
    ).all()


def test_states_go_to_what_is_coded_and_back() -> None:
    states, ids, places = planted(200, noise=1.0)
    states *= np.linspace(0.2, 40, states.shape[1], dtype=np.float32)[:, None]
    raw = states.copy()
    fitted = fit(*planted(5_000, noise=0.1))
    transform = StateTransform({1: 2.0, 2: 3.0}, by_length=True, baseline=fitted)
    scale = transform.multipliers(raw, LAYERS)
    own = transform.apply(states, LAYERS, ids, places)
    lengths = np.linalg.norm(states + own, axis=2)
    np.testing.assert_allclose(lengths, np.sqrt(WIDTH), rtol=1e-5)
    np.testing.assert_allclose((states + own) / scale, raw, rtol=1e-4, atol=1e-5)


def test_without_a_baseline_states_are_scaled_and_nothing_else() -> None:
    states, ids, places = planted(50, noise=1.0)
    offset = np.arange(WIDTH, dtype=np.float32)
    for given in (None, offset):
        coded = states.copy()
        own = StateTransform({1: 2.0, 2: 3.0}, offset=given).apply(coded, [2, 1], ids, places)
        assert own is given
        expected = states * np.array([3, 2], np.float32)[:, None, None]
        np.testing.assert_array_equal(coded, expected if given is None else expected - offset)


def test_a_state_of_zeros_stays_one() -> None:
    transform = StateTransform({1: 1.0}, by_length=True)
    states = np.zeros((1, 1, WIDTH), np.float32)
    transform.apply(states, [1], np.array([0]), np.array([0]))
    assert not states.any()
