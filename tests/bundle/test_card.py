"""The card of a bundle, read as the hub reads it, and as a reader of Markdown does."""

import json
from pathlib import Path

import pytest
import yaml
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle
from tfactors.bundle.card import CARD, card, write_card
from tfactors.bundle.manifest import Manifest, read_manifest
from tfactors.bundle.writing import write_manifest

HOSTILE = "a: [x](javascript:1) <img src=x onerror=1>\n---\nlicense: mit\u202e"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_synthetic_bundle(tmp_path / "bundle", factors=6, layers=2, windows=20, examples=3)


def front_matter(text: str) -> dict[str, object]:
    opened, written, body = text.split("---\n", 2)
    assert opened == ""
    assert body.lstrip().startswith("<!--")
    found = yaml.safe_load(written)
    assert isinstance(found, dict)
    return found


def test_whoever_writes_a_bundle_writes_its_card(folder: Path) -> None:
    about = Bundle.open(folder).about
    written = (folder / CARD).read_text("utf-8")
    assert written == card(about)
    assert f"{about.dictionary.factors:,} factors" in written
    for of in about.metrics.layers:
        assert f"| {of.layer} | {of.l0:.1f} | {of.explained_variance:.3f} |" in written
    for source in about.corpus.sources:
        assert source.licence.split("(")[0] in written


def test_its_python_runs_where_the_bundle_is_named(folder: Path) -> None:
    code = card(Bundle.open(folder).about).split("```python\n")[1].split("```")[0]
    exec(code.replace("hf:owner/name", str(folder)), {})


def test_its_front_matter_is_what_the_hub_asks_for(folder: Path) -> None:
    found = front_matter((folder / CARD).read_text("utf-8"))
    assert found["license"] == "other"
    assert found["pretty_name"] == Bundle.open(folder).title
    assert "tfactors" in found["tags"]  # type: ignore[operator]
    assert "base_model" not in found  # the folder of a model is no repository of the hub
    for config in found["configs"]:  # type: ignore[attr-defined]
        assert (folder / config["data_files"]).is_file()


def test_a_model_of_the_hub_is_named_there(folder: Path) -> None:
    manifest = read_manifest(folder)
    manifest["model"]["name"] = "owner/some-model"
    assert front_matter(card(Manifest.of(manifest)))["base_model"] == "owner/some-model"


def test_hostile_names_stay_text(folder: Path) -> None:
    manifest = read_manifest(folder)
    manifest["title"] = HOSTILE
    manifest["corpus"]["sources"] = [{"name": "s", "title": HOSTILE, "licence": HOSTILE}]
    text = card(Manifest.of(manifest))
    assert front_matter(text)["license"] == "other"
    assert front_matter(text)["pretty_name"] == HOSTILE.replace("\u202e", "\ufffd")
    body = text.split("---\n", 2)[2]
    assert "\n---\n" not in body
    for acting in ("[x](", "<img", "\u202e"):
        assert acting not in body.replace("\\[", "").replace("\\<", "")


def test_a_card_of_ones_own_stays_and_ours_is_written_again(folder: Path) -> None:
    manifest = read_manifest(folder) | {"title": "Another title"}
    write_manifest(folder, manifest)
    assert "# Another title" in (folder / CARD).read_text("utf-8")
    (folder / CARD).write_text("# My own words")
    write_manifest(folder, manifest | {"title": "A third"})
    assert (folder / CARD).read_text() == "# My own words"


def test_the_same_bundle_gives_the_same_card_whenever_it_was_made(folder: Path) -> None:
    manifest = read_manifest(folder)
    first = card(Manifest.of(manifest))
    manifest["created"] = {"at": "2031-01-01T00:00:00+00:00", "seconds": {"corpus": 9.5}}
    assert card(Manifest.of(json.loads(json.dumps(manifest)))) == first


def test_nothing_is_left_beside_it(folder: Path) -> None:
    write_card(folder, Bundle.open(folder).about)
    assert not [path for path in folder.iterdir() if "part" in path.name]
