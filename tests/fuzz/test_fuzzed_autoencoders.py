"""Files of autoencoders: codes of every state, or one line, whichever library wrote the file."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzzing import ODD_VALUES, answer, fuzzed, mutated, mutated_json, written
from hypothesis import given
from hypothesis import strategies as some
from published_autoencoders import (
    write_goodfire,
    write_llama_scope,
    write_newer_llama_scope,
    write_openai,
)
from safetensors.torch import load, save
from tiny_autoencoders import (
    weights,
    write_dictionary_learning,
    write_gemma_2,
    write_gemma_3,
    write_saelens,
    write_sparsify,
)

from tfactors.coding.imported_dictionary import PLAIN, ImportedDictionary
from tfactors.interchange.dictionaries import read_dictionary

pytestmark = pytest.mark.model
WIDTH, FACTORS = 6, 20


def _saelens(form: str) -> Callable[[Path], Path]:
    return lambda folder: write_saelens(folder, form, weights(form, FACTORS, WIDTH))


def _learning(form: str) -> Callable[[Path], Path]:
    kind = "batchtopk" if form == "matryoshka" else form
    return lambda folder: write_dictionary_learning(folder, form, weights(kind, FACTORS, WIDTH))


def _npy(folder: Path) -> Path:
    folder.mkdir(parents=True)
    np.save(folder / "a.npy", weights("topk", FACTORS, WIDTH)["W_dec"].numpy().T)
    return folder / "a.npy"


def _our_own(folder: Path) -> Path:
    folder.mkdir(parents=True)
    record = {
        **{"form": "topk", "k": 5, "centred": True, "rescaled": False, "scale": "none"},
        **{"baseline": "none", "marks": False, "refit": False, "penalty": 0.5, "dtype": "float32"},
    }
    content = save(weights("topk", FACTORS, WIDTH), {"tfactors": json.dumps(record)})
    (folder / "a.safetensors").write_bytes(content)
    return folder / "a.safetensors"


JUMP = weights("jumprelu", FACTORS, WIDTH)
STANDARD = weights("standard", FACTORS, WIDTH)
WRITERS: dict[str, Callable[[Path], Path]] = {
    **{f"saelens {form}": _saelens(form) for form in ("standard", "topk", "jumprelu", "gated")},
    **{f"learning {form}": _learning(form) for form in ("standard", "topk", "matryoshka", "gated")},
    "sparsify": lambda folder: write_sparsify(folder, weights("topk", FACTORS, WIDTH)),
    "gemma 2": lambda folder: write_gemma_2(folder, JUMP),
    "gemma 3": lambda folder: write_gemma_3(folder, JUMP),
    "llama scope": lambda folder: write_llama_scope(folder, STANDARD, 3.0),
    "newer llama scope": lambda folder: write_newer_llama_scope(folder, JUMP, 3.0),
    "goodfire": lambda folder: write_goodfire(folder, STANDARD),
    "openai": lambda folder: write_openai(folder, STANDARD),
    "npy": _npy,
    "our own": _our_own,
}


def check(path: Path, form: str = "") -> ImportedDictionary | None:
    """Read a dictionary; what is read codes states, and goes through the record of a bundle."""
    found = answer(read_dictionary, path, WIDTH, form)
    if found is None:
        return None
    assert found.atoms.shape[1] == WIDTH
    assert np.isfinite(found.atoms).all()
    assert np.isfinite(found.norms).all()
    assert all(len(note.splitlines()) == 1 for note in found.notes)
    json.dumps(found.origin.to_json(), allow_nan=False).encode()
    assert all(isinstance(layer, int) for layer in found.origin.layers)
    states = np.random.default_rng(0).standard_normal((4, WIDTH)).astype(np.float32)
    if found.origin.form != PLAIN:
        codes = answer(lambda: found.coder("encoder").encode(states))
        assert codes is None or codes.shape == (4, len(found.atoms))
    return found


def put(path: Path, tensors: dict[str, torch.Tensor], how: str) -> None:
    """Write changed tensors as the file had them."""
    if path.suffix == ".npz":
        np.savez(path, **{name: values.float().numpy() for name, values in tensors.items()})
    elif path.suffix == ".safetensors":
        path.write_bytes(
            save({n: v.clone().contiguous() for n, v in tensors.items()}, json.loads(how))
        )
    else:
        torch.save(tensors, path)


@some.composite
def changed_tensors(draw: some.DrawFn, tensors: dict[str, Any]) -> dict[str, Any]:
    """Tensors of which some are missing, renamed, turned, cut, of another type or not numbers."""
    tensors = dict(tensors)
    for _ in range(draw(some.integers(1, 3))):
        name = draw(some.sampled_from(sorted(tensors)))
        value = tensors[name]
        if not isinstance(value, torch.Tensor):
            tensors[name] = draw(some.sampled_from(ODD_VALUES))
            continue
        odd = draw(some.sampled_from((float("nan"), float("inf"), -float("inf"), 0.0, 1e38, -1.0)))
        dtypes = (torch.int64, torch.bool, torch.float16, torch.bfloat16, torch.float64)
        match draw(some.integers(0, 8)):
            case 0 if len(tensors) > 1:
                del tensors[name]
            case 1:
                tensors[draw(some.sampled_from(("W_dec", "b_dec", "k", "threshold", "x")))] = value
            case 2:
                tensors[name] = value.T if value.dim() == 2 else value[None]
            case 3 if value.dim():
                tensors[name] = value[: draw(some.integers(0, 3))]
            case 4:
                tensors[name] = value.to(draw(some.sampled_from(dtypes)))
            case 5 if value.dim() and len(value):
                copy = value.float().clone()
                copy[draw(some.integers(0, len(copy) - 1))] = odd
                tensors[name] = copy
            case 6:
                tensors[name] = torch.full_like(value.float(), odd)
            case 7:
                tensors[name] = value.reshape(-1)
            case 8:
                tensors[name] = torch.zeros(())
        if not tensors[name].numel() if isinstance(tensors.get(name), torch.Tensor) else False:
            tensors[name] = torch.zeros(draw(some.sampled_from(((0,), (0, WIDTH), (WIDTH, 0)))))
    return tensors


def tensors_of(path: Path) -> tuple[dict[str, Any], str]:
    """Return the tensors of a file, and its metadata as JSON."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return {name: torch.from_numpy(file[name]) for name in file.files}, "null"
    if path.suffix == ".safetensors":
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return load(content), json.dumps(header.get("__metadata__"))
    return torch.load(path, weights_only=True), "null"


@pytest.mark.parametrize("kind", WRITERS)
@fuzzed(0.6)
@given(data=some.data())
def test_an_autoencoder_that_is_nearly_right(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: some.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("sae") / "resid"
    path = WRITERS[kind](folder)
    assert check(path) is not None
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for _ in range(data.draw(some.integers(1, 2))):
        file = data.draw(some.sampled_from(files))
        valid = file.read_bytes()
        if file.suffix == ".json" and data.draw(some.booleans()):
            try:
                content = json.loads(valid)
            except (ValueError, RecursionError):
                continue
            file.write_bytes(written(data.draw(mutated_json(content))))
        elif file.suffix in (".safetensors", ".npz", ".pt", ".pth") and data.draw(some.booleans()):
            try:
                tensors, how = tensors_of(file)
            except Exception:  # what was damaged before cannot be changed once more
                continue
            put(file, data.draw(changed_tensors(tensors)), how)
        else:
            file.write_bytes(data.draw(mutated(valid)))
    check(path, data.draw(some.sampled_from(("", "topk", "batchtopk"))))
    shutil.rmtree(folder)


@fuzzed()
@given(mutated_json({"a": {"form": "topk", "k": 5, "layers": [1], "scale": "none"}}))
def test_what_our_own_file_says_of_itself(tmp_path_factory, record: Any) -> None:
    folder = tmp_path_factory.mktemp("own") / "a"
    path = _our_own(folder)
    base = json.loads(tensors_of(path)[1])["tfactors"]
    said = record.get("a") if isinstance(record, dict) else record
    whole = json.loads(base) | said if isinstance(said, dict) else said
    path.write_bytes(save(weights("topk", FACTORS, WIDTH), {"tfactors": json.dumps(whole)}))
    check(path)
    shutil.rmtree(folder)


@fuzzed()
@given(some.sampled_from((b"PK\x03\x04", b"\x80\x02", b"")), some.binary(max_size=200))
def test_bytes_of_any_kind(tmp_path_factory, head: bytes, rest: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("a.npy", "a.safetensors", "a.pt", "params.npz", "ae.pt"):
        (folder / name).write_bytes(head + rest)
        assert answer(read_dictionary, folder / name, WIDTH) is None
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    (folder / "a.npy").write_bytes(file.getvalue())
    assert answer(read_dictionary, folder / "a.npy", WIDTH) is None


# What was found: where, and what stood there.
CONFIGURATIONS = [
    ("saelens topk", "cfg.json", {"k": float("nan")}),
    ("saelens topk", "cfg.json", {"k": float("inf")}),
    ("saelens standard", "cfg.json", {"apply_b_dec_to_input": "false"}),
    ("saelens standard", "cfg.json", {"normalize_activations": ["none"]}),
    ("saelens standard", "cfg.json", {"metadata": {"context_size": float("nan")}}),
    ("saelens standard", "cfg.json", {"metadata": {"tfactors": {"stand_in": 1, "layers": 3}}}),
    ("saelens standard", "cfg.json", {"metadata": {"tfactors": {"stand_in": 1, "penalty": []}}}),
    ("sparsify", "cfg.json", {"k": "five"}),
    ("llama scope", "hyperparams.json", {"dataset_average_activation_norm": {"in": "x"}}),
]


@pytest.mark.parametrize(("kind", "name", "changes"), CONFIGURATIONS)
def test_an_odd_value_of_a_configuration(tmp_path, kind: str, name: str, changes: dict) -> None:
    folder = tmp_path / "a"
    WRITERS[kind](folder)
    config = json.loads((folder / name).read_text())
    (folder / name).write_bytes(written(config | changes))
    assert check(folder) is None


def test_a_configuration_nested_without_end(tmp_path) -> None:
    folder = WRITERS["sparsify"](tmp_path / "a")
    (folder / "cfg.json").write_text('{"a":' * 5000)
    assert check(folder) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"k": torch.ones(3)},
        {"k": torch.tensor(float("nan"))},
        {"encoder.weight": torch.ones(FACTORS, WIDTH, dtype=torch.int8)},
        {"encoder.weight": torch.ones(FACTORS, WIDTH).to_sparse()},
    ],
    ids=["k of three", "k no number", "whole numbers", "sparse"],
)
def test_an_odd_tensor_of_dictionary_learning(tmp_path, changes: dict) -> None:
    folder = WRITERS["learning topk"](tmp_path / "a")
    torch.save(torch.load(folder / "ae.pt", weights_only=True) | changes, folder / "ae.pt")
    assert check(folder) is None


def test_parameters_are_read_as_the_tensors_that_they_are(tmp_path) -> None:
    folder = WRITERS["learning standard"](tmp_path / "a")
    plain = check(folder)
    state = torch.load(folder / "ae.pt", weights_only=True)
    torch.save({name: torch.nn.Parameter(v) for name, v in state.items()}, folder / "ae.pt")
    found = check(folder)
    assert found is not None
    assert plain is not None
    np.testing.assert_array_equal(found.atoms, plain.atoms)
