"""Folders of models: the files that are loaded and their tensors, or one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import answer, bounded, fuzzed, mutated, mutated_file, written
from hypothesis import example, given
from hypothesis import strategies as some
from safetensors.torch import save
from tiny_model import write_tiny_bert

from tfactors.model.folder import config_of, inner_folder, local_folder
from tfactors.model.loading import load_transformer
from tfactors.model.stand_ins import instead_of_config, instead_of_weights
from tfactors.model.weights import read_tensors, stored_tensors, weight_files, weights_sha256

pytestmark = pytest.mark.model

TENSORS = {"a.weight": torch.ones(3, 2), "_orig_mod.b": torch.zeros(4, dtype=torch.bfloat16)}
WEIGHTS = save(TENSORS, {"format": "pt"})
INDEX = {
    "metadata": {"total_size": 32},
    "weight_map": {"a.weight": "one.safetensors", "b": "below/two.safetensors"},
}
CONFIG = {"model_type": "bert", "hidden_size": 32, "transformers_weights": None}
MODULES = [{"idx": 0, "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("tiny"), blocks=1, width=8)


def read(folder: Path) -> dict[str, Any] | None:
    """Read the weights of a folder as a model's are; each file is below it."""
    found = answer(local_folder, str(folder))
    if found is None:
        return None
    files = answer(weight_files, found, "m")
    for file in files or []:
        assert file.resolve().is_relative_to(folder.resolve())
    if not files or answer(stored_tensors, files, "m") is None:
        return None
    answer(weights_sha256, files)
    return answer(read_tensors, files, "m")


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder)
    (folder / "below").mkdir(parents=True)
    return folder


@fuzzed()
@example(content=WEIGHTS.replace(b'"shape"', b'"shipe"'))
@example(content=WEIGHTS.replace(b"[3,2]", b'"3,2"'))
@given(content=mutated(WEIGHTS))
def test_weights_that_are_nearly_right(folder: Path, content: bytes) -> None:
    fresh(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(content)
    read(folder)


@fuzzed()
@given(data=some.data())
def test_a_header_that_is_nearly_right(folder: Path, data: some.DataObject) -> None:
    length = int.from_bytes(WEIGHTS[:8], "little")
    header = data.draw(mutated_file(json.loads(WEIGHTS[8 : 8 + length])))
    fresh(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    content = len(header).to_bytes(8, "little") + header + WEIGHTS[8 + length :]
    (folder / "model.safetensors").write_bytes(content)
    read(folder)


@fuzzed()
@example(written({"weight_map": {"a": "\0.safetensors"}}), written(CONFIG))
@example(written({"weight_map": {"a": "x" * 500 + ".safetensors"}}), written(CONFIG))
@example(written({"weight_map": {"a": "\ud800.safetensors"}}), written(CONFIG))
@given(mutated_file(INDEX), mutated_file(CONFIG) | some.just(json.dumps(CONFIG).encode()))
def test_an_index_and_a_configuration(folder: Path, index: bytes, config: bytes) -> None:
    fresh(folder)
    (folder / "config.json").write_bytes(config)
    (folder / "model.safetensors.index.json").write_bytes(index)
    for name in ("one.safetensors", "below/two.safetensors"):
        (folder / name).write_bytes(WEIGHTS)
    read(folder)
    with bounded():
        config_of(folder)
        assert instead_of_config(folder)
        assert instead_of_weights(folder)


@fuzzed()
@example(b'{"a":' * 5000)
@example(written([MODULES[0] | {"path": "\0"}]))
@example(written([MODULES[0] | {"path": "x" * 500}]))
@example(written([MODULES[0] | {"path": "\ud800"}]))
@given(mutated_file(MODULES))
def test_modules_of_sentence_transformers(folder: Path, modules: bytes) -> None:
    fresh(folder)
    (folder / "0_Transformer").mkdir()
    (folder / "0_Transformer" / "config.json").write_text(json.dumps(CONFIG))
    (folder / "modules.json").write_bytes(modules)
    with bounded():
        inner = folder / inner_folder(folder)
    assert inner.resolve().is_relative_to(folder.resolve())
    read(folder)


@fuzzed(0.5)
@given(data=some.data())
def test_a_model_that_is_nearly_right(tiny: Path, folder: Path, data: some.DataObject) -> None:
    fresh(folder)
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    name = data.draw(some.sampled_from(sorted(path.name for path in tiny.iterdir())))
    valid = (tiny / name).read_bytes()
    content = mutated(valid, most=2)
    if name.endswith(".json"):
        content |= mutated_file(json.loads(valid))
    (folder / name).write_bytes(data.draw(content))
    answer(load_transformer, str(folder), "cpu")
