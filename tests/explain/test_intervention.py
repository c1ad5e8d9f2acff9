"""A factor moved in a text: closed forms, and the head's words against transformers' own."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tiny_families import write_family
from tiny_model import write_tiny_bert

from tfactors.coding.solver import SparseCoder
from tfactors.coding.state_transform import StateTransform
from tfactors.errors import InputError
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.intervention import (
    Intervention,
    Move,
    ReadUnmoved,
    cosine,
    intervene_tokens,
    read_unmoved,
)
from tfactors.model.hidden_states import load_model

pytestmark = pytest.mark.model

IDS = np.array([12, 55, 200, 31, 8, 340, 77], np.int32)
TOKENS = [f" w{i}" for i in range(len(IDS))]
SCALE = {0: 2.0, 1: 0.5, 2: 3.0}


def encoder_with(folder: Path) -> FactorEncoder:
    model = load_model(str(folder))
    atoms = np.random.default_rng(5).standard_normal((60, model.width))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return FactorEncoder(model, SparseCoder(atoms.astype(np.float32)), StateTransform(SCALE), 0.1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> FactorEncoder:
    return encoder_with(write_tiny_bert(tmp_path_factory.mktemp("model") / "bert"))


def moved(
    encoder: FactorEncoder,
    factor: int,
    layer: int,
    other_ids: np.ndarray | None = None,
    read: ReadUnmoved | None = None,
    **how,
) -> Intervention:
    return intervene_tokens(encoder, IDS, TOKENS, Move(factor, layer, **how), other_ids, read)


def active(encoder: FactorEncoder, layer: int) -> tuple[int, int]:
    """A token and its strongest factor."""
    codes = encoder.encode([IDS], layer).toarray()
    position, factor = np.unravel_index(codes.argmax(), codes.shape)
    return int(position), int(factor)


def test_taking_away_a_silent_factor_changes_nothing(encoder) -> None:
    codes = encoder.encode([IDS], 1).toarray()
    position, factor = np.argwhere(codes == 0)[0]
    made = moved(encoder, int(factor), 1, position=int(position))
    assert made.change == 0
    assert not made.tokens["change"].any()
    assert made.cosine == pytest.approx(1)
    assert np.isnan(made.ratio)


def test_times_one_changes_nothing_and_zero_takes_the_activation_away(encoder) -> None:
    position, factor = active(encoder, 1)
    assert moved(encoder, factor, 1, position=position, times=1.0).change == 0
    made = moved(encoder, factor, 1, position=position)
    activation = made.tokens["activation"][position]
    assert activation > 0
    assert made.tokens["step"].tolist() == [-activation * (i == position) for i in range(7)]


def test_what_is_added_and_taken_away_again_is_as_it_was(encoder) -> None:
    model, atom = encoder.model, encoder.coder.dictionary[4]
    entering, last = model.hidden_states([IDS], [1, 2])
    added = entering + np.float32(3 / SCALE[1]) * atom
    given = moved(encoder, 4, 1, times=1.0, add=3.0)
    there = model.last_states([IDS], 1, added)
    found = np.linalg.norm(there - last, axis=1) / np.linalg.norm(last, axis=1)
    np.testing.assert_allclose(given.tokens["change"], found, rtol=1e-3)
    back = model.last_states([IDS], 1, added - np.float32(3 / SCALE[1]) * atom)
    np.testing.assert_allclose(back, last, atol=1e-5)


def test_at_the_last_layer_the_change_is_the_step_along_the_factor_and_no_more(encoder) -> None:
    position, factor = active(encoder, 2)
    last = encoder.model.hidden_states([IDS], [2])[0]
    made = moved(encoder, factor, 2, position=position)
    step = made.tokens["activation"][position] / SCALE[2]
    assert made.tokens["change"][position] == pytest.approx(
        step / np.linalg.norm(last[position]), rel=1e-4
    )
    assert (made.tokens["change"] > 0).sum() == 1
    expected = step / len(IDS) / np.linalg.norm(last.mean(axis=0))
    assert made.change == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(made.random, expected, rtol=1e-4)
    assert made.ratio == pytest.approx(1, rel=1e-4)


def test_at_the_last_layer_the_change_is_linear_in_the_strength(encoder) -> None:
    position, factor = active(encoder, 2)
    once, twice = (
        moved(encoder, factor, 2, position=position, times=1.0, add=a).change for a in (1.0, 2.0)
    )
    assert twice == pytest.approx(2 * once, rel=1e-4)
    assert moved(encoder, factor, 2, position=position, times=2.0).change == pytest.approx(
        moved(encoder, factor, 2, position=position, times=0.0).change, rel=1e-4
    )


def test_the_cosine_with_another_text_is_that_of_the_two_embeddings(encoder) -> None:
    _, factor = active(encoder, 1)
    other = IDS[::-1].copy()
    made = moved(encoder, factor, 1, other_ids=other)
    here, there = (encoder.model.hidden_states([x], [2])[0].mean(axis=0) for x in (IDS, other))
    assert made.similarity[0] == pytest.approx(cosine(here, there), abs=1e-5)
    assert made.similarity[0] != made.similarity[1]
    assert moved(encoder, factor, 1, other_ids=IDS).similarity[0] == pytest.approx(1)
    assert moved(encoder, factor, 1, other_ids=IDS).similarity[1] == pytest.approx(made.cosine)


def test_a_model_without_a_head_predicts_no_words(encoder) -> None:
    assert moved(encoder, 3, 1, times=1.0, add=2.0).words is None


@pytest.mark.parametrize(("family", "place"), [("gpt2", 6), ("bert", 2)])
def test_predicted_words_are_those_of_the_models_own_head(
    family: str, place: int, tmp_path: Path
) -> None:
    folder = write_family(family, tmp_path / family)
    torch.manual_seed(2)
    auto = (
        transformers.AutoModelForCausalLM if family == "gpt2" else transformers.AutoModelForMaskedLM
    )
    config = transformers.AutoConfig.from_pretrained(folder)
    whole = auto.from_config(config)
    with_head = shutil.copytree(folder, tmp_path / "with_head")
    whole.save_pretrained(with_head)
    encoder = encoder_with(with_head)
    at = None if family == "gpt2" else place  # a decoder says what follows the text
    made = moved(encoder, 7, 1, position=at, times=1.0, add=9.0)
    assert made.words_at == place
    step = torch.from_numpy(np.float32(9 / SCALE[1]) * encoder.coder.dictionary[7])
    blocks = next(m for m in whole.modules() if isinstance(m, torch.nn.ModuleList))

    def put_in(_: torch.nn.Module, args: tuple) -> tuple:
        states = args[0].clone()
        states[:, slice(None) if at is None else at] += step
        return (states, *args[1:])

    def predicted() -> np.ndarray:
        with torch.inference_mode():
            logits = whole.eval()(torch.tensor(IDS[None].astype(np.int64))).logits
        return logits[0, place].softmax(-1).numpy()

    before = predicted()
    blocks[1].register_forward_pre_hook(put_in)
    gain = predicted() - before
    assert made.words["gain"].iloc[0] == pytest.approx(gain.max(), abs=1e-5)
    assert made.words["gain"].iloc[-1] == pytest.approx(gain.min(), abs=1e-5)
    assert made.words["token"].iloc[0] == encoder.model.tokenizer.decode([int(gain.argmax())])
    assert made.words["gain"].is_monotonic_decreasing


def test_it_shows_itself_in_a_notebook_with_every_token_escaped(encoder) -> None:
    made = intervene_tokens(encoder, IDS, ["<b>", *TOKENS[1:]], Move(3, 1, times=1.0, add=2.0))
    shown = made._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown.split("</b>", 1)[1]
    assert "16 random directions" in shown


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"position": 7}, "position 7"),
        ({"times": float("nan")}, "finite"),
        ({"layer": 3}, "layer 3"),
        ({"factor": 60}, "factor 60"),
    ],
)
def test_what_cannot_be_done_is_refused(encoder, how: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        moved(encoder, **({"factor": 1, "layer": 1} | how))


def test_states_from_memory_give_the_same_answer_as_the_model_asked_again(encoder) -> None:
    position, factor = active(encoder, 1)
    other = IDS[::-1].copy()
    known = {
        (ids.tobytes(), layer): read_unmoved(encoder, ids, layer)
        for ids, layer in ((IDS, 1), (other, encoder.model.blocks))
    }
    how = {"position": position, "other_ids": other}
    asked = moved(encoder, factor, 1, **how)
    remembered = moved(
        encoder, factor, 1, **how, read=lambda ids, layer: known[ids.tobytes(), layer]
    )
    assert remembered.tokens.equals(asked.tokens)
    assert (remembered.change, remembered.similarity) == (asked.change, asked.similarity)
    np.testing.assert_array_equal(remembered.random, asked.random)
