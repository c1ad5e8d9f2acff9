"""Dictionaries in the files of other tools: read as those tools mean them, refused when broken."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from synthetic_bundle import write_synthetic_bundle
from tiny_autoencoders import (
    FORMS,
    K,
    codes,
    decoded,
    weights,
    write_dictionary_learning,
    write_gemma_2,
    write_gemma_3,
    write_saelens,
    write_sparsify,
)

from tfactors import files
from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_dictionary, write_imported, write_manifest
from tfactors.errors import InputError
from tfactors.interchange.dictionaries import read_dictionary
from tfactors.interchange.export import write_dictionary_file

pytestmark = pytest.mark.model

M, D = 40, 12


@pytest.fixture
def x():
    return np.random.default_rng(3).normal(size=(700, D)).astype(np.float32)


def check_codes(imported, w, form, x, k=K, centred=True):
    """Its codes and its reconstruction are those of the library that saved the file."""
    z = x - imported.offset
    coder = imported.coder("encoder")
    found = coder.encode(z)
    expected = codes(form, w, x, k, centred)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-4, atol=1e-4)
    left = ((x - decoded(w, expected)) ** 2).sum(axis=1)
    np.testing.assert_allclose(coder.squared_error(z, found), left, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(coder.dictionary, axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_saelens_is_read_as_saelens_means_it(form, tmp_path, x):
    w = weights(form, M, D)
    imported = read_dictionary(write_saelens(tmp_path / "sae", form, w), D)
    assert imported.origin.form == form
    assert imported.origin.layers == (1,)
    check_codes(imported, w, form, x)


@pytest.mark.parametrize("form", FORMS)
def test_dictionary_learning_is_read_as_it_means_it(form, tmp_path, x):
    w = weights(form, M, D)
    if form == "batchtopk":
        w["threshold"] = torch.tensor(0.4)
    imported = read_dictionary(write_dictionary_learning(tmp_path / "ae", form, w), D)
    assert imported.origin.form == form
    assert imported.origin.layers == (2,)
    check_codes(imported, w, form, x, centred=form != "jumprelu")


def test_a_matryoshka_autoencoder_of_dictionary_learning_is_read_as_a_batch_topk_one(tmp_path, x):
    w = weights("batchtopk", M, D) | {"threshold": torch.tensor(0.4)}
    imported = read_dictionary(write_dictionary_learning(tmp_path / "ae", "matryoshka", w), D)
    assert (imported.origin.form, imported.origin.k) == ("batchtopk", K)
    check_codes(imported, w, "batchtopk", x)


def test_the_newer_standard_autoencoder_of_dictionary_learning_is_not_centred(tmp_path, x):
    w = weights("standard", M, D)
    state = {
        "encoder.weight": w["W_enc"],
        "encoder.bias": w["b_enc"],
        "decoder.weight": w["W_dec"].T.contiguous(),
        "decoder.bias": w["b_dec"],
    }
    torch.save(state, tmp_path / "ae.pt")
    check_codes(read_dictionary(tmp_path, D), w, "standard", x, centred=False)


def test_sparsify_is_read_as_it_means_it(tmp_path, x):
    w = weights("topk", M, D)
    imported = read_dictionary(write_sparsify(tmp_path / "h.4", w), D)
    assert imported.origin.layers == (5,)
    check_codes(imported, w, "topk", x)


def test_a_topk_of_saelens_before_version_6_is_no_standard_one(tmp_path, x):
    w = weights("topk", M, D)
    folder = write_saelens(
        tmp_path, "topk", w, architecture="standard", activation_fn_str="topk", k=None,
        activation_fn_kwargs={"k": 7}, hook_name="blocks.2.hook_resid_pre", metadata=None,
    )  # fmt: skip
    imported = read_dictionary(folder, D)
    assert (imported.origin.form, imported.origin.layers) == ("topk", (2,))
    check_codes(imported, w, "topk", x, k=7)


def test_a_topk_may_be_chosen_by_what_is_written(tmp_path, x):
    w = weights("topk", M, D)
    folder = write_saelens(tmp_path, "topk", w, rescale_acts_by_decoder_norm=True)
    found = read_dictionary(folder, D).coder("encoder").encode(x - w["b_dec"].numpy()).toarray()
    norms = w["W_dec"].norm(dim=1)
    pre = torch.relu((torch.from_numpy(x) - w["b_dec"]) @ w["W_enc"].T + w["b_enc"]) * norms
    top = torch.topk(pre, K, dim=1)
    expected = torch.zeros_like(pre).scatter(1, top.indices, top.values)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_the_width_says_which_axis_is_which(tmp_path):
    w = weights("topk", M, D)
    matrix = w["W_dec"].numpy()
    np.save(tmp_path / "columns.npy", matrix.T)
    np.save(tmp_path / "rows.npy", matrix)
    save = write_saelens(tmp_path / "sae", "topk", w)
    tensors = load_file(save / "sae_weights.safetensors")
    turned = {n: t.T.contiguous() if t.ndim == 2 else t for n, t in tensors.items()}
    save_file(turned, save / "sae_weights.safetensors")
    for path in ("columns.npy", "rows.npy", "sae"):
        imported = read_dictionary(tmp_path / path, D)
        np.testing.assert_array_equal(imported.tensors["W_dec"], matrix)


def test_a_square_2021_dictionary_has_its_atoms_in_columns(tmp_path):
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0].astype(np.float32)
    matrix[:, 3] *= -1
    np.save(tmp_path / "square.npy", matrix)
    np.testing.assert_array_equal(read_dictionary(tmp_path / "square.npy", D).atoms, matrix.T)


class Malice:
    """What a pickle may hold: a call, made when it is loaded."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return (exec, (f"open({str(self.victim)!r}, 'w').close()",))


def broken_files(folder):
    """For each mistake a path and what the one line must say."""
    w = weights("topk", M, D)
    truncated = write_saelens(folder / "truncated", "topk", w) / "sae_weights.safetensors"
    truncated.write_bytes(truncated.read_bytes()[:-100])
    victim = folder / "victim"
    (folder / "code").mkdir()
    torch.save({"encoder.weight": w["W_enc"], "x": Malice(victim)}, folder / "code" / "ae.pt")
    (folder / "pickled.npy").write_bytes(b"")
    np.save(folder / "pickled.npy", np.array([Malice(victim)], object), allow_pickle=True)
    (folder / "raw").mkdir()
    (folder / "raw" / "ae.pt").write_bytes(pickle.dumps(Malice(victim)))
    np.save(folder / "wide.npy", np.ones((D + 1, M), np.float32))
    np.save(folder / "nan.npy", np.full((D, M), np.nan, np.float32))
    np.save(folder / "zero.npy", np.zeros((D, M), np.float32))
    np.save(folder / "integers.npy", np.ones((D, M), int))
    spare = w | {"b_mag": torch.ones(M)}
    lacking = {n: v for n, v in weights("gated", M, D).items() if n != "r_mag"}
    unsure = write_dictionary_learning(folder / "unsure", "topk", w)
    (unsure / "config.json").unlink()
    (folder / "empty").mkdir()
    (folder / "note.txt").write_text("no dictionary")
    save_file({"a": torch.zeros(3)}, folder / "foreign.safetensors")
    short = {**w, "b_enc": w["b_enc"][:-1].contiguous()}
    cfg = write_saelens(folder / "cfg", "topk", w) / "cfg.json"
    cfg.write_text("{")
    jump = weights("jumprelu", M, D)
    write_sparsify(folder / "hub" / "layers.2", w)
    damaged = write_gemma_2(folder / "damaged", jump)
    (damaged / "params.npz").write_bytes((damaged / "params.npz").read_bytes()[:-100])
    return {
        "truncated": (folder / "truncated", "sae_weights.safetensors: damaged"),
        "code in a pickle": (folder / "code", "code in a file is never run"),
        "a bare pickle": (folder / "raw", "ae.pt"),
        "objects in a .npy": (folder / "pickled.npy", "pickled.npy: damaged"),
        "another width": (folder / "wide.npy", f"13 × 40, and the model's hidden states have {D}"),
        "NaN": (folder / "nan.npy", "nan.npy: W_dec holds NaN"),
        "an atom of zeros": (folder / "zero.npy", "factor 0 has a decoder of zeros"),
        "integers": (folder / "integers.npy", "type int64"),
        "a tensor is missing": (write_saelens(folder / "few", "gated", lacking), "lacks r_mag"),
        "one too many": (
            write_saelens(folder / "more", "topk", spare),
            "holds b_mag, which no topk",
        ),
        "a tensor too short": (write_saelens(folder / "short", "topk", short), "b_enc has shape"),
        "a norm of the batch": (
            write_saelens(folder / "norm", "topk", w, normalize_activations="batch_norm"),
            "normalize_activations is 'batch_norm'",
        ),
        "an unknown form": (write_saelens(folder / "form", "temporal", w), "form 'temporal'"),
        "a transcoder": (
            write_sparsify(folder / "trans", w, transcode=True),
            "a transcoder, which reads one place",
        ),
        "a transcoder of SAELens": (
            write_saelens(folder / "through", "jumprelu_transcoder", w),
            "a jumprelu_transcoder, which reads one place",
        ),
        "a place inside a block": (
            write_saelens(
                folder / "mlp", "topk", w, metadata={"hook_name": "blocks.3.mlp.hook_in"}
            ),
            "blocks.3.mlp.hook_in, a place inside block 3",
        ),
        "an MLP of sparsify": (write_sparsify(folder / "layers.3.mlp", w), "inside block 3"),
        "states without their mean": (
            write_saelens(
                folder / "mean",
                "topk",
                w,
                model_from_pretrained_kwargs={"center_writing_weights": True},
            ),
            "center_writing_weights is True",
        ),
        "signed codes": (write_sparsify(folder / "signed", w, signed=True), "signed is True"),
        "a scale of its own": (
            write_saelens(folder / "scaled", "topk", w | {"scaling_factor": 2 * torch.ones(M)}),
            "scaling_factor is not 1",
        ),
        "several layers": (
            write_sparsify(folder / "cross", w | {"W_dec": torch.ones(M, 2, D)}),
            "crosscoders and cross-layer",
        ),
        "one folder a layer": (
            write_sparsify(folder / "hub" / "layers.10", w).parent,
            "holds 2 dictionaries in folders of their own (layers.2, layers.10); give one",
        ),
        "Gemma Scope's transcoders": (
            write_gemma_2(folder / "gemma-scope-2b-pt-transcoders" / "layer_3", jump),
            "of Gemma Scope's transcoders",
        ),
        "Gemma Scope 2's transcoders": (
            write_gemma_3(folder / "gemma", jump, hf_hook_point_out="model.layers.3.mlp.output"),
            "a transcoder, which reads one place",
        ),
        "a broken .npz": (damaged, "params.npz: damaged"),
        "no k": (write_sparsify(folder / "no k", w, k=0), "k is 0"),
        "TopK or BatchTopK": (unsure, "--form topk or --form batchtopk"),
        "a broken configuration": (folder / "cfg", "cfg.json: damaged"),
        "nothing in the folder": (folder / "empty", "holds no dictionary"),
        "another kind of file": (folder / "note.txt", "not a known kind"),
        "foreign safetensors": (folder / "foreign.safetensors", "not written by 'tfactors export'"),
        "no such file": (folder / "nothing.npy", "no such file"),
    }


def test_a_broken_file_is_refused_with_one_line_and_nothing_in_it_is_run(tmp_path):
    found = broken_files(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    for mistake, (path, said) in found.items():
        with pytest.raises(InputError) as raised:
            read_dictionary(path, D)
        assert said in str(raised.value), mistake
        assert len(str(raised.value).splitlines()) == 1, mistake
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert not (tmp_path / "victim").exists()


def test_the_form_that_an_ae_pt_does_not_say_can_be_given(tmp_path, x):
    w = weights("topk", M, D)
    folder = write_dictionary_learning(tmp_path, "topk", w)
    (folder / "config.json").write_text(json.dumps({}))
    check_codes(read_dictionary(folder, D, form="topk"), w, "topk", x)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made up")
    write_synthetic_bundle(folder, factors=M, layers=2, examples=3, windows=40, width=D)
    return folder


def bundle_over(imported, folder):
    """The made-up bundle, its dictionary replaced by the imported one."""
    manifest = Bundle.open(folder).manifest
    write_dictionary(folder, imported.atoms)
    write_imported(folder, imported.kept())
    manifest["dictionary"]["imported"] = imported.origin.to_json()
    write_manifest(folder, manifest)
    return Bundle.open(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_an_autoencoder_comes_back_from_a_bundle_with_the_same_bits(form, dtype, tmp_path, made_up):
    w = {name: values.to(dtype) for name, values in weights(form, M, D).items()}
    source = write_saelens(tmp_path / "sae", form, w)
    imported = read_dictionary(source, D)
    bundle = bundle_over(imported, made_up)
    write_dictionary_file(bundle, tmp_path / "again", "saelens")
    before, after = (load_file(p / "sae_weights.safetensors") for p in (source, tmp_path / "again"))
    assert {n: v.dtype for n, v in before.items()} == {n: v.dtype for n, v in after.items()}
    assert all(torch.equal(before[name], after[name]) for name in before)
    write_dictionary_file(bundle, tmp_path / "d.safetensors", "safetensors")
    for path in (tmp_path / "again", tmp_path / "d.safetensors"):
        again = read_dictionary(path, D)
        assert again.tensors.keys() == imported.tensors.keys()
        for name, values in imported.tensors.items():
            np.testing.assert_array_equal(again.tensors[name], values, err_msg=name)
        expected = "jumprelu" if form == "batchtopk" and path.name == "again" else form
        assert (again.origin.form, again.origin.k) == (expected, imported.origin.k)


@pytest.mark.parametrize("format", ["saelens", "safetensors", "npy"])
def test_an_export_that_is_interrupted_leaves_nothing(format, tmp_path, made_up, monkeypatch):
    def interrupted(*given, **named):
        raise KeyboardInterrupt

    bundle, out = Bundle.open(made_up), tmp_path / "out"
    with monkeypatch.context() as patch:  # Ctrl-C while the last of it is written
        patch.setattr("json.dumps" if format == "saelens" else "os.replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_dictionary_file(bundle, out, format)
    assert not list(tmp_path.iterdir())
    write_dictionary_file(bundle, out, format)
    usual = tmp_path / "usual"
    usual.mkdir() if out.is_dir() else usual.touch()
    assert out.stat().st_mode == usual.stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == {"out", "usual"}


def test_an_origin_survives_the_manifest(tmp_path):
    origin = read_dictionary(write_saelens(tmp_path, "topk", weights("topk", M, D)), D).origin
    again = type(origin).from_json(json.loads(json.dumps(origin.to_json())))
    assert again == origin
    assert replace(origin, k=3) != origin


def test_an_npz_that_unpacks_to_hundreds_of_times_itself_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LITTLE", 1_000_000)
    np.savez_compressed(tmp_path / "params.npz", W_enc=np.zeros((1000, 1000), np.float32))
    with pytest.raises(InputError, match=r"it unpacks to 4,000,\d+ bytes, as no weights do"):
        read_dictionary(tmp_path / "params.npz", 1000)
