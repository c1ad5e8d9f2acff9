"""Bundles, models and texts of the hub: its own client fetches them from a hub on this machine.

Every command runs in a process of its own, for the client reads ``HF_ENDPOINT`` when it is loaded.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from model_answers import put_labels
from synthetic_bundle import write_synthetic_bundle
from tiny_hub import Reader, TinyHub, serving
from tiny_model import write_tiny_bert

from tfactors.bundle import Bundle, evidence
from tfactors.bundle.evidence import Section

pytestmark = pytest.mark.model

CARD = """---
license: cc-by-sa-3.0
configs:
- config_name: small
  data_files:
  - {split: train, path: small/train.parquet}
---
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyHub]:
    root = tmp_path_factory.mktemp("hub")
    sound = root / "datasets/me/bundle"
    write_synthetic_bundle(sound, layers=2, factors=6, windows=20, examples=3, title="From afar")
    put_labels(sound, {0: "rivers"})
    (sound / "README.md").write_text("A bundle.")
    (sound / "setup.py").write_text("raise SystemExit")
    shutil.copytree(sound, root / "models/me/among-models")
    for name in ("changed", "missing"):
        path = shutil.copytree(sound, root / "models/me" / name) / "importance.parquet"
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
        if name == "missing":
            path.unlink()
    evidenced = shutil.copytree(sound, root / "datasets/me/evidenced")
    evidence.write_section(
        evidence.folder_of(evidenced),
        Section("levels", "Levels", "", ("It is so.",), (), Bundle.open(evidenced).fingerprint),
    )
    forged = shutil.copytree(evidenced, root / "datasets/me/forged")
    levels = evidence.folder_of(forged) / "levels.json"
    levels.write_text(levels.read_text("utf-8").replace("It is so.", "It is no."), "utf-8")
    write_tiny_bert(root / "models/me/model")
    texts = root / "datasets/me/texts"
    (texts / "small").mkdir(parents=True)
    (texts / "README.md").write_text(CARD)
    rows = [f"House {i} stood by the river, and we left it. " * 9 for i in range(20)]
    pd.DataFrame({"text": rows}).to_parquet(texts / "small/train.parquet")
    with serving(root) as running:
        yield running


@pytest.fixture
def reader(hub: TinyHub, tmp_path: Path) -> Reader:
    return Reader(hub, tmp_path / "cache")


def test_a_bundle_of_the_hub_is_fetched_once_and_nothing_but_its_tables(reader: Reader) -> None:
    first = reader.run("info", "hf:me/bundle")
    assert (first.returncode, first.stdout.splitlines()[0]) == (0, "From afar")
    assert {"importance.parquet", "llm_labels.parquet"} <= {*reader.fetched()}
    assert not {"README.md", "setup.py"} & set(reader.fetched())
    assert reader.run("verify", "hf:me/bundle").returncode == 0
    assert reader.fetched() == []
    away = reader.run("info", "hf:me/bundle", address="http://127.0.0.1:9")
    assert (away.returncode, away.stdout) == (0, first.stdout)


def test_the_seals_of_evidence_come_along_and_are_checked(reader: Reader) -> None:
    assert reader.run("verify", "hf:me/evidenced").returncode == 0
    assert {"levels.json", "seals.json"} <= set(reader.fetched())
    forged = reader.run("verify", "hf:me/forged")
    assert forged.returncode != 0
    assert "evidence/levels.json: " in forged.stderr


def test_a_bundle_may_lie_among_the_models(reader: Reader) -> None:
    done = reader.run("info", "hf:me/among-models")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "From afar")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hf:me/changed", "importance.parquet is not the file of the manifest"),
        ("hf:me/missing", "lacks importance.parquet"),
        ("hf:me/model", "holds no manifest.json, so it is no bundle"),
        ("hf:no/such", "no such repository"),
        ("hf:../etc", "expected hf:owner/name"),
        ("hf:nobody", "nothing that they share on the hub is a bundle"),
    ],
)
def test_what_is_no_sound_bundle_is_said_in_one_line(reader: Reader, name: str, said: str) -> None:
    done = reader.run("dashboard", name)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tfactors: {name}: ")
    assert said in line


def test_a_hub_that_does_not_answer_is_said_in_one_line(reader: Reader) -> None:
    done = reader.run("info", "hf:me/bundle", address="http://127.0.0.1:9")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("tfactors: hf:me/bundle: cannot be fetched (")


def test_a_hub_that_does_not_answer_lists_nothing_and_says_so(reader: Reader) -> None:
    done = reader.run("dashboard", "hf:me", address="http://127.0.0.1:9")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("tfactors: hf:me: cannot be listed (")


def test_model_and_text_of_the_hub_become_a_bundle(reader: Reader, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    done = reader.run(
        "build", "--model", "me/model", "--corpus", "me/texts:small", "--out", str(out),
        "--preset", "quick", "--factors", "8", "--retention-examples", "1", "--quiet",
        "--meaning-contexts", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bundle = Bundle.open(out)
    bundle.verify()
    manifest = bundle.manifest
    assert manifest["model"]["name"] == "me/model"
    (source,) = manifest["corpus"]["sources"]
    assert source["name"] == "me/texts:small:train"
    assert source["licence"] == "cc-by-sa-3.0"
    assert source["attribution"] == "https://huggingface.co/datasets/me/texts"
