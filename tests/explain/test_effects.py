"""The stored effect of factors, against the definition written out and against chance."""

import numpy as np
import pandas as pd
import pytest
from tiny_model import write_tiny_bert

from tfactors.coding.solver import SparseCoder
from tfactors.coding.state_transform import StateTransform
from tfactors.explain import effects
from tfactors.explain.encoder import FactorEncoder
from tfactors.model.hidden_states import load_model

pytestmark = pytest.mark.model

SCALE = {0: 2.0, 1: 0.5, 2: 3.0}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> FactorEncoder:
    """A small model with a dictionary that means nothing."""
    model = load_model(str(write_tiny_bert(tmp_path_factory.mktemp("model") / "bert")))
    atoms = np.random.default_rng(5).standard_normal((40, 32))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return FactorEncoder(model, SparseCoder(atoms.astype(np.float32)), StateTransform(SCALE), 1.0)


def windows(numbers: list[int]) -> pd.DataFrame:
    ids = [
        np.random.default_rng(number).integers(5, 700, 6 + number % 20).astype(np.int32)
        for number in numbers
    ]
    return pd.DataFrame({"window": numbers, "token_ids": ids})


def examples(factors: range, number: int, layer: int = 1) -> pd.DataFrame:
    rows = [
        {"factor": factor, "layer": layer, "rank": rank, "window": 7 * factor + rank,
         "position": rank % 6, "activation": np.float32(4 - 0.3 * rank)}
        for factor in factors for rank in range(number)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_an_effect_is_the_relative_change_of_the_mean_of_the_final_states(encoder) -> None:
    rows = examples(range(3, 4), 2)
    found = effects.measure_effects(encoder, rows, windows, seed=1).iloc[0]
    model, removed, elsewhere = encoder.model, [], []
    for row in rows.itertuples():
        text = windows([row.window])["token_ids"][0]
        entering, last = model.hidden_states([text], [1, 2])
        entering[row.position] -= row.activation * encoder.coder.dictionary[3] / SCALE[1]
        change = model.last_states([text], 1, entering) - last
        mean = last.mean(axis=0)
        removed.append(np.linalg.norm(change.mean(axis=0)) / np.linalg.norm(mean))
        squared = (change**2).sum(axis=1)
        elsewhere.append(1 - squared[row.position] / squared.sum())
    assert found["removed"] == pytest.approx(np.mean(removed), rel=1e-3)
    assert found["removed_error"] == pytest.approx(abs(removed[0] - removed[1]) / 2, rel=1e-2)
    assert found["elsewhere"] == pytest.approx(np.mean(elsewhere), abs=1e-3)
    assert found["ratio"] == pytest.approx(found["removed"] / found["random"])
    assert (found["examples"], found["directions"], found["layer"]) == (2, 2, 1)


def test_factors_that_are_random_directions_do_what_random_directions_do(encoder) -> None:
    found = effects.measure_effects(encoder, examples(range(40), 6), windows)
    mean, error = found["ratio"].mean(), found["ratio"].std() / np.sqrt(40)
    assert abs(mean - 1) < 4 * error
    assert error < 0.1
    assert 0.4 < found["above"].mean() < 0.6


def test_the_last_layer_could_tell_nothing_apart(encoder) -> None:
    found = effects.measure_effects(encoder, examples(range(4), 3, layer=2), windows)
    np.testing.assert_allclose(found["ratio"], 1, rtol=1e-4)
    np.testing.assert_allclose(found["elsewhere"], 0, atol=1e-6)


def test_what_else_is_measured_at_once_changes_nothing(encoder) -> None:
    rows = examples(range(5), 3)
    together = effects.measure_effects(encoder, rows, windows).set_index("factor")
    alone = effects.measure_effects(encoder, rows[rows["factor"] == 2], windows).set_index("factor")
    pd.testing.assert_frame_equal(together.loc[[2]], alone, rtol=1e-3)


def test_the_layer_is_the_strongest_below_the_last() -> None:
    importance = np.array([[1.0, 3.0, 9.0], [2.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    found = effects.layers_of_effect(importance, [0, 1, 2], blocks=2)
    assert found.tolist() == [1, 0, -1]
    assert effects.layers_of_effect(importance[:, 2:], [2], blocks=2).tolist() == [-1] * 3


def test_one_example_has_no_error(encoder) -> None:
    found = effects.measure_effects(encoder, examples(range(1), 1), windows).iloc[0]
    assert np.isnan(found[["removed_error", "random_error", "ratio_error"]].astype(float)).all()
