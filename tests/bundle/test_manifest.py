"""Manifests as records: what has to be there, what may be missing, and what one line says."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle, BundleError
from tfactors.bundle.manifest import (
    Manifest,
    canonical_json,
    check_manifest,
    listed_levels,
    read_manifest,
)
from tfactors.bundle.writing import write_manifest
from tfactors.describe.levels import OlderThresholds, Thresholds

DEFAULT = Path(__file__).resolve().parents[2] / "artifacts/default"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_bundle(tmp_path_factory.mktemp("bundle"), factors=5, windows=40)


@pytest.fixture
def record(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_bytes())


def test_the_sections_say_what_the_record_holds(folder: Path, record: dict) -> None:
    about = Bundle.open(folder).about
    assert about.title == record["title"]
    assert about.model.name == "synthetic"
    assert list(about.model.layers) == record["model"]["layers"]
    assert about.corpus.sources[0].licence == "CC0-1.0"
    assert about.coding.method == "solver"
    assert about.importance.thresholds == Thresholds(6.0, 0.1, 0.2)
    assert about.metrics.layers[1].l0 == 11.0
    assert about.created.seconds == {"corpus": 1.0}
    assert about.settings["preset"] == "synthetic"
    assert about.website is None
    assert about.dictionary.imported is None
    assert {name: asdict(seal) for name, seal in about.files.items()} == record["files"]


def test_the_default_bundle_is_about_minilm() -> None:
    about = Bundle.open(DEFAULT).about
    assert (about.model.blocks, about.model.width, about.dictionary.factors) == (6, 384, 1800)
    assert about.metrics.levels == {"low": 661, "mid": 599, "high": 540}


def test_older_bundles_lack_fields_and_open_all_the_same(record: dict) -> None:
    record["importance"]["levels"] = {"low_depth": 0.3, "sentence_share": 0.5}
    record["metrics"] = {}
    for source in record["corpus"]["sources"]:
        del source["title"], source["licence"], source["attribution"]
    about = Manifest.of(record)
    assert about.importance.thresholds == OlderThresholds(0.3, None, 0.5)
    assert about.metrics.l0 is None
    assert about.corpus.sources[0].title == ""
    assert about.listed_levels == [""] * 5


def test_what_the_sections_do_not_name_stays_in_the_file(folder: Path, record: dict) -> None:
    record["model"]["nickname"] = "tiny"
    record["later"] = {"anything": [1, None]}
    order = list(record)
    before = (folder / "manifest.json").read_bytes()
    write_manifest(folder, record)
    again = read_manifest(folder)
    assert again["model"]["nickname"] == "tiny"
    assert again["later"] == {"anything": [1, None]}
    assert set(again) == set(order)
    del again["model"]["nickname"], again["later"]
    write_manifest(folder, again)
    assert (folder / "manifest.json").read_bytes() == before


def test_reading_and_writing_a_manifest_keeps_every_byte(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    write_manifest(folder, Bundle.open(folder).manifest)
    assert (folder / "manifest.json").read_bytes() == before
    assert canonical_json(read_manifest(DEFAULT)) == (DEFAULT / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("title", 3, "'title' is 3; expected a text"),
        ("model.blocks", True, "'model.blocks' is True; expected int"),
        ("model.layers", "0", "'model.layers' is '0'; expected a list"),
        ("model.folder", 5, "'model.folder' is 5; expected a text or null"),
        ("corpus.sources", [{"name": 1}], "'corpus.sources[0].name' is 1; expected a text"),
        ("corpus.sources", [{}], "'corpus.sources[0].name' is missing; expected a text"),
        ("coding.penalty", "1", "'coding.penalty' is '1'; expected float"),
        ("coding.scale", {"0": None}, "'coding.scale.0' is None; expected float"),
        ("metrics.layers", [{"layer": 0}, {}], "'metrics.layers[1].layer' is missing"),
        ("files", {"a.parquet": {"rows": "x"}}, "'files.a.parquet.rows' is 'x'; expected int"),
        ("files", [], "'files' is []; expected an object"),
        ("importance.levels", {"low_words": 6.0}, "'importance.levels' has neither low_words and"),
        ("website", {"levels": {"low": ["x"]}}, "'website.levels.low[0]' is 'x'; expected int"),
        ("title", "y" * 9999, ""),
    ],
)
def test_a_field_that_does_not_fit_is_named_in_one_line(
    record: dict, path: str, value: object, says: str
) -> None:
    *sections, key = path.split(".")
    at = record
    for section in sections:
        at = at[section]
    at[key] = value
    if not says:
        check_manifest(record)
        return
    with pytest.raises(BundleError) as caught:
        check_manifest(record)
    message = str(caught.value)
    assert message.startswith(f"manifest.json: {says}")
    assert message.endswith("rebuild the bundle")
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize("path", ["tfactors", "created", "model.sha256", "dictionary.seed"])
def test_a_field_that_is_missing_is_named(record: dict, path: str) -> None:
    *sections, key = path.split(".")
    at = record
    for section in sections:
        at = at[section]
    del at[key]
    with pytest.raises(BundleError, match=rf"manifest\.json: '{path}' is missing; expected "):
        check_manifest(record)


def test_a_draft_knows_less(tmp_path: Path) -> None:
    model = {"layers": [0, 2], "blocks": 2, "width": 8}
    draft = Bundle(tmp_path, {"model": model, "dictionary": {"factors": 3}})
    assert (draft.layers, draft.blocks, draft.width, draft.n_factors) == ([0, 2], 2, 8, 3)
    assert draft.about.model.name == ""
    assert not draft.abilities.dictionary
    with pytest.raises(BundleError, match=r"'model\.width' is '8'; expected int"):
        _ = Bundle(tmp_path, {"model": model | {"width": "8"}}).width


def test_a_level_that_lists_no_factor_of_the_bundle_is_refused() -> None:
    with pytest.raises(BundleError, match=r"'website\.levels' lists factor 4"):
        listed_levels({"low": (4,)}, 4)
