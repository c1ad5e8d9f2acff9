"""Activations in another text: what is exchanged, and what the model is left with."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from tiny_encoder import tiny_encoder, tiny_windows, top_examples

from tfactors.explain.elsewhere import (
    KINDS,
    exchanged,
    kept_by_the_word,
    kept_elsewhere,
)
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.word_places import WordPlaces
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


def test_a_word_is_found_wherever_it_stands_and_read_at_the_same_token(
    encoder: FactorEncoder, windows: pd.DataFrame, read
) -> None:
    examples = top_examples(encoder, windows, layer=2)
    places = WordPlaces(examples, read, [windows.iloc[::2], windows.iloc[1::2]])
    again = WordPlaces(examples, read, [windows.iloc[::-1]])
    found = 0
    for example in examples.itertuples():
        at = example.window, example.position
        drawn = places.draw(*at, {example.window}, 5, np.random.default_rng(0))
        assert drawn == again.draw(*at, {example.window}, 5, np.random.default_rng(0))
        own = windows.iloc[example.window]
        start, stop = word_bounds(own["word_starts"], example.position)
        for window, position in drawn:
            other = windows.iloc[window]
            begin, end = word_bounds(other["word_starts"], position)
            assert window != example.window
            assert position - begin == example.position - start
            assert (other["token_ids"][begin:end] == own["token_ids"][start:stop]).all()
            found += 1
    assert found > len(examples) / 4


def test_a_word_keeps_what_it_has_at_its_other_places(
    encoder: FactorEncoder, windows: pd.DataFrame, read
) -> None:
    examples = top_examples(encoder, windows, layer=2)
    places = WordPlaces(examples, read, [windows])
    kept = kept_by_the_word(encoder, examples, read, places, draws=2)
    assert kept["factor"].tolist() == sorted(set(examples["factor"]))
    assert kept["word"].dropna().between(0, 1).all()
    np.testing.assert_array_equal(kept["word"].isna(), kept["places"] == 0)
    factor = int(kept["factor"][kept["places"] > 0].iloc[0])
    mine = examples[examples["factor"] == factor]
    shares = []
    for example in mine.itertuples():
        at = example.window, example.position
        random = np.random.default_rng([0, *at, factor])
        for window, position in places.draw(*at, set(mine["window"]), 2, random):
            code = encoder.encode([windows["token_ids"].iloc[window]], 2).toarray()
            shares.append(min(1.0, code[position, factor] / example.activation))
    assert kept.set_index("factor")["word"][factor] == pytest.approx(np.mean(shares), abs=1e-3)
    half = examples["factor"] % 2 == 0
    parts = [
        kept_by_the_word(encoder, part, read, places, draws=2)
        for part in (examples[half], examples[~half])
    ]
    joined = pd.concat(parts).sort_values("factor", ignore_index=True)
    pd.testing.assert_frame_equal(joined, kept, atol=1e-3)


def test_a_word_that_stands_nowhere_else_says_nothing(
    encoder: FactorEncoder, windows: pd.DataFrame, read
) -> None:
    examples = top_examples(encoder, windows, layer=2)
    alone = WordPlaces(examples, read, [])
    kept = kept_by_the_word(encoder, examples, read, alone)
    assert kept["word"].isna().all()
    assert (kept["places"] == 0).all()
