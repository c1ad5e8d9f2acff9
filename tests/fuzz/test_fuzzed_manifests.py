"""Manifests, seals and evidence: what they say, or one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing import answer, fuzzed, mutated, mutated_file, mutated_json, written
from hypothesis import example, given
from hypothesis import strategies as some

from tfactors.bundle import Bundle, evidence, evidence_seals
from tfactors.bundle.format import bundle_files
from tfactors.bundle.manifest import Manifest, canonical_json, manifest_checksum, read_manifest
from tfactors.bundle.summary import describe

DEFAULT = Path(__file__).parents[2] / "artifacts" / "default"
MANIFESTS = {
    "default": json.loads((DEFAULT / "manifest.json").read_bytes()),
}
PARTS: list[Callable[[Bundle], Any]] = [
    repr,
    lambda bundle: describe(bundle.about),
    lambda bundle: bundle._repr_html_(),
    lambda bundle: bundle.scale,
    lambda bundle: bundle.abilities,
    lambda bundle: bundle.bin_edges,
    lambda bundle: bundle.about.importance.thresholds,
    lambda bundle: bundle.about.listed_levels,
    lambda bundle: bundle.imported,
    lambda bundle: bundle_files(bundle.layers),
    lambda bundle: bundle.factors,
    lambda bundle: bundle.examples(0, bundle.layers[-1]),
    lambda bundle: bundle.histogram(0, bundle.layers[0]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


@fuzzed()
@given(mutated((DEFAULT / "manifest.json").read_bytes()))
def test_a_manifest_with_other_bytes_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    read = answer(read_manifest, folder)
    assert read is None or content == (DEFAULT / "manifest.json").read_bytes()


@fuzzed()
@example(MANIFESTS["default"] | {"files": {}})  # of 2,000 factors, beside a table of 40
@given(mutated_json(MANIFESTS["default"]))
def test_a_manifest_that_somebody_sealed_himself(folder: Path, made_up: Path, record: Any) -> None:
    if isinstance(record, dict):
        try:
            record["manifest_sha256"] = manifest_checksum(record)
            content = canonical_json(record)
        except ValueError:  # what no JSON can hold: NaN, halves of letters
            content = written(record)
    else:
        content = written(record)
    copy = folder / "sealed"
    if not copy.exists():
        shutil.copytree(made_up / "default", copy)
    (copy / "manifest.json").write_bytes(content)
    bundle = answer(Bundle.open, copy)
    answer(Bundle.verify, Bundle(copy, {}))
    for part in PARTS if bundle is not None else []:
        answer(part, bundle)


@fuzzed()
@example({"format_version": 1, "model": "\ud800"})  # half of a letter, which msgspec can't quote
@given(mutated_json({"format_version": 1, "model": {"layers": [0, 3]}}))
def test_a_draft_of_a_manifest(record: Any) -> None:
    if isinstance(record, dict):
        answer(Manifest.of_draft, record)


SECTIONS = {
    name: (DEFAULT / "evidence" / f"{name}.json").read_text() for name in ("levels", "paper")
}


@pytest.mark.parametrize("name", SECTIONS)
@fuzzed()
@given(data=some.data())
def test_evidence_that_is_nearly_right(folder: Path, name: str, data: some.DataObject) -> None:
    content = data.draw(mutated_file(json.loads(SECTIONS[name])))
    (folder / f"{name}.json").write_bytes(content)
    section = answer(evidence.read_section, folder, name)
    if section is not None:
        report = answer(evidence.markdown, "title", [section])
        assert report is not None
        report.encode("utf-8", "surrogatepass")


@fuzzed()
@given(data=some.data())
def test_seals_that_are_nearly_right(folder: Path, data: some.DataObject) -> None:
    seals = folder / "seals"
    if not seals.exists():
        shutil.copytree(DEFAULT / "evidence", seals)
    valid = (DEFAULT / "evidence" / "seals.json").read_bytes()
    content = data.draw(mutated(valid) | mutated_file(json.loads(valid)))
    (seals / "seals.json").write_bytes(content)
    sealed = answer(evidence_seals.read_seals, seals)
    assert sealed is None or content == valid
    answer(evidence.check, seals)
