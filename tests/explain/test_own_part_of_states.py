"""x = b + αΦ + ε through the whole of explain: states of length √d, less what tokens bring."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_encoder import encoder_with_own_part

from tfactors.coding.baseline import TokenBaseline
from tfactors.coding.state_transform import StateTransform
from tfactors.explain import effects
from tfactors.explain.decomposition import read_text, take_apart
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.intervention import Move, intervene_tokens

pytestmark = pytest.mark.model

LAYERS = [1, 2]
SCALE = {1: 1.0, 2: 1.0}
IDS = np.array([12, 55, 200, 31, 8, 340, 77], np.int64)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "between marks"])
def encoder(request, tmp_path_factory: pytest.TempPathFactory) -> FactorEncoder:
    return encoder_with_own_part(tmp_path_factory.mktemp("model"), marks=request.param)


def test_the_parts_of_every_token_add_up_to_its_state(encoder) -> None:
    read = read_text("The nation thanked its soldiers, and zyzzyva the senate.", encoder)
    made, codes = take_apart(read, encoder, encoder.penalty)
    token_ids = made.tokens["token_id"].to_numpy()
    raw = encoder.model.hidden_states([token_ids], LAYERS)
    unit = raw / np.linalg.norm(raw, axis=2, keepdims=True) * np.sqrt(encoder.model.width)
    rebuilt = read.own + (codes @ encoder.coder.dictionary).reshape(unit.shape)
    residual = np.linalg.norm(unit - rebuilt, axis=2).ravel()
    np.testing.assert_allclose(made.residuals["residual"], residual, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(made.residuals["norm"], np.sqrt(encoder.model.width), rtol=1e-5)
    context = np.linalg.norm(unit - read.own, axis=2).ravel()
    np.testing.assert_allclose(made.residuals["context"], context, rtol=1e-4)
    explained = 1 - residual**2 / encoder.model.width
    np.testing.assert_allclose(made.residuals["explained"], explained, atol=1e-5)


def test_a_baseline_takes_away_what_tokens_share_and_serves_unseen_ones(encoder) -> None:
    unseen = np.array([650, 660, 670, 680])  # above the tokens that were summed
    texts = [np.random.default_rng(9).integers(5, 600, 20), np.tile(unseen, 5)]
    states, own = encoder.parts(texts, LAYERS)
    whole = states + own
    for some in (slice(0, 20), slice(20, 40)):
        left = (states[:, some] ** 2).sum(axis=(1, 2))
        centred = whole[:, some] - whole.mean(axis=1, keepdims=True)
        assert (left < 0.9 * (centred**2).sum(axis=(1, 2))).all()


def test_without_a_part_of_their_own_codes_are_those_of_before_to_the_bit(encoder) -> None:
    known = encoder.transform.baseline
    nothing = TokenBaseline(
        known.layers,
        *(np.zeros_like(a) for a in (known.mean, known.prior, known.basis, known.places)),
        known.token_ids,
        np.zeros_like(known.codes),
        np.zeros_like(known.steps),
        known.counts,
        known.embed,
    )
    for by_length in (False, True):
        one, other = (
            replace(encoder, transform=StateTransform(SCALE, by_length, baseline=baseline))
            for baseline in (None, nothing)
        )
        a, b = one.encode([IDS], 2), other.encode([IDS], 2)
        for name in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_one_position_and_a_later_start_are_read_with_their_own_place(encoder) -> None:
    every, own = encoder.parts([IDS], LAYERS)
    one, own_of_one = encoder.parts([IDS], LAYERS, positions=[3])
    np.testing.assert_allclose(one[:, 0], every[:, 3], atol=1e-4)
    np.testing.assert_allclose(own_of_one[:, 0], own[:, 3], atol=1e-5)
    _, later = encoder.parts([IDS], LAYERS, starts=[11])
    expected = encoder.transform.own_part(IDS, np.arange(11, 18), LAYERS)
    np.testing.assert_allclose(later, expected, atol=1e-5)


def test_a_factor_is_moved_in_the_raw_state_of_its_own_length(encoder) -> None:
    model, atoms = encoder.model, encoder.coder.dictionary
    codes = encoder.encode([IDS], 1).toarray()
    position, factor = map(int, np.unravel_index(codes.argmax(), codes.shape))
    activation = codes[position, factor]
    entering, last = model.hidden_states([IDS], [1, 2])
    length = np.linalg.norm(entering[position]) / np.sqrt(model.width)
    entering[position] -= activation * length * atoms[factor]
    change = model.last_states([IDS], 1, entering) - last
    expected = np.linalg.norm(change.mean(axis=0)) / np.linalg.norm(last.mean(axis=0))
    tokens = [str(i) for i in IDS]
    made = intervene_tokens(encoder, IDS, tokens, Move(factor, 1, position, times=0.0))
    assert made.change == pytest.approx(expected, rel=1e-3)

    row = {"factor": factor, "layer": 1, "rank": 0, "window": 0, "position": position}
    examples = pd.DataFrame([row | {"activation": np.float32(activation)}])
    windows = pd.DataFrame({"window": [0], "token_ids": [IDS]})
    stored = effects.measure_effects(encoder, examples, lambda numbers: windows, seed=0)
    assert stored.iloc[0]["removed"] == pytest.approx(expected, rel=1e-3)
