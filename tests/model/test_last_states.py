"""Going on from states put in at a layer, against transformers' own pass with a hook."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tiny_families import FAMILIES, write_family
from tiny_model import write_tiny_bert

from tfactors.model.hidden_states import Model, load_model
from tfactors.model.loading import ModelError

pytestmark = pytest.mark.model

LENGTHS = (7, 20, 1, 12)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


def texts_of(lengths: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(10, 300, size=length).astype(np.int32) for length in lengths]


def changed_states(model: Model, texts: list[np.ndarray], layer: int) -> np.ndarray:
    """Hidden states of a layer, each moved a good way off."""
    states = model.hidden_states(texts, [layer])[0]
    return states + np.random.default_rng(3).normal(size=states.shape).astype(np.float32)


def of_transformers(folder: Path, text: np.ndarray, layer: int, states: np.ndarray) -> np.ndarray:
    """Last hidden states when a hook of torch puts ``states`` in where the block is called."""
    module = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    module = module.get_encoder() if module.config.is_encoder_decoder else module
    lists = [m for m in module.modules() if isinstance(m, torch.nn.ModuleList)]
    calls = count()

    def put_in(_: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        if next(calls) != layer:
            return None
        given = torch.from_numpy(states[None])
        return ((given, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": given})

    for block in lists[0]:
        block.register_forward_pre_hook(put_in, with_kwargs=True)
    with torch.inference_mode():
        return module(torch.tensor(text[None].astype(np.int64)))[0][0].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_pass_goes_on_as_transformers_would_with_the_state_replaced(
    family: str, tmp_path: Path
) -> None:
    model, texts = load_model(str(write_family(family, tmp_path / family))), texts_of(LENGTHS)
    own = model.hidden_states(texts, model.layers)
    ends = np.cumsum(LENGTHS)
    for layer in model.layers:
        same = model.last_states(texts, layer, own[layer])
        np.testing.assert_allclose(same, own[-1], atol=3e-5)
        states = changed_states(model, texts, layer)
        found = model.last_states(texts, layer, states)
        if layer == model.blocks:
            np.testing.assert_array_equal(found, states)
            continue
        assert np.abs(found - own[-1]).max() > 0.01
        for text, end in zip(texts, ends, strict=True):
            rows = slice(end - len(text), end)
            expected = of_transformers(tmp_path / family, text, layer, states[rows])
            np.testing.assert_allclose(found[rows], expected, atol=3e-5)


def test_the_blocks_below_do_not_run(tiny: Path) -> None:
    model, broken, texts = load_model(str(tiny)), load_model(str(tiny)), texts_of(LENGTHS)
    for key, tensor in broken._module.named_parameters():
        if "layer.0." in key:
            tensor.fill_(float("nan"))
    states = changed_states(model, texts, 1)
    found = broken.last_states(texts, 1, states)
    np.testing.assert_array_equal(found, model.last_states(texts, 1, states))


def test_a_text_goes_on_with_the_positions_at_which_it_starts(tmp_path: Path) -> None:
    model, (text,) = load_model(str(write_family("llama", tmp_path / "llama"))), texts_of((9,))
    states = changed_states(model, [text], 1)
    # Rotary positions are relative: only where a text starts among others makes no difference.
    later = model.last_states([text], 1, states, starts=[20])
    np.testing.assert_allclose(later, model.last_states([text], 1, states), atol=1e-4)


def test_threads_go_on_side_by_side(tiny: Path) -> None:
    model = load_model(str(tiny))
    jobs = []
    for seed in range(12):
        texts = texts_of(LENGTHS, seed)
        jobs.append((texts, seed % 3, changed_states(model, texts, seed % 3)))
    expected = [model.last_states(*job) for job in jobs]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda job: model.last_states(*job), jobs))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_states_of_another_text_are_refused(tiny: Path) -> None:
    model, texts = load_model(str(tiny)), texts_of((4, 3))
    with pytest.raises(ModelError, match=r"shape \(6, 32\): expected \(7, 32\)"):
        model.last_states(texts, 1, np.zeros((6, 32), np.float32))
    with pytest.raises(ModelError, match=r"layer 3: .* has layers 0 to 2"):
        model.last_states(texts, 3, np.zeros((7, 32), np.float32))
