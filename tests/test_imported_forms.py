"""Every kind of autoencoder goes the whole way: `tfactors import`, `verify`, `info`, `export`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_autoencoders import (
    FORMS,
    codes,
    write_dictionary_learning,
    write_saelens,
    write_sparsify,
)
from tiny_model import address_texts, write_tiny_bert

import tfactors as tf
from tfactors.bundle_model import model_to_load
from tfactors.cli import main
from tfactors.dictionary_files import read_dictionary
from tfactors.hidden_states import load_model

D, M = 16, 32
FILES = [
    *(("saelens", form) for form in FORMS),
    *(("dictionary_learning", form) for form in (*FORMS, "matryoshka")),
    ("sparsify", "topk"),
]
# What dictionary_learning's class for it computes is a BatchTopK autoencoder.
FORM = {"matryoshka": "batchtopk"}
# The hidden state that the files say they were trained on.
LAYER = {"saelens": 1, "dictionary_learning": 2, "sparsify": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A folder with a model, a text, and raw hidden states of every layer of that model."""
    folder = tmp_path_factory.mktemp("world")
    write_tiny_bert(folder / "model", width=D)
    (folder / "text.txt").write_text(address_texts(1)[0][:2500], encoding="utf-8")
    model = load_model(str(folder / "model"))
    ids = np.random.default_rng(0).integers(5, model.vocabulary, 3000).reshape(-1, 100)
    np.save(folder / "states.npy", model.hidden_states(list(ids), model.layers))
    return folder


def fitting(form: str, states: np.ndarray, centred: bool) -> dict[str, torch.Tensor]:
    """An autoencoder of the form that gives the states back: both ends of each principal axis."""
    torch.manual_seed(0)
    mean = states.mean(axis=0)
    axes = np.linalg.svd(states - mean, full_matrices=False)[2]
    both = torch.from_numpy(np.concatenate([axes, -axes]).astype(np.float32))
    w = {"W_enc": both, "W_dec": 1.5 * both, "b_dec": torch.from_numpy(mean)}
    if form == "gated":
        return w | {name: 0.01 * torch.randn(M) for name in ("b_gate", "b_mag", "r_mag")}
    w["b_enc"] = 0.01 * torch.randn(M) - (0 if centred else both @ w["b_dec"])
    if form in ("batchtopk", "jumprelu"):
        w["threshold"] = 0.01 + 0.05 * torch.rand(M)
    return w


def saved(world: Path, library: str, form: str) -> tuple[Path, dict[str, torch.Tensor], bool]:
    """The folder as the library saves it, its weights, and whether its encoder reads x − b."""
    centred = (library, form) != ("dictionary_learning", "jumprelu")
    w = fitting(FORM.get(form, form), np.load(world / "states.npy")[LAYER[library]], centred)
    folder = world / f"{library}-{form}"
    if library == "saelens":
        return write_saelens(folder, form, w), w, centred
    if library == "sparsify":
        return write_sparsify(world / "h.0", w), w, centred
    if FORM.get(form, form) == "batchtopk":  # one number for all factors there
        w["threshold"] = w["threshold"].mean()
    return write_dictionary_learning(folder, form, w), w, centred


def run_import(world: Path, source: Path, out: Path, *more: str) -> tf.Bundle:
    line = ["import", str(source), str(world / "text.txt"), "--model", str(world / "model"),
            "--out", str(out), "--quiet", "--retention-examples", "1", "--saliency-examples", "0",
            "--saliency-others", "0", "--effect-examples", "0", "--examples", "3"]  # fmt: skip
    assert main([*line, *more]) == 0
    assert main(["verify", str(out)]) == 0
    return tf.Bundle.open(out)


@pytest.mark.parametrize(("library", "form"), FILES)
def test_an_autoencoder_goes_from_its_file_to_a_bundle_and_back(
    library, form, world, tmp_path, capsys
):
    source, w, centred = saved(world, library, form)
    bundle = run_import(world, source, tmp_path / "bundle")
    assert bundle.coding_method == "encoder"
    assert bundle.layers == [LAYER[library]]
    assert bundle.manifest["metrics"]["explained_variance"] > 0.2
    assert main(["info", str(bundle.path)]) == 0
    computed = FORM.get(form, form)
    assert f"codes of its own encoder ({computed}" in capsys.readouterr().out

    # Every activation is what the library would compute of the same words.
    model = load_model(model_to_load(bundle.manifest["model"], bundle.path))
    factor = int(bundle.importance().sort_values("importance")["factor"].iloc[-1])
    found = bundle.examples(factor, LAYER[library])
    windows = bundle.windows(found["window"].tolist())
    states = model.hidden_states(
        list(windows["token_ids"]), bundle.layers, positions=found["position"].tolist()
    )
    expected = codes(computed, w, states[0], centred=centred)[:, factor]
    assert len(found)
    np.testing.assert_allclose(found["activation"], expected, rtol=1e-3, atol=1e-3)

    # And it leaves as it came.
    out = tmp_path / "again.safetensors"
    assert main(["export", str(bundle.path), "--format", "safetensors", "--out", str(out)]) == 0
    before, after = read_dictionary(source, D), read_dictionary(out, D)
    assert after.tensors.keys() == before.tensors.keys()
    for name, values in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], values, err_msg=name)
    if library == "saelens":
        folder = tmp_path / "sae"
        assert main(["export", str(bundle.path), "--format", "saelens", "--out", str(folder)]) == 0
        before, after = (load_file(p / "sae_weights.safetensors") for p in (source, folder))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("library", "form"), [("saelens", "gated"), ("sparsify", "topk")])
def test_an_autoencoder_is_surveyed_with_exact_codes_of_its_decoder(
    library, form, world, tmp_path, capsys
):
    source, _, _ = saved(world, library, form)
    bundle = run_import(world, source, tmp_path / "b", "--coding", "solver", "--penalty", "0.2")
    assert bundle.coding_method == "solver"
    (metrics,) = bundle.manifest["metrics"]["layers"]
    assert metrics["duality_gap"] < 1e-3
    assert metrics["explained_variance"] > 0.2
    assert main(["info", str(bundle.path)]) == 0
    assert "λ = 0.2" in capsys.readouterr().out
