"""Every kind of autoencoder goes the whole way: `tfactors import`, `verify`, `info`, `export`."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_autoencoders import (
    FORMS,
    K,
    codes,
    write_dictionary_learning,
    write_gemma_2,
    write_gemma_3,
    write_saelens,
    write_sparsify,
)
from tiny_model import address_texts, write_tiny_bert

import tfactors as tf
from tfactors.cli import main
from tfactors.coding.imported_dictionary import ImportedDictionary
from tfactors.interchange.dictionaries import read_dictionary
from tfactors.model.hidden_states import load_model
from tfactors.model.location import model_to_load

pytestmark = pytest.mark.model

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
            "--saliency-others", "0", "--effect-examples", "0", "--examples", "3",
            "--meaning-contexts", "0"]  # fmt: skip
    assert main([*line, *more]) == 0
    assert main(["verify", str(out)]) == 0
    return tf.Bundle.open(out)


def check_activations(bundle: tf.Bundle, form: str, w: dict, centred: bool) -> None:
    """Every activation is what the library would compute of the same words."""
    (layer,) = bundle.layers
    model = load_model(model_to_load(bundle.about.model, bundle.path))
    factor = int(bundle.importance().sort_values("importance")["factor"].iloc[-1])
    found = bundle.examples(factor, layer)
    windows = bundle.windows(found["window"].tolist())
    states = model.hidden_states(
        list(windows["token_ids"]), bundle.layers, positions=found["position"].tolist()
    )
    expected = codes(form, w, bundle.scale[layer] * states[0], centred=centred)[:, factor]
    assert len(found)
    np.testing.assert_allclose(found["activation"], expected, rtol=1e-3, atol=1e-3)


def check_export(bundle: tf.Bundle, source: Path, out: Path, form: str = "") -> None:
    """It leaves as it came."""
    assert main(["export", str(bundle.path), "--format", "safetensors", "--out", str(out)]) == 0
    before, after = read_dictionary(source, D, form), read_dictionary(out, D)
    assert after.tensors.keys() == before.tensors.keys()
    for name, values in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], values, err_msg=name)


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
    check_activations(bundle, computed, w, centred)
    check_export(bundle, source, tmp_path / "again.safetensors")
    if library == "saelens":
        folder = tmp_path / "sae"
        assert main(["export", str(bundle.path), "--format", "saelens", "--out", str(folder)]) == 0
        before, after = (load_file(p / "sae_weights.safetensors") for p in (source, folder))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


class Variant(NamedTuple):
    """Another way to save an autoencoder: how, and what is to be known of it afterwards."""

    form: str
    centred: bool
    write: Callable[[Path, dict[str, torch.Tensor]], Path]
    options: tuple[str, ...] = ()
    layer: int = 1


def before_version_6(folder: Path, w: dict[str, torch.Tensor]) -> Path:
    """SAELens in 2024: other names, a scaling factor of ones, no architecture for TopK."""
    return write_saelens(
        folder, "topk", w | {"scaling_factor": torch.ones(M)}, architecture="standard", k=None,
        activation_fn_str="topk", activation_fn_kwargs={"k": K}, metadata=None,
        hook_point="blocks.0.hook_resid_post", normalize_activations=False,
    )  # fmt: skip


def in_training(folder: Path, w: dict[str, torch.Tensor]) -> Path:
    """A checkpoint of SAELens: one threshold for p times the norm of the decoder's row, 1.5."""
    threshold = 1.5 * w.pop("threshold").mean()
    w["threshold"] = (threshold / 1.5).expand(M)
    stored = {n: v for n, v in w.items() if n != "threshold"} | {"topk_threshold": threshold}
    return write_saelens(
        folder, "matryoshka_batchtopk", stored, rescale_acts_by_decoder_norm=True, k=K
    )


def log_thresholds(folder: Path, w: dict[str, torch.Tensor]) -> Path:
    stored = {n: v for n, v in w.items() if n != "threshold"}
    return write_saelens(folder, "jumprelu", stored | {"log_threshold": w["threshold"].log()})


def on_scaled_states(folder: Path, w: dict[str, torch.Tensor]) -> Path:
    """Trained on states of mean norm √d, at a place with the name that transformers gives it."""
    return write_saelens(
        folder,
        "standard",
        w,
        normalize_activations="expected_average_only_in",
        metadata={"hook_name": "model.layers.0"},
    )


def unit_decoders_in_bfloat16(folder: Path, w: dict[str, torch.Tensor]) -> Path:
    w["W_dec"] = w["W_dec"] / 1.5
    w.update({name: values.bfloat16().float() for name, values in w.items()})
    return write_sparsify(folder / "layers.0", {n: v.bfloat16() for n, v in w.items()})


def april_2024(folder: Path, w: dict[str, torch.Tensor]) -> Path:
    """dictionary_learning's AutoEncoderNew: the bias of the decoder is a part of it."""
    write_dictionary_learning(folder, "standard", w)
    state = torch.load(folder / "ae.pt", weights_only=True)
    torch.save(
        {n.replace("bias", "decoder.bias") if n == "bias" else n: v for n, v in state.items()},
        folder / "ae.pt",
    )
    return folder


def without_config(folder: Path, w: dict[str, torch.Tensor]) -> Path:
    (write_dictionary_learning(folder, "topk", w) / "config.json").unlink()
    return folder / "ae.pt"


VARIANTS = {
    "SAELens before version 6": Variant("topk", True, before_version_6),
    "SAELens, chosen by what is written, not centred": Variant(
        "topk",
        False,
        lambda folder, w: write_saelens(
            folder, "topk", w, rescale_acts_by_decoder_norm=True, apply_b_dec_to_input=False
        ),
    ),
    "a checkpoint of SAELens": Variant("batchtopk", True, in_training),
    "SAELens with logarithms of thresholds": Variant("jumprelu", True, log_thresholds),
    "SAELens on scaled states": Variant("standard", True, on_scaled_states),
    "sparsify from the hub": Variant("topk", True, unit_decoders_in_bfloat16),
    "dictionary_learning after April 2024": Variant("standard", False, april_2024, layer=2),
    "ae.pt alone": Variant(
        "topk", True, without_config, ("--form", "topk", "--layers", "2"), layer=2
    ),
    "Gemma Scope": Variant(
        "jumprelu",
        False,
        lambda folder, w: write_gemma_2(folder / "layer_0" / "width_16k" / "average_l0_71", w),
    ),
    "Gemma Scope 2": Variant("jumprelu", False, write_gemma_3),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_other_way_to_save_one_goes_the_whole_way_too(name, world, tmp_path):
    variant = VARIANTS[name]
    states = np.load(world / "states.npy")[variant.layer]
    if name == "SAELens on scaled states":
        states = states * D**0.5 / np.linalg.norm(states, axis=1).mean()
    w = fitting(variant.form, states, variant.centred)
    source = variant.write(tmp_path / "source", w)
    bundle = run_import(world, source, tmp_path / "bundle", *variant.options)
    assert bundle.layers == [variant.layer]
    assert bundle.manifest["dictionary"]["imported"]["form"] == variant.form
    assert bundle.manifest["metrics"]["explained_variance"] > 0.2
    check_activations(bundle, variant.form, w, variant.centred)
    form = variant.form if "--form" in variant.options else ""
    check_export(bundle, source, tmp_path / "again.safetensors", form)
    tensors = bundle.imported_tensors()
    encoder = ImportedDictionary.from_record(bundle.imported, bundle.dictionary, tensors)
    found = encoder.coder("encoder").encode(states - encoder.offset).toarray()
    expected = codes(variant.form, w, states, centred=variant.centred)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


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
