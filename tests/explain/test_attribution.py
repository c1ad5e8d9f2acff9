"""Where an activation comes from: models of which everything is known, and a real one."""

import json

import numpy as np
import pytest
import torch
from linear_model import WIDTH, linear_encoder
from tiny_encoder import causal_encoder, encoder_with_own_part, tiny_encoder

from tfactors.errors import InputError
from tfactors.explain import integrated_gradients
from tfactors.explain.attribution import attribute_tokens
from tfactors.explain.integrated_gradients import taken_apart

pytestmark = pytest.mark.model

IDENTITY, NOTHING = np.eye(WIDTH), np.zeros((WIDTH, WIDTH))
IDS = np.array([7, 12, 3, 30, 9, 21, 16, 5], np.int64)
TOKENS = [f"w{token}" for token in IDS]
RANDOM = np.random.default_rng(8).standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)


def strongest(encoder, layer: int, position: int) -> int:
    """The factor that is most active at a token."""
    codes = encoder.encode([IDS], layer)[[position]].toarray()[0]
    assert codes.max() > 0
    return int(codes.argmax())


def attributed(encoder, layer: int, source_layer: int, position: int = 5):
    factor = strongest(encoder, layer, position)
    return attribute_tokens(encoder, IDS, TOKENS, position, factor, layer, source_layer)


def test_where_blocks_change_nothing_a_factor_comes_from_itself() -> None:
    found = attributed(linear_encoder(IDENTITY, NOTHING, own_part=False), 2, 0)
    rows = found.sources.set_index(["kind", "position", "factor"])["contribution"]
    assert rows.pop(("factor", 5, found.factor)) == pytest.approx(found.activation, rel=1e-4)
    assert rows.abs().max() < 1e-4


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("own_part", [True, False])
def test_of_a_linear_model_every_contribution_is_a_product_of_matrices(own_part, refit) -> None:
    encoder = linear_encoder(*RANDOM, own_part, refit)
    found = attributed(encoder, 2, 1)
    state = taken_apart(encoder, IDS, [1, 2])
    active = state[2].codes[[5]].indices
    atoms = encoder.coder.dictionary[active].astype(np.float64)
    weights = np.linalg.pinv(atoms)[:, list(active).index(found.factor)]
    through = {5: RANDOM[0] @ weights, 4: RANDOM[1] @ weights}
    rest = state[1].z - state[1].codes @ encoder.coder.dictionary
    for row in found.sources[found.sources["kind"] == "factor"].itertuples():
        atom = encoder.coder.dictionary[row.factor]
        expected = row.activation * atom @ through.get(row.position, np.zeros(WIDTH))
        assert row.contribution == pytest.approx(expected, abs=1e-4)
    for row in found.sources[found.sources["kind"] == "rest"].itertuples():
        expected = rest[row.position] @ through.get(row.position, np.zeros(WIDTH))
        assert row.contribution == pytest.approx(expected, abs=1e-4)
    assert (found.sources["kind"] == "word").sum() == (len(IDS) if own_part else 0)
    assert found.error < 1e-4


def test_a_block_that_copies_its_left_neighbour_shares_out_to_that_token_alone() -> None:
    found = attributed(linear_encoder(NOTHING, IDENTITY, own_part=False), 2, 1)
    by_token = found.sources.groupby("position")["contribution"].sum()
    assert by_token[4] == pytest.approx(found.activation, rel=1e-4)
    assert by_token.drop(4).abs().max() < 1e-5
    assert found.sources.iloc[0]["factor"] == found.factor


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "between marks"])
def encoder(request, tmp_path_factory):
    return encoder_with_own_part(tmp_path_factory.mktemp("bert"), marks=request.param, blocks=3)


@pytest.mark.parametrize(("layer", "source_layer"), [(2, 1), (3, 2), (3, 1)])
def test_all_that_a_real_model_was_given_adds_up_to_the_activation(
    encoder, layer, source_layer
) -> None:
    for position in range(len(IDS)):
        found = attributed(encoder, layer, source_layer, position)
        assert found.error <= integrated_gradients.LARGEST_ERROR
        assert sum(found.shares().values()) == pytest.approx(found.total / found.activation)


def test_of_normed_states_too_all_adds_up_to_the_activation(tmp_path) -> None:
    encoder = encoder_with_own_part(tmp_path, blocks=3, normed=True)
    for position in (1, 5):
        assert attributed(encoder, 3, 2, position).error <= integrated_gradients.LARGEST_ERROR


def test_running_on_between_layers_gives_the_models_own_states(encoder) -> None:
    states = encoder.model.hidden_states([IDS], [1, 2, 3])
    for end in (1, 2, 3):
        entering = torch.from_numpy(np.stack([states[0], states[0]]))
        found = encoder.model.run_between(IDS, 1, end, entering).numpy()
        np.testing.assert_allclose(found[1], states[end - 1], atol=1e-5)


def test_the_gradient_of_packed_layers_is_that_of_differences(encoder) -> None:
    entering = torch.from_numpy(encoder.model.hidden_states([IDS], [1])).requires_grad_()
    direction = torch.linspace(-1, 1, encoder.model.width)

    def value(states: torch.Tensor) -> torch.Tensor:
        return (encoder.model.run_between(IDS, 1, 3, states)[0, 2] * direction).sum()

    (gradient,) = torch.autograd.grad(value(entering), entering)
    step = torch.randn(entering.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        change = value(entering + 1e-2 * step) - value(entering - 1e-2 * step)
    assert float((gradient * step).sum()) == pytest.approx(float(change) / 2e-2, rel=0.01)


def test_a_causal_model_gives_nothing_to_what_follows(tmp_path) -> None:
    found = attributed(causal_encoder(tmp_path), 2, 0, position=3)
    later = found.sources[found.sources["position"] > 3]
    assert len(later)
    assert (later["contribution"] == 0).all()
    assert found.sources["contribution"].abs().sum() > 0


def test_what_cannot_be_attributed_is_said_in_one_line(encoder) -> None:
    silent = int(np.flatnonzero(encoder.encode([IDS], 2)[[3]].toarray()[0] == 0)[0])
    for arguments, said in [
        ((3, silent, 2), f"factor {silent} is silent at token 3 of layer 2; active there: "),
        ((3, 0, 1), "layer 1: it is the lowest that this bundle takes apart"),
        ((3, 0, 3, 3), "source layer 3: expected one of 1, 2, below 3"),
        ((99, 0, 2), "position 99: the text has 8 tokens, counted from 0"),
        ((3, 999, 2), "factor 999: expected 0 to 59"),
    ]:
        with pytest.raises(InputError, match=said):
            attribute_tokens(encoder, IDS, TOKENS, *arguments)


def test_a_line_on_which_the_model_is_not_smooth_is_refused(tmp_path) -> None:
    encoder = tiny_encoder(tmp_path, blocks=2, penalty=2.0)
    with pytest.raises(InputError, match=r"the sum misses \d+ % of the activation"):
        attributed(encoder, 2, 1, position=0)


def test_a_result_shows_itself_as_text_json_and_in_a_notebook(encoder) -> None:
    tokens = ["<b>", *TOKENS[1:]]
    factor = strongest(encoder, 2, 0)
    found = attribute_tokens(encoder, IDS, tokens, 0, factor, 2, labels=["river"] * 60)
    record = json.loads(found.to_json())
    assert record["total"] == pytest.approx(found.activation, rel=0.01)
    assert len(record["sources"]) == len(found.sources)
    assert "made from layer 1" in found.describe()
    assert f"factor {factor} river at “<b>” (0)" in found.describe()
    shown = found._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>”" not in shown
