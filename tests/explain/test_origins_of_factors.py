"""What a factor is made from over its activations: models of which everything is known."""

import numpy as np
import pandas as pd
import pytest
from linear_model import WIDTH, linear_encoder
from tiny_encoder import causal_encoder, encoder_with_own_part

from tfactors.explain import factor_origins
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.factor_origins import measure_origins
from tfactors.explain.integrated_gradients import contributions, goal_at, taken_apart
from tfactors.text.words import words

pytestmark = pytest.mark.model

IDENTITY, NOTHING = np.eye(WIDTH), np.zeros((WIDTH, WIDTH))
RANDOM = np.random.default_rng(8).standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)


def windows(numbers: list[int]) -> pd.DataFrame:
    """Made-up windows; word w7 stands for token 7, and every third token goes on with a word."""
    ids = [np.random.default_rng(number).integers(5, 40, 9 + number) for number in numbers]
    return pd.DataFrame(
        {
            "window": numbers,
            "token_ids": ids,
            "tokens": [[f" W{token}" for token in row] for row in ids],
            "word_starts": [np.arange(len(row)) % 3 < 2 for row in ids],
        }
    )


def examples_of(encoder: FactorEncoder, layer: int, count: int = 3) -> pd.DataFrame:
    """The strongest factor at some places of each of four windows."""
    rows = []
    for window in range(4):
        codes = encoder.encode([windows([window])["token_ids"][0]], layer).toarray()
        for position in range(2, 2 + count):
            factor = int(codes[position].argmax())
            rows.append({"factor": factor, "layer": layer, "window": window, "position": position})
    return pd.DataFrame(rows)


def measured(encoder: FactorEncoder, layer: int = 2) -> pd.DataFrame:
    return measure_origins(encoder, examples_of(encoder, layer), windows, layer - 1)


def test_where_blocks_change_nothing_a_factor_is_made_of_itself() -> None:
    found = measured(linear_encoder(IDENTITY, NOTHING, own_part=False))
    first = found[found["rank"] == 0]
    assert len(first) > 2
    assert (first["source"] == first["factor"]).all()
    np.testing.assert_allclose(first["share"], 1, atol=1e-4)
    np.testing.assert_allclose(first["spread"], 0, atol=1e-3)
    assert (first[["offset", "before"]] == 0).all(axis=None)
    np.testing.assert_allclose(first["there"], 1, atol=1e-6)
    assert (first["found"] == first["examples"]).all()
    assert found[found["rank"] > 0]["share"].abs().max() < 1e-4


def test_what_copies_its_left_neighbour_is_made_of_what_stands_there() -> None:
    found = measured(linear_encoder(NOTHING, IDENTITY, own_part=False))
    first = found[found["rank"] == 0]
    assert (first["source"] == first["factor"]).all()
    assert (first["offset"] == -1).all()
    np.testing.assert_allclose(first[["there", "before", "share"]], 1, atol=1e-4)


def test_a_causal_model_is_made_of_nothing_that_follows(tmp_path) -> None:
    found = measured(causal_encoder(tmp_path))
    assert len(found) > 20
    assert (found["offset"] <= 0).all()
    assert (found["offset"] < 0).any()


def test_shares_of_a_linear_model_are_those_of_the_integrals(monkeypatch) -> None:
    """There a gradient is the same everywhere, so single points are exact."""
    monkeypatch.setattr(factor_origins, "LEAST_FOUND", 1)  # its words are drawn by chance
    encoder = linear_encoder(*RANDOM, own_part=True)
    examples = examples_of(encoder, 2)
    factor = int(examples["factor"].mode()[0])
    asked = examples[examples["factor"] == factor]
    tables, activations = [], []
    for row in asked.itertuples():
        window = windows([row.window])
        ids = window["token_ids"][0]
        states = taken_apart(encoder, ids, [1, 2])
        goal = goal_at(encoder, states[2], row.position, factor, 2)
        table = contributions(encoder, ids, states, 1, 2, [goal])[0][0]
        spelled = [w.casefold() for w in words(*window[["tokens", "word_starts"]].iloc[0])]
        table["word"] = [spelled[at] for at in table["position"]]
        tables.append(table[(table["kind"] == "factor") | (table["position"] != row.position)])
        activations.append(goal.activation)
    every = pd.concat(tables, keys=range(len(tables)), names=["example", None]).reset_index()
    factors = every[every["kind"] == "factor"].groupby(["example", "factor"])["contribution"].sum()
    sums = factors.unstack("example", fill_value=0.0)
    total = np.array(activations)
    found = measure_origins(encoder, asked, windows, 1)
    assert set(found["kind"]) == {"factor", "word"}
    for row in found[found["kind"] == "factor"].itertuples():
        of_source = sums.loc[row.source].to_numpy()
        share = of_source.sum() / total.sum()
        assert row.share == pytest.approx(share, abs=1e-4)
        apart = (of_source / total - share) ** 2
        assert row.spread == pytest.approx(np.sqrt((apart * total).sum() / total.sum()), abs=1e-4)
    named = every[every["kind"] == "word"].groupby("word")["contribution"].sum() / total.sum()
    for row in found[found["kind"] == "word"].itertuples():
        assert row.share == pytest.approx(named[row.word], abs=1e-4)


def test_words_are_whole_and_casefolded_and_shares_fall(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(factor_origins, "LEAST_FOUND", 1)
    encoder = encoder_with_own_part(tmp_path, blocks=2)
    found = measured(encoder)
    of_words = found[found["kind"] == "word"]
    assert len(of_words)
    assert (of_words["source"] == -1).all()
    assert of_words["word"].str.fullmatch(r"w\d+( w\d+)?").all()
    assert (found[found["kind"] == "factor"]["word"] == "").all()
    for _, rows in found.groupby("factor"):
        assert rows["share"].abs().is_monotonic_decreasing
        assert rows["rank"].tolist() == list(range(len(rows)))


def test_what_one_example_of_several_has_is_left_out() -> None:
    encoder = linear_encoder(*RANDOM, own_part=True)
    found = measured(encoder)
    several = found["examples"] > 1
    itself = found["source"] == found["factor"]
    assert several.any()
    assert (found["found"][several & ~itself] > 1).all()


def test_what_else_is_measured_at_once_changes_nothing(tmp_path) -> None:
    encoder = encoder_with_own_part(tmp_path, blocks=2)
    examples = examples_of(encoder, 2)
    factor = int(examples["factor"].iloc[0])
    whole = measure_origins(encoder, examples, windows, 1)
    alone = measure_origins(encoder, examples[examples["factor"] == factor], windows, 1)
    pd.testing.assert_frame_equal(
        whole[whole["factor"] == factor].reset_index(drop=True), alone, check_exact=False
    )
