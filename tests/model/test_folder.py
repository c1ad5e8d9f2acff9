"""Models of the hub whose files lie in folders below: what is fetched of them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from tiny_hub import Reader, TinyHub, serving
from tiny_model import write_tiny_bert

pytestmark = pytest.mark.process

PROGRAM = """
from tfactors.model.folder import hub_folder
from tfactors.model.weights import weight_files, weights_sha256
import sys
try:
    files = weight_files(hub_folder(sys.argv[1]), "model")
    print(sorted(file.name for file in files))
    print(weights_sha256(files))
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyHub]:
    root = tmp_path_factory.mktemp("hub") / "models" / "me"
    plain = write_tiny_bert(root / "plain")
    shards = shutil.copytree(plain, root / "shards")
    weights = load_file(shards / "model.safetensors")
    (shards / "model.safetensors").unlink()
    (shards / "weights").mkdir()
    keys = sorted(weights)
    parts = {"weights/a.safetensors": keys[:9], "weights/b.safetensors": keys[9:]}
    for file, part in parts.items():
        save_file({key: weights[key] for key in part}, shards / file)
    index = {"weight_map": {key: file for file, part in parts.items() for key in part}}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    older = root / "older"
    shutil.copytree(plain, older / "0_Transformer")
    (older / "1_Pooling").mkdir()
    (older / "1_Pooling" / "config.json").write_text("{}")
    kind = "sentence_transformers.models."
    modules = [
        {"path": "0_Transformer", "type": f"{kind}Transformer"},
        {"path": "1_Pooling", "type": f"{kind}Pooling"},
    ]
    (older / "modules.json").write_text(json.dumps(modules))
    adapter = root / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "gpt2"}')
    save_file(weights, adapter / "adapter_model.safetensors")
    for folder in (shards, older):  # nobody asks for these
        (folder / "extra").mkdir()
        shutil.copy(plain / "model.safetensors", folder / "extra")
    with serving(root.parents[1]) as running:
        yield running


def said_of(reader: Reader, name: str) -> list[str]:
    reader.hub.asked.clear()
    line = [sys.executable, "-c", PROGRAM, name]
    done = subprocess.run(line, env=reader.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def fetched(reader: Reader) -> set[str]:
    files = (line.partition("/resolve/")[2] for line in reader.hub.asked if "GET" in line)
    return {file.partition("/")[2] for file in files if file.endswith(".safetensors")}


def test_shards_and_transformers_in_folders_below_are_fetched_and_nothing_else(
    hub: TinyHub, tmp_path: Path
) -> None:
    reader = Reader(hub, tmp_path / "cache")
    files, digest = said_of(reader, "me/shards")
    assert files == "['a.safetensors', 'b.safetensors']"
    assert fetched(reader) == {"weights/a.safetensors", "weights/b.safetensors"}
    assert said_of(reader, "me/shards") == [files, digest]
    assert fetched(reader) == set()  # once is enough
    assert said_of(reader, "me/older")[1] == said_of(reader, "me/plain")[1]
    (line,) = said_of(reader, "me/adapter")
    assert "an adapter (PEFT) of 'gpt2' and no whole model" in line
