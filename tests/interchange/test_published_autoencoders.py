"""Autoencoders of Goodfire, OpenAI and Llama Scope: read with the codes that their libraries give,
or refused in one line; and files whose tensors have odd shapes.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from published_autoencoders import (
    goodfire_codes,
    llama_scope_codes,
    newer_llama_scope_codes,
    openai_codes,
    write_goodfire,
    write_llama_scope,
    write_newer_llama_scope,
    write_openai,
)
from safetensors.torch import save_file
from tiny_autoencoders import codes, weights, write_dictionary_learning, write_saelens

from tfactors.coding.imported_dictionary import ImportedDictionary
from tfactors.coding.state_transform import scaling
from tfactors.errors import InputError
from tfactors.interchange.dictionaries import read_dictionary

pytestmark = pytest.mark.model

M, D = 40, 12
NORM = 7.5


@pytest.fixture
def x() -> torch.Tensor:
    torch.manual_seed(5)
    return 2 * torch.randn(300, D) + torch.randn(D)


def found_codes(imported: ImportedDictionary, x: torch.Tensor) -> np.ndarray:
    """Codes of raw states, as a survey at this layer makes them."""
    states = x.numpy()[None].copy()
    transform = scaling({0: 1.0}, imported.origin.scale)
    transform.scale_states(states, [0])
    return imported.coder("encoder").encode(states[0] - imported.tensors["b_dec"]).toarray()


def check(imported: ImportedDictionary, x: torch.Tensor, w: dict, expected: torch.Tensor) -> None:
    """The same factors are active, and each as much as the library says, times its decoder."""
    found = found_codes(imported, x)
    whole = (expected * w["W_dec"].norm(dim=1)).numpy() / imported.origin.folded
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-4)
    assert 0 < (found > 0).mean() < 0.9


def test_goodfires_file_is_two_linear_layers_with_a_relu_between(tmp_path, x):
    w = weights("standard", M, D)
    path = write_goodfire(tmp_path, w)
    for given in (path, tmp_path):
        imported = read_dictionary(given, D)
        origin = imported.origin
        assert (origin.format, origin.form, origin.layers) == ("goodfire", "standard", (2,))
        assert origin.bos
        check(imported, x, w, goodfire_codes(w, x))


@pytest.mark.parametrize(("activation", "scale"), [("TopK", "norm"), ("ReLU", "none")])
def test_openais_file_is_read_as_its_own_reader_reads_it(activation, scale, tmp_path, x):
    w = weights("standard", M, D)
    path = write_openai(tmp_path / "resid_post_mlp_v5_32k", w, activation)
    imported = read_dictionary(path, D)
    assert (imported.origin.format, imported.origin.scale) == ("openai", scale)
    assert imported.origin.layers == (7,)
    check(imported, x, w, openai_codes(w, x, activation))


def test_llama_scope_of_2024_cuts_what_is_scaled_back_to_raw_states(tmp_path, x):
    w = weights("standard", M, D)
    imported = read_dictionary(write_llama_scope(tmp_path / "sae", w, NORM), D)
    origin = imported.origin
    assert (origin.format, origin.form, origin.layers) == ("llama_scope", "jumprelu", (1,))
    assert origin.bos
    assert origin.model == "tiny"
    expected = llama_scope_codes(w, x, NORM, 0.3)
    whole = (expected * w["W_dec"].norm(dim=1)).numpy()
    np.testing.assert_allclose(found_codes(imported, x), whole, rtol=1e-4, atol=1e-4)
    # What they write is a raw state again.
    rebuilt = found_codes(imported, x) @ imported.atoms + imported.tensors["b_dec"]
    factor = D**0.5 / NORM
    decoded = expected @ w["W_dec"] + w["b_dec"] / factor
    np.testing.assert_allclose(rebuilt, decoded.numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("act_fn", ["jumprelu", "topk"])
def test_llama_scope_since_2025_cuts_scaled_states(act_fn, tmp_path, x):
    w = weights("jumprelu", M, D)
    folder = write_newer_llama_scope(tmp_path / "sae", w, NORM, act_fn=act_fn)
    imported = read_dictionary(folder, D)
    assert imported.origin.form == act_fn
    check(imported, x, w, newer_llama_scope_codes(w, x, NORM, act_fn))


def test_llama_scope_on_states_of_one_length_each(tmp_path, x):
    w = weights("jumprelu", M, D)
    folder = write_newer_llama_scope(tmp_path / "sae", w, NORM, norm_activation="token-wise")
    imported = read_dictionary(folder, D)
    assert imported.origin.scale == "state"
    unit = x / x.norm(dim=1, keepdim=True)
    check(imported, x, w, newer_llama_scope_codes(w, unit, 1.0))


def odd_shapes(folder: Path) -> dict[str, tuple[Path, dict, str]]:
    """Files whose vectors are rows, whose thresholds are one entry, or which lack an offset."""
    standard, jump = weights("standard", M, D), weights("jumprelu", M, D)
    row = {**standard, "b_dec": standard["b_dec"][None]}
    column = {**standard, "b_enc": standard["b_enc"][:, None]}
    one = {**jump, "threshold": torch.tensor([0.3])}
    without = {name: tensor for name, tensor in standard.items() if name != "b_dec"}
    zero = {**standard, "b_dec": torch.zeros(D)}
    return {
        "b_dec is a row": (write_saelens(folder / "a", "standard", row), standard, "standard"),
        "b_enc is a column": (
            write_saelens(folder / "b", "standard", column),
            standard,
            "standard",
        ),
        "one threshold": (write_saelens(folder / "c", "jumprelu", one), one, "jumprelu"),
        "no b_dec": (write_saelens(folder / "d", "standard", without), zero, "standard"),
    }


def test_vectors_of_odd_shapes_mean_what_they_can_only_mean(tmp_path, x):
    for name, (path, w, form) in odd_shapes(tmp_path).items():
        imported = read_dictionary(path, D)
        expected = codes(form, w, x.numpy())
        np.testing.assert_allclose(found_codes(imported, x), expected, atol=1e-4, err_msg=name)
        assert bool(imported.notes) == (name == "no b_dec")


def test_the_weights_may_lie_in_a_checkpoint_and_be_compiled(tmp_path, x):
    w = weights("standard", M, D)
    folder = write_dictionary_learning(tmp_path, "standard", w)
    state = torch.load(folder / "ae.pt", weights_only=True)
    inner = {f"_orig_mod.{name}": tensor for name, tensor in state.items()}
    torch.save({"step": 3, "model_state_dict": inner}, folder / "ae.pt")
    expected = codes("standard", w, x.numpy())
    np.testing.assert_allclose(found_codes(read_dictionary(folder, D), x), expected, atol=1e-4)


def refused_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """For each kind that is not read, a path and what the one line must say."""
    w = weights("jumprelu", M, D)
    lorsa = folder / "lorsa"
    lorsa.mkdir()
    save_file(
        {"W_Q": torch.ones(4, D, 3), "W_K": torch.ones(4, D, 3)}, lorsa / "sae_weights.safetensors"
    )
    place = {"hook_point_in": "blocks.0.hook_attn_in", "d_model": D}
    (lorsa / "config.json").write_text(json.dumps(place | {"sae_type": "lorsa"}))
    wrapped = folder / "wrapped"
    wrapped.mkdir()
    torch.save({"sae": {"encoder.weight": w["W_enc"]}, "version": "1"}, wrapped / "ae.pt")
    through = write_llama_scope(folder / "tc", w, NORM, hook_point_out="blocks.0.hook_mlp_out")
    delta = write_openai(folder / "resid_delta_mlp_v5_32k", w)
    loose = write_openai(folder / "resid_post_mlp_v5_128k", w, postact_fn="Identity")
    half = write_goodfire(folder / "half", w)
    state = torch.load(half, weights_only=True)
    torch.save({n: t for n, t in state.items() if "decoder" not in n}, half)
    odd = {
        "prepend_bos": ("perhaps", "prepend_bos is 'perhaps'; expected true or false"),
        "context_size": ("many", "context_size is 'many'; expected a whole number"),
        "metadata": ("none", "metadata is 'none'; expected an object of JSON"),
        "hook_head_index": (3, "hook_head_index is 3"),
    }
    standard = weights("standard", M, D)
    return {
        name: (write_saelens(folder / name, "standard", standard, **{name: value}), said)
        for name, (value, said) in odd.items()
    } | {
        "Lorsa": (lorsa, "a lorsa, which reads several tokens"),
        "its config is missing": (wrapped, "without the config.json or hyperparams.json"),
        "a transcoder": (through, "a transcoder, which reads one place"),
        "a gated linear encoder": (
            write_llama_scope(folder / "glu", w, NORM, use_glu_encoder=True),
            "use_glu_encoder is True",
        ),
        "BatchTopK without a threshold": (
            write_newer_llama_scope(folder / "batch", w, NORM, act_fn="batchtopk"),
            "act_fn is 'batchtopk'",
        ),
        "a norm a batch": (
            write_newer_llama_scope(folder / "norm", w, NORM, norm_activation="batch-wise"),
            "norm_activation is 'batch-wise'",
        ),
        "a place inside a block": (delta, "of resid_delta_mlp, a place inside block 6"),
        "another activation": (loose, "its activation is TopK with Identity"),
        "half of Goodfire's": (half, "encoder_linear without decoder_linear"),
    }


def test_what_cannot_be_read_is_refused_in_one_line_that_says_what_it_is(tmp_path):
    for mistake, (path, said) in refused_files(tmp_path).items():
        with pytest.raises(InputError) as raised:
            read_dictionary(path, D)
        assert said in str(raised.value), mistake
        assert len(str(raised.value).splitlines()) == 1, mistake
