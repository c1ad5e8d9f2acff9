"""Models read in half precision: what is asked for, what is told, and what comes of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_families import CAUSAL, write_family
from tiny_model import SMALL, address_texts, write_tiny_bert

import tfactors as tf
from tfactors.cli import main
from tfactors.explain.encoder import FactorEncoder
from tfactors.model import memory
from tfactors.model.hidden_states import load_model
from tfactors.model.language_head import language_head
from tfactors.model.loading import ModelError

pytestmark = pytest.mark.model

TEXTS = [np.arange(20, 20 + length) for length in (5, 17, 1, 9)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "t5"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_states_are_those_of_transformers_in_that_precision(
    family: str, dtype: str, tmp_path: Path
) -> None:
    folder = write_family(family, tmp_path / family)
    model = load_model(str(folder), dtype=dtype)
    module = transformers.AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    module = module.get_encoder() if module.config.is_encoder_decoder else module
    for text in TEXTS:
        with torch.inference_mode():
            answer = module(torch.tensor(text[None]), output_hidden_states=True)
        own = np.stack([layer[0].float().numpy() for layer in answer.hidden_states])
        found = model.hidden_states([text], model.layers)
        assert found.dtype == np.float32
        # T5 keeps some layers in float32, which are packed.
        np.testing.assert_allclose(found, own, atol=1e-5)
        for layer in model.layers:  # and a pass goes on from them
            last = model.last_states([text], layer, own[layer])
            np.testing.assert_allclose(last, own[-1], atol=0.02 * np.abs(own).max())
    assert model.dtype == dtype
    assert model.causal == (family in CAUSAL)


def test_auto_is_what_most_of_the_weights_were_saved_in(tiny: Path, tmp_path: Path) -> None:
    weights = load_file(tiny / "model.safetensors")
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        folder = shutil.copytree(tiny, tmp_path / str(dtype))
        large = {key: w.to(dtype) if w.dim() == 2 else w for key, w in weights.items()}
        save_file(large, folder / "model.safetensors")
        expected = {"torch.float64": "float32"}.get(str(dtype), str(dtype)[6:])
        assert load_model(str(folder), dtype="auto").dtype == expected
        assert load_model(str(folder)).dtype == "float32"
    with pytest.raises(ModelError, match="dtype 'int4': expected one of float32, auto"):
        load_model(str(tiny), dtype="int4")


def test_half_precision_takes_half_of_the_memory(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = sum(tensor.numel() for tensor in load_file(tiny / "model.safetensors").values())
    monkeypatch.setattr(memory, "free_memory", lambda device: 2 * weights)
    with pytest.raises(ModelError, match="or --dtype bfloat16, which takes half"):
        load_model(str(tiny))
    load_model(str(tiny), dtype="bfloat16")
    load_model(str(tiny), dtype="float16")


@pytest.mark.parametrize(
    ("key", "factor", "said"),
    [
        ("encoder.layer.0.output.dense.weight", 1e7, "has weights beyond the numbers of float16"),
        ("embeddings.LayerNorm.weight", 6e4, "states are beyond the numbers of float16"),
    ],
)
def test_numbers_beyond_those_of_float16_are_refused(
    key: str, factor: float, said: str, tiny: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights[key] *= factor
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=said) as caught:
        load_model(str(folder), dtype="float16").hidden_states(TEXTS, [0, 2])
    assert "give --dtype bfloat16 or float32" in str(caught.value)
    load_model(str(folder), dtype="bfloat16").hidden_states(TEXTS, [0, 2])


def test_a_model_that_cannot_reckon_in_half_precision_is_told_the_other(tmp_path: Path) -> None:
    folder = write_family("fnet", tmp_path / "fnet")  # whose Fourier transform has no bfloat16
    with pytest.raises(ModelError, match=r"alone in bfloat16 \(.*\); give --dtype float32"):
        load_model(str(folder), dtype="bfloat16")


def test_the_head_answers_in_the_precision_of_its_model(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "model")
    config = transformers.AutoConfig.from_pretrained(tiny)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    heads = [language_head(str(folder), dtype=dtype)[0] for dtype in ("float32", "bfloat16")]
    states = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    exact, rounded = (head(states) for head in heads)
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()


def test_a_bundle_remembers_what_its_model_was_read_in(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "text.txt").write_text(address_texts(1)[0][:4000], "utf-8")
    settings = [arg for arg in SMALL if arg != "--quiet"]
    settings += ["--preset", "quick", "--factors", "16", "--training-tokens", "300"]
    settings += ["--window-length", "24", "--penalty", "1", "--importance-k", "10"]
    line = ["build", str(tmp_path / "text.txt"), "--model", str(tiny), *settings]
    out = [str(tmp_path / dtype) for dtype in ("auto", "bfloat16")]
    assert main([*line, "--out", out[0], "--dtype", "auto"]) == 0
    assert "The model is read in" not in capsys.readouterr().err  # it was saved in float32
    assert main([*line, "--out", out[1], "--dtype", "bfloat16"]) == 0
    assert capsys.readouterr().err.count("The model is read in bfloat16: ") == 1
    assert main(["info", out[1]]) == 0
    assert "width 32, read in bfloat16" in capsys.readouterr().out
    for folder, dtype in zip(out, ("float32", "bfloat16"), strict=True):
        manifest = json.loads((Path(folder) / "manifest.json").read_text("utf-8"))
        assert manifest["model"]["dtype"] == dtype
        bundle = tf.Bundle.open(folder)
        assert FactorEncoder.from_bundle(bundle).model.dtype == dtype
        assert len(tf.decompose(bundle, "The state of the union.").residuals)
    assert main([*line, "--out", out[1]]) == 2
    assert "dtype 'bfloat16' there, 'float32' here" in capsys.readouterr().err
