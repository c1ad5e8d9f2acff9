"""Activations in another text: what is exchanged, and what the model is left with."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from tiny_encoder import tiny_encoder, tiny_windows, top_examples

from tfactors.explain.elsewhere import (
    KINDS,
    activations_elsewhere,
    exchanged,
    kept_elsewhere,
)
from tfactors.explain.encoder import FactorEncoder
from tfactors.text.sentences import sentence_bounds, word_bounds

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> FactorEncoder:
    return tiny_encoder(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def windows(encoder: FactorEncoder) -> pd.DataFrame:
    return tiny_windows(encoder)


@pytest.fixture
def read(windows: pd.DataFrame):
    def rows(ids: Sequence[int]) -> pd.DataFrame:
        return windows.iloc[list(ids)]

    return rows


@pytest.fixture
def measure(encoder: FactorEncoder, windows: pd.DataFrame, read):
    def kept(examples: pd.DataFrame, **options) -> pd.DataFrame:
        return kept_elsewhere(encoder, examples, read, len(windows), **options)

    return kept


def test_the_target_and_what_goes_with_it_keep_their_place_in_a_text_of_the_same_length(
    windows: pd.DataFrame,
) -> None:
    rows = list(windows.itertuples(index=False))
    for window, other in pairwise(rows):
        ids = np.asarray(window.token_ids)
        foreign = np.resize(np.asarray(other.token_ids), len(ids))
        for position in (0, len(ids) // 2, len(ids) - 1):
            spans = {
                "word": word_bounds(window.word_starts, position),
                "sentence": sentence_bounds(window.tokens, position),
                "none": (0, 0),
            }
            for kind, (start, stop) in spans.items():
                changed, place = exchanged(kind, window, position, other, np.random.default_rng(0))
                assert place == position
                inside = np.zeros(len(ids), bool)
                inside[start:stop] = True
                np.testing.assert_array_equal(changed, np.where(inside, ids, foreign))


def test_shuffling_keeps_every_word_whole_and_the_target_among_as_many_words(
    windows: pd.DataFrame,
) -> None:
    window = next(windows.itertuples(index=False))
    ids, starts = np.asarray(window.token_ids), np.asarray(window.word_starts)
    position = len(ids) // 2
    start, stop = word_bounds(starts, position)
    changed, place = exchanged("shuffled", window, position, window, np.random.default_rng(1))
    assert sorted(changed.tolist()) == sorted(ids.tolist())
    assert (changed != ids).any()
    begin = place - (position - start)
    np.testing.assert_array_equal(changed[begin : begin + stop - start], ids[start:stop])
    words = [tuple(word) for word in np.split(ids, np.flatnonzero(starts)[1:])]
    moved, left = [], changed.tolist()
    while left:  # the words of the window, one after another, use up what was moved
        word = next(w for w in sorted(words, key=len, reverse=True) if tuple(left[: len(w)]) == w)
        moved.append(word)
        left = left[len(word) :]
    assert sorted(moved) == sorted(words)
    assert moved.index(tuple(ids[start:stop])) <= len(words)


def test_at_the_embeddings_a_word_keeps_everything_in_any_text(
    encoder: FactorEncoder, windows: pd.DataFrame, measure
) -> None:
    found = measure(top_examples(encoder, windows, layer=0), kinds=("sentence", "word", "none"))
    np.testing.assert_allclose(found[["sentence", "word"]], 1, atol=1e-3)
    assert (found["none"] < 0.9).any()


def test_what_is_kept_is_a_mean_of_shares_and_less_where_more_is_exchanged(
    encoder: FactorEncoder, windows: pd.DataFrame, measure
) -> None:
    examples = top_examples(encoder, windows, layer=2)
    found = measure(examples, draws=2)
    assert list(found.columns) == ["factor", "layer", *KINDS, "examples"]
    assert ((found[list(KINDS)] >= 0) & (found[list(KINDS)] <= 1)).all(axis=None)
    means = found[list(KINDS)].mean()
    assert means["sentence"] > means["word"] > means["none"]
    one = examples[examples["factor"] == found["factor"].iloc[0]].head(1)
    window, other = one["window"].iloc[0], None
    draws = np.random.default_rng([0, 0, window, one["position"].iloc[0], one["factor"].iloc[0]])
    other = (window + 1 + draws.integers(len(windows) - 1)) % len(windows)
    text, place = exchanged(
        "word", windows.iloc[window], int(one["position"].iloc[0]), windows.iloc[other], draws
    )
    left = encoder.encode([text], 2).toarray()[place, one["factor"].iloc[0]]
    expected = min(1.0, left / one["activation"].iloc[0])
    assert measure(one, kinds=("word",))["word"].iloc[0] == pytest.approx(expected, abs=1e-3)


def test_parts_give_what_the_whole_gives(
    encoder: FactorEncoder, windows: pd.DataFrame, measure
) -> None:
    examples = top_examples(encoder, windows, layer=2)
    whole = measure(examples)
    half = examples["factor"] % 2 == 0
    parts = pd.concat([measure(examples[half]), measure(examples[~half])])
    parts = parts.sort_values("factor", ignore_index=True)
    pd.testing.assert_frame_equal(whole, parts, atol=1e-3)
    assert not measure(examples, seed=1)["word"].equals(whole["word"])


def test_an_activation_in_another_text_is_what_the_model_says_of_it(
    encoder: FactorEncoder, windows: pd.DataFrame, read
) -> None:
    examples = top_examples(encoder, windows, layer=2).iloc[::7]
    found = activations_elsewhere(encoder, examples, read, len(windows), ("sentence",))
    assert found.shape == (len(examples), 1, 1)
    for example, left in zip(examples.itertuples(), found[:, 0, 0], strict=True):
        place = example.window, example.position, example.factor
        random = np.random.default_rng([0, 0, *place])
        other = (example.window + 1 + random.integers(len(windows) - 1)) % len(windows)
        text, at = exchanged(
            "sentence", windows.iloc[example.window], place[1], windows.iloc[other], random
        )
        code = encoder.encode([text], 2).toarray()[at, example.factor]
        assert left == pytest.approx(code, abs=1e-3)
    # None of these shares is bounded: an activation may grow.
    assert (found[:, 0, 0] >= 0).all()


def test_of_no_examples_nothing_is_read(
    encoder: FactorEncoder, windows: pd.DataFrame, read
) -> None:
    none = top_examples(encoder, windows, layer=2).head(0)
    assert activations_elsewhere(encoder, none, read, len(windows)).shape == (0, 1, 4)
