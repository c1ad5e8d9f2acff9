"""Autoencoders as people have them: of old versions, under other names, saved half or together."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_autoencoders import (
    K,
    codes,
    weights,
    write_dictionary_learning,
    write_gemma_2,
    write_saelens,
    write_sparsify,
)

from tfactors.coding.imported_dictionary import EncoderCoder, ImportedDictionary
from tfactors.errors import InputError
from tfactors.interchange.dictionaries import read_dictionary

pytestmark = pytest.mark.model

D, M = 8, 20
HOOK = {"hook_name": "blocks.0.hook_resid_post"}
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 17\n"


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(1, 3, (40, D)).astype(np.float32)


def our_codes(imported: ImportedDictionary, x: np.ndarray) -> np.ndarray:
    offset = imported.offset
    return EncoderCoder(imported).encode(x if offset is None else x - offset).toarray()


def test_a_checkpoint_of_saelens_is_brought_to_raw_states_by_its_own_scale(
    tmp_path: Path, x: np.ndarray
) -> None:
    w = weights("standard", M, D)
    source = write_saelens(
        tmp_path / "sae", "standard", w, normalize_activations="expected_average_only_in"
    )
    (source / "activation_scaler.json").write_text(json.dumps({"scaling_factor": 0.4}))
    imported = read_dictionary(source, D)
    assert (imported.origin.scale, imported.origin.folded) == ("none", 0.4)
    # Its encoder reads 0.4·x, and its decoder writes 0.4·x̂.
    expected = codes("standard", w, 0.4 * x) / 0.4
    np.testing.assert_allclose(our_codes(imported, x), expected, rtol=1e-4, atol=1e-5)
    # Without it, or where training had none, the text's own mean norm stands in, as before.
    (source / "activation_scaler.json").write_text(json.dumps({"scaling_factor": None}))
    origin = read_dictionary(source, D).origin
    assert origin.scale == "unit"
    assert "does not say the average norm of the states" in origin.notes[0]


def test_a_topk_autoencoder_whose_k_stands_in_the_configuration_alone_keeps_to_it(
    tmp_path: Path, x: np.ndarray
) -> None:
    w = weights("topk", M, D)
    source = write_dictionary_learning(tmp_path / "ae", "topk", w)
    state = torch.load(source / "ae.pt", weights_only=True)
    torch.save({n: v for n, v in state.items() if n not in ("k", "threshold")}, source / "ae.pt")
    with pytest.raises(InputError, match=r"a TopK autoencoder whose k is not in the file"):
        read_dictionary(source, D)
    config = json.loads((source / "config.json").read_text())
    config["trainer"]["k"] = K
    (source / "config.json").write_text(json.dumps(config))
    found = our_codes(read_dictionary(source, D), x)
    np.testing.assert_allclose(found, codes("topk", w, x), rtol=1e-4, atol=1e-5)


def test_an_npz_is_read_whatever_it_is_called(tmp_path: Path, x: np.ndarray) -> None:
    w = weights("jumprelu", M, D)
    folder = write_gemma_2(tmp_path / "mine", w)
    (folder / "params.npz").rename(folder / "layer_20_16k.npz")
    for given in (folder, folder / "layer_20_16k.npz"):
        found = our_codes(read_dictionary(given, D), x)
        expected = codes("jumprelu", w, x, centred=False)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("meta", "layers"),
    [
        ({"hook_point": "blocks.{layer}.hook_resid_pre", "hook_point_layer": 3}, (3,)),
        ({"hook_name": "blocks.{layer}.hook_resid_post", "hook_layer": 3}, (4,)),
        ({"hook_name": " blocks.3.hook_resid_pre "}, (3,)),
        ({"hook_name": "blocks.{layer}.hook_resid_post"}, ()),
    ],
)
def test_a_place_is_understood_as_early_versions_spell_it(
    meta: dict, layers: tuple[int, ...], tmp_path: Path
) -> None:
    source = write_saelens(tmp_path, "standard", weights("standard", M, D), metadata=meta)
    assert read_dictionary(source, D).origin.layers == layers


def saelens(form: str = "standard", **config: object):
    return lambda folder: write_saelens(folder, form, weights(form, M, D), **config)


def torch_file(content: object, config: dict | None = None):
    def write(folder: Path) -> Path:
        folder.mkdir()
        torch.save(content, folder / "ae.pt")
        if config:
            (folder / "config.json").write_text(json.dumps(config))
        return folder

    return write


def replaced(name: str, content: str):
    def write(folder: Path) -> Path:
        write_saelens(folder, "standard", weights("standard", M, D))
        (folder / name).write_text(content)
        return folder

    return write


def torch_text(content: str):
    def write(folder: Path) -> Path:
        folder.mkdir()
        (folder / "ae.pt").write_text(content)
        return folder

    return write


def torch_script(folder: Path) -> Path:
    folder.mkdir()
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.script(torch.nn.Linear(D, M)).save(folder / "ae.pt")
    return folder


def no_factors(folder: Path) -> Path:
    folder.mkdir()
    np.save(folder / "d.npy", np.ones((D, 0), np.float32))
    return folder / "d.npy"


def saelens_under_another_name(folder: Path) -> Path:
    source = write_saelens(folder, "standard", weights("standard", M, D))
    (source / "sae_weights.safetensors").rename(source / "sae.safetensors")
    return source


def crosscoder_of_batchtopk(folder: Path) -> Path:
    source = write_sparsify(folder, weights("topk", M, D))
    tensors = load_file(source / "sae.safetensors")
    more = {"W_dec": torch.ones(2, M, D), "decoder.bias": torch.zeros(2, D)}
    save_file(tensors | more, source / "sae.safetensors")
    return source


RAW = {**weights("standard", 3, D), "W_enc": torch.ones(D, 3)}
REFUSED = {
    "another activation": (saelens(activation_fn_str="tanh-relu"), "activation_fn_str is 'tanh-r"),
    "a gate of TopK": (saelens("gated", activation_fn="topk"), "activation_fn is 'topk'"),
    "a transcoder by its places": (
        saelens(metadata=HOOK | {"hook_name_out": "blocks.0.hook_mlp_out"}),
        "a transcoder, which reads one place",
    ),
    "half a factor": (saelens("topk", k=5.5), "k is 5.5; expected a whole number"),
    "a scale of nothing": (
        lambda folder: (
            saelens(normalize_activations="expected_average_only_in")(folder),
            (folder / "activation_scaler.json").write_text('{"scaling_factor": -1}'),
        )[0],
        "scaling_factor is -1; expected more than 0",
    ),
    "SAELens's under sparsify's name": (saelens_under_another_name, "is SAELens's; call the file"),
    "several": (torch_file({"layer_0": RAW, "layer_1": RAW}), "holds 2 autoencoders; save"),
    "several in a list": (torch_file([RAW, RAW, RAW]), "holds 3 autoencoders; save"),
    "several by prefixes": (
        torch_file({f"saes.{i}.{n}": v for i in range(2) for n, v in RAW.items()}),
        "holds 2 autoencoders (saes.0, saes.1); save",
    ),
    "one with a prefix": (
        torch_file({f"autoencoder.{n}": v for n, v in RAW.items()}),
        "its tensors begin with 'autoencoder'",
    ),
    "a TopK of another library": (
        torch_file(RAW, {"sae_type": "topk", "top_k": 2}),
        "says that the autoencoder is a topk, in a layout that tfactors does not know",
    ),
    "a crosscoder with more to it": (crosscoder_of_batchtopk, "as crosscoders and cross-layer"),
    "a program": (torch_script, "a program of TorchScript, and code in a file is never run"),
    "a pointer for a pickle": (torch_text(LFS), "a pointer that Git LFS left in place of the file"),
    "a page for a pickle": (torch_text("<!DOCTYPE html><html>"), "a web page and not the file"),
    "a pointer for weights": (replaced("sae_weights.safetensors", LFS), "of the file of 17 bytes"),
    "a pointer for a configuration": (replaced("cfg.json", LFS), "cfg.json is a pointer that Git"),
    "an empty file": (replaced("sae_weights.safetensors", ""), "sae_weights.safetensors: empty"),
    "no factors": (no_factors, "the array is empty"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_be_read_wrongly_is_refused_in_one_true_line(kind: str, tmp_path: Path) -> None:
    write, said = REFUSED[kind]
    with pytest.raises(InputError) as raised:
        read_dictionary(write(tmp_path / "sae"), D)
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_form_that_a_file_contradicts_is_refused(tmp_path: Path) -> None:
    source = write_saelens(tmp_path / "sae", "standard", weights("standard", M, D))
    with pytest.raises(InputError, match="holds a standard autoencoder, so --form topk does not"):
        read_dictionary(source, D, form="topk")
