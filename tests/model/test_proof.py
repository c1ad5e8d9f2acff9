"""A model is proved when it is opened: its states are transformers' own, or it says what it can't.

The reference is transformers' own forward of each text alone, without padding.
"""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tiny_families import UNLIKE_BERT, write_family

from tfactors.model import proof as model_proof
from tfactors.model.hidden_states import Model, load_model
from tfactors.model.loading import ModelError

pytestmark = pytest.mark.model

LENGTHS = (9, 30, 1, 17, 9)
# Of which the embeddings are no part of the states that transformers lists.
FROM_THE_FIRST_BLOCK = {"mamba", "rwkv"}


def texts_of(lengths: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(10, 300, size=length) for length in lengths]


def own_states(folder: Path, texts: list[np.ndarray]) -> np.ndarray:
    """(layers, tokens, width) by transformers, from the first block or the embeddings on."""
    module = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    module = module.get_encoder() if module.config.is_encoder_decoder else module
    states = []
    with torch.inference_mode():
        for text in texts:
            answer = module(torch.from_numpy(text[None]), output_hidden_states=True)
            states.append(np.stack([h[0, : len(text)].numpy() for h in answer.hidden_states]))
    return np.concatenate(states, axis=1)


@pytest.fixture(scope="module", params=UNLIKE_BERT)
def opened(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Model]:
    folder = write_family(request.param, tmp_path_factory.mktemp("models") / request.param)
    return request.param, folder, load_model(str(folder))


def test_states_of_texts_together_and_alone_are_those_of_transformers(opened) -> None:
    family, folder, model = opened
    texts = texts_of(LENGTHS)
    expected = own_states(folder, texts)
    layers = model.layers
    if family in FROM_THE_FIRST_BLOCK:
        layers, expected = layers[1:], np.concatenate([expected[:-2], expected[-1:]])
    np.testing.assert_allclose(model.hidden_states(texts, layers), expected, atol=5e-5)
    alone = np.concatenate([model.hidden_states([text], layers) for text in texts], axis=1)
    np.testing.assert_allclose(alone, expected, atol=5e-5)
    places = [len(text) // 2 for text in texts]
    rows = np.cumsum((0, *LENGTHS))[:-1] + places
    found = model.hidden_states(texts, layers[-1:], places)
    np.testing.assert_allclose(found[0], expected[-1, rows], atol=5e-5)


def test_running_on_gives_the_own_last_states_or_is_refused(opened) -> None:
    family, _, model = opened
    texts = texts_of(LENGTHS)
    own = model.hidden_states(texts, model.layers)
    assert model.runs_on == (family not in CANNOT_RUN_ON)
    for layer in model.layers[:-1]:
        if model.runs_on:
            # Also under other token ids: all that is known of a text is in the states.
            for ids in (texts, texts_of(LENGTHS, seed=1)):
                last = model.last_states(ids, layer, own[layer])
                np.testing.assert_allclose(last, own[-1], atol=5e-5)
        else:
            with pytest.raises(ModelError, match="cannot run on") as caught:
                model.last_states(texts, layer, own[layer])
            assert "\n" not in str(caught.value)


CANNOT_RUN_ON = {"xlnet", "flaubert", "xlm", "fsmt", "reformer_of_chunks"}


def test_only_texts_of_one_length_share_a_batch_where_padding_changes_states(opened) -> None:
    family, _, model = opened
    mixing = {"fnet", "mobilebert", "convbert", "reformer_of_chunks"}
    assert model.proof.padding == (family not in mixing)
    assert model.proof.batches


@pytest.mark.parametrize("strongest", [40, 100])
def test_longer_texts_share_no_batch_with_padding_where_the_strongest_of_all_places_count(
    strongest: int, tmp_path: Path
) -> None:
    # 2,048 in DeepSeek-V3.2, which is more than the texts that a model is tried with.
    folder = write_family("deepseek_v32", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"index_topk": strongest, "max_position_embeddings": 256}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    model, texts = load_model(str(folder)), texts_of((150, strongest, 148, 30, 148, 9))
    expected = own_states(folder, texts)
    np.testing.assert_allclose(model.hidden_states(texts, model.layers), expected, atol=5e-5)


@pytest.mark.parametrize(
    ("family", "longest"),
    [("big_bird", 28), ("reformer", 16), ("mpt", 20), ("led", 24), ("llava", 28)],
)
def test_a_model_reads_no_text_so_long_that_it_would_read_it_in_another_way(
    family: str, longest: int, tmp_path: Path
) -> None:
    # BigBird attends to all of every text after its first short one; Reformer draws the parts;
    # MPT and LED end there, and Llava's text model has other frequencies from there on.
    folder = write_family(family, tmp_path / family)
    model, (long,) = load_model(str(folder)), texts_of((longest,))
    assert model.max_length == longest
    np.testing.assert_allclose(
        model.hidden_states([long], model.layers), own_states(folder, [long]), atol=5e-5
    )
    with pytest.raises(ModelError, match=f"reads at most {longest}"):
        model.hidden_states(texts_of((longest + 1,)), [1])


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("funnel", r"states of shape \(32, 32\) for 64 tokens"),
        ("opt", r"states of shape \(64, 16\) for 64 tokens"),
        ("xlnet_for_pairs", r"layer 1 of XLNetModel has states of shape \(0, 64, 32\) for 64"),
    ],
)
def test_a_model_whose_states_cannot_be_had_is_refused_in_one_line(
    family: str, said: str, tmp_path: Path
) -> None:
    folder = write_family(family, tmp_path / family)
    with pytest.raises(ModelError, match=said) as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_the_same_weights_are_proved_once_and_other_settings_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_family("bert", tmp_path / "bert")
    monkeypatch.setattr(model_proof, "_PROVED", {})  # another test may have had the same weights
    proved: list[str] = []
    prove = model_proof._prove
    monkeypatch.setattr(model_proof, "_prove", lambda *a: proved.append(a[1]) or prove(*a))
    first, second = (load_model(str(folder)) for _ in range(2))
    assert len(proved) == 1
    assert first.proof == second.proof
    texts = texts_of(LENGTHS)
    states = first.hidden_states(texts, first.layers)
    np.testing.assert_array_equal(second.hidden_states(texts, first.layers), states)
    config = (folder / "config.json").read_text("utf-8")
    (folder / "config.json").write_text(config.replace('"gelu"', '"relu"'), "utf-8")
    load_model(str(folder))
    assert len(proved) == 2


def test_of_a_large_model_one_line_says_which_layers_were_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(model_proof, "MOST_WEIGHTS", 1000)
    folder = write_family("long_bert", tmp_path / "bert")
    with caplog.at_level(logging.WARNING):
        model = load_model(str(folder))
    assert model.runs_on
    assert "texts of up to 10 tokens" in caplog.messages[0]
    assert "tried at the layers 0, 2, 4 alone" in caplog.messages[0]
    assert len(caplog.messages) == 1
