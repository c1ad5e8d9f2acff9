"""Autoencoders read texts as they were trained to, and what is not followed is said."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_autoencoders import codes, weights, write_dictionary_learning, write_saelens
from tiny_families import trained
from tiny_model import address_texts, write_tiny_bert
from tokenizers import Tokenizer

import tfactors as tf
from tfactors.cli import main
from tfactors.interchange.dictionaries import read_dictionary
from tfactors.model.hidden_states import load_model
from tfactors.model.loading import positions
from tfactors.portrait.origin import origin_facts

pytestmark = pytest.mark.model

D, LAYER = 16, 1
BOS, BOS_ID = "<|endoftext|>", 2
# The dead rows of the file that has some.
DEAD = (3, 20)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 whose tokenizer has a BOS and puts it nowhere, and a text."""
    folder = tmp_path_factory.mktemp("world")
    fast = Tokenizer.from_str(trained("bpe", (BOS,)))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=fast, bos_token=BOS, eos_token=BOS, model_max_length=64
    )
    assert tokenizer.bos_token_id == BOS_ID
    tokenizer.save_pretrained(folder / "model")
    torch.manual_seed(0)
    sizes = {"n_layer": 2, "n_embd": D, "n_head": 2, "n_positions": 64}
    marks = {"bos_token_id": BOS_ID, "eos_token_id": BOS_ID}
    config = transformers.GPT2Config(vocab_size=len(tokenizer), **sizes, **marks)
    module = transformers.GPT2Model(config)
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    module.save_pretrained(folder / "model")
    (folder / "text.txt").write_text(address_texts(1)[0][:2500], "utf-8")
    return folder


@cache
def transformer(folder: Path) -> torch.nn.Module:
    """The model as transformers loads it."""
    return transformers.AutoModel.from_pretrained(folder).eval()


def states_behind_bos(world: Path, ids: np.ndarray) -> np.ndarray:
    """States of a text at the layer, by transformers, with BOS in front and cut off again."""
    module = transformer(world / "model")
    with torch.inference_mode():
        found = module(torch.tensor([[BOS_ID, *ids]]), output_hidden_states=True)
    return found.hidden_states[LAYER][0, 1:].numpy()


def fitting(world: Path, normed: bool = False) -> dict[str, torch.Tensor]:
    """An autoencoder that gives back the states of the text: both ends of each principal axis."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(world / "model")
    ids = tokenizer((world / "text.txt").read_text("utf-8"), verbose=False)["input_ids"]
    x = np.concatenate([states_behind_bos(world, ids[at : at + 50]) for at in range(0, 600, 50)])
    if normed:
        x = (x - x.mean(1, keepdims=True)) / (x.std(1, ddof=1, keepdims=True) + 1e-5)
    mean = x.mean(axis=0)
    _, spread, axes = np.linalg.svd(x - mean, full_matrices=False)
    axes = axes[spread > 1e-3]  # along the mean of their own numbers normed states do not differ
    both = torch.from_numpy(np.concatenate([axes, -axes]).astype(np.float32))
    w = {"W_enc": both, "W_dec": 1.5 * both, "b_dec": torch.from_numpy(mean)}
    return w | {"b_enc": torch.zeros(len(both))}


def run_import(world: Path, source: Path, out: Path, *more: str, model: str = "model") -> int:
    return main([
        "import", str(source), str(world / "text.txt"), "--model", str(world / model), "--out",
        str(out), "--quiet", "--retention-examples", "1", "--saliency-examples", "0",
        "--saliency-others", "0", "--effect-examples", "0", "--examples", "5",
        "--meaning-contexts", "0", *more,
    ])  # fmt: skip


def opened(out: Path) -> tf.Bundle:
    bundle = tf.Bundle.open(out)
    bundle.verify()
    return bundle


def said(bundle: tf.Bundle) -> str:
    """What Home says of the file."""
    return " ".join(text for name, text in origin_facts(bundle) if name == "Note")


def check_activations(bundle: tf.Bundle, world: Path, w: dict, normed: bool = False) -> None:
    """Every example is as active as the library would have it behind BOS."""
    examples = pd.read_parquet(bundle.path / "examples" / f"layer_{LAYER:02}.parquet")
    texts = bundle.windows(np.arange(bundle.manifest["corpus"]["windows"]))["token_ids"]
    every = []
    for ids in texts:
        x = states_behind_bos(world, ids)
        if normed:
            x = (x - x.mean(1, keepdims=True)) / (x.std(1, ddof=1, keepdims=True) + 1e-5)
        every.append(codes("standard", w, x))
    expected = [
        every[row.window][row.position, row.factor] for row in examples.itertuples(index=False)
    ]
    assert len(examples) > 50
    np.testing.assert_allclose(examples["activation"], expected, rtol=1e-3, atol=1e-3)


# The folder as SAELens saves it, and whether it was trained behind BOS.
SPELLINGS = [
    ({"metadata": {"sae_lens_version": "6.2.0", "prepend_bos": True}}, True),
    ({"metadata": {"sae_lens_version": "6.2.0", "prepend_bos": False}}, False),
    ({"metadata": {"sae_lens_version": "6.2.0"}}, False),
    ({"metadata": None, "sae_lens_version": "3.1.0", "prepend_bos": True}, True),
    ({"metadata": None, "sae_lens_version": "5.9.1", "prepend_bos": False}, False),
    ({"metadata": None, "sae_lens_version": "5.9.1"}, True),  # its default then
    ({"metadata": None, "prepend_bos": 1, "hook_point": "blocks.0.hook_resid_pre"}, True),
]


@pytest.mark.parametrize(("config", "bos"), SPELLINGS)
def test_every_version_says_in_its_own_way_what_texts_began_with(
    config: dict, bos: bool, tmp_path: Path
) -> None:
    source = write_saelens(tmp_path, "standard", weights("standard", 20, D), **config)
    assert read_dictionary(source, D).origin.bos is bos


def test_texts_are_read_behind_the_token_that_the_file_was_trained_behind(
    world: Path, tmp_path: Path
) -> None:
    w = fitting(world)
    metadata = {"prepend_bos": True, "context_size": 40, "hook_name": "blocks.0.hook_resid_post"}
    source = write_saelens(tmp_path / "sae", "standard", w, metadata=metadata)
    assert run_import(world, source, tmp_path / "out") == 0
    bundle = opened(tmp_path / "out")
    check_activations(bundle, world, w)
    windows = bundle.windows(np.arange(bundle.manifest["corpus"]["windows"]))
    assert windows["token_ids"].str.len().max() <= 39  # 40 with the BOS
    assert not np.isin(np.concatenate(list(windows["token_ids"])), [BOS_ID]).any()
    assert "behind the token that begins a text" in dict(origin_facts(bundle))["Windows"]
    assert not said(bundle)
    # It leaves as it came, and is read so again.
    out = tmp_path / "again"
    assert main(["export", str(bundle.path), "--format", "saelens", "--out", str(out)]) == 0
    metadata = json.loads((out / "cfg.json").read_text())["metadata"]
    assert (metadata["prepend_bos"], metadata["context_size"]) == (True, 40)


def test_what_a_file_asks_for_and_does_not_get_is_said(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    w = fitting(world)
    place = {"hook_name": "blocks.0.hook_resid_post"}
    asked = {"prepend_bos": True, "context_size": 40, "seqpos_slice": [5, None]}
    asked |= {"model_from_pretrained_kwargs": {"revision": "step3000"}}
    source = write_saelens(tmp_path / "sae", "standard", w, metadata=place | asked)
    more = ("--no-bos", "--window-length", "30")
    assert run_import(world, source, tmp_path / "out", *more) == 0
    printed = capsys.readouterr().err
    bundle = opened(tmp_path / "out")
    expected = (
        "read without it, as was asked",
        "texts of 40 tokens; here a window holds 30",
        "some places of each text",
        "the revision 'step3000' of its model",
    )
    for sentence in expected:
        assert sentence in " ".join(bundle.manifest["dictionary"]["notes"])
        assert sentence in said(bundle)
        assert sentence in printed
    assert main(["info", str(bundle.path)]) == 0
    printed = capsys.readouterr().out
    assert all(sentence in printed for sentence in expected)


def test_a_tokenizer_without_a_bos_is_said(world: Path, tmp_path: Path) -> None:
    write_tiny_bert(world / "bert", width=D)
    model = load_model(str(world / "bert"))
    assert not any(map(len, model.between_marks(False, bos=True).marks))
    ids = np.random.default_rng(0).integers(5, model.vocabulary, 2000).reshape(-1, 50)
    x = model.hidden_states(list(ids), [LAYER])[0]
    axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2]
    both = torch.from_numpy(np.concatenate([axes, -axes]).astype(np.float32))
    w = {"W_enc": both, "W_dec": both, "b_dec": torch.from_numpy(x.mean(axis=0))}
    metadata = {"prepend_bos": True, "hook_name": "blocks.0.hook_resid_post"}
    w["b_enc"] = torch.zeros(len(both))
    source = write_saelens(tmp_path / "sae", "standard", w, metadata=metadata)
    assert run_import(world, source, tmp_path / "out", model="bert") == 0
    bundle = opened(tmp_path / "out")
    assert bundle.manifest["model"]["bos"] is False
    assert "this model's tokenizer has none" in said(bundle)


def test_a_model_reads_one_token_less_behind_bos(world: Path) -> None:
    name = str(world / "model")
    model = load_model(name, bos=True)
    assert (model.max_length, positions(name, bos=True)) == (63, 63)
    ids = np.arange(40, 60)
    expected = states_behind_bos(world, ids)
    np.testing.assert_allclose(model.hidden_states([ids], [LAYER])[0], expected, atol=1e-5)


def test_states_are_normed_where_the_file_was_trained_on_normed_ones(
    world: Path, tmp_path: Path
) -> None:
    w = fitting(world, normed=True)
    metadata = {"prepend_bos": True, "hook_name": "blocks.0.hook_resid_post"}
    source = write_saelens(
        tmp_path / "sae", "standard", w, normalize_activations="layer_norm", metadata=metadata
    )
    assert run_import(world, source, tmp_path / "out") == 0
    bundle = opened(tmp_path / "out")
    assert bundle.manifest["coding"]["scale_by"] == "norm"
    check_activations(bundle, world, w, normed=True)


def test_a_threshold_that_was_never_set_is_refused_with_both_numbers(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    w = fitting(world) | {"threshold": torch.tensor(-1.0)}
    source = write_dictionary_learning(tmp_path / "ae", "batchtopk", w)
    more = ("--layers", "1")
    capsys.readouterr()
    assert run_import(world, source, tmp_path / "out", *more) == 2
    line = capsys.readouterr().err.strip()
    assert len(line.splitlines()) == 1
    assert "its threshold is -1" in line
    assert "16.0 factors are active a token where k is 5" in line
    assert not (tmp_path / "out").exists()
    assert run_import(world, source, tmp_path / "out", "--form", "topk", *more) == 0
    assert opened(tmp_path / "out").manifest["metrics"]["l0"] <= 5


def test_a_threshold_of_other_states_is_said_with_both_numbers(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    w = fitting(world) | {"threshold": torch.tensor(1e-6)}
    source = write_dictionary_learning(tmp_path / "ae", "batchtopk", w)
    assert run_import(world, source, tmp_path / "out", "--layers", "1") == 0
    assert "16.0 factors are active a token, and the file's k is 5" in capsys.readouterr().err


def with_dead_rows(world: Path, folder: Path, value: float) -> Path:
    """An autoencoder of which two factors never fire, and have a decoder of such numbers."""
    w = fitting(world)
    w["b_enc"] = torch.zeros(len(w["W_enc"]))
    w["b_enc"][list(DEAD)] = -1000.0
    w["W_dec"][list(DEAD)] = value
    return write_saelens(folder, "standard", w)


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_dead_rows_keep_their_numbers_and_are_called_dead(
    value: float, world: Path, tmp_path: Path
) -> None:
    source = with_dead_rows(world, tmp_path / "sae", value)
    assert run_import(world, source, tmp_path / "out") == 0
    bundle = opened(tmp_path / "out")
    factors = bundle.factors
    assert len(factors) == 2 * D
    assert not factors["alive"].iloc[list(DEAD)].any()
    assert "2 factors have no direction in the file" in said(bundle)
    # The dead have no place on the map, the others have.
    assert (factors["map_x"].notna() == factors["alive"]).all()
    assert bundle.regions["zoom"].nunique() == 3
    for _, of_zoom in bundle.regions.groupby("zoom"):
        members = np.sort(np.concatenate(of_zoom["factors"].tolist()))
        assert members.tolist() == np.flatnonzero(factors["alive"]).tolist()
    out = tmp_path / "again"
    assert main(["export", str(bundle.path), "--format", "saelens", "--out", str(out)]) == 0
    before, after = (load_file(p / "sae_weights.safetensors") for p in (source, out))
    assert all(torch.equal(before[n].nan_to_num(7), after[n].nan_to_num(7)) for n in before)


def test_exact_codes_go_without_the_dead(world: Path, tmp_path: Path) -> None:
    source = with_dead_rows(world, tmp_path / "sae", 0.0)
    exact = ("--coding", "solver", "--penalty", "0.1")
    assert run_import(world, source, tmp_path / "out", *exact) == 0
    bundle = opened(tmp_path / "out")
    assert not bundle.factors["alive"].iloc[list(DEAD)].any()
    assert bundle.manifest["metrics"]["layers"][0]["duality_gap"] < 1e-3


def with_a_hole(world: Path, folder: Path, tensor: str) -> Path:
    """An autoencoder of which a living factor's row of a tensor is not a number."""
    source = with_dead_rows(world, folder, 0.0)
    path = source / "sae_weights.safetensors"
    tensors = load_file(path)
    rows = tensors[tensor].T if tensor == "W_enc" else tensors[tensor]  # one a factor
    rows[5] = float("nan")
    save_file(tensors, path)
    return source


@pytest.mark.parametrize("tensor", ["W_enc", "b_enc"])
def test_an_encoder_without_numbers_is_refused_unless_its_factor_is_dead(
    tensor: str, world: Path, tmp_path: Path
) -> None:
    source = with_a_hole(world, tmp_path / "sae", tensor)
    with pytest.raises(tf.InputError, match=f"{tensor} holds NaN or infinity for factor 5"):
        read_dictionary(source, D)


def test_a_living_factor_without_a_direction_is_refused_and_nothing_is_written(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = with_a_hole(world, tmp_path / "sae", "W_dec")
    capsys.readouterr()
    assert run_import(world, source, tmp_path / "out") == 2
    line = capsys.readouterr().err.strip()
    assert len(line.splitlines()) == 1
    assert "W_dec holds NaN or infinity for factor 5, and it fires on this text" in line
    assert not (tmp_path / "out").exists()
