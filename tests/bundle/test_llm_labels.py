"""Labels by a language model are sealed as they come, and what is damaged or foreign is named."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from model_answers import answer, put_labels
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle, BundleError, llm_labels
from tfactors.bundle.llm_labels import SEAL, TABLE
from tfactors.bundle.writing import write_manifest
from tfactors.cli import main


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "bundle"
    write_synthetic_bundle(folder, factors=8, layers=2)
    return folder


@pytest.fixture
def bundle(small: Path, tmp_path: Path) -> Bundle:
    folder = Path(shutil.copytree(small, tmp_path / "bundle"))
    put_labels(folder, {0: "rivers", 3: "armies"})
    return Bundle.open(folder)


def test_what_is_written_is_read_again_and_anybody_can_read_it(bundle: Bundle) -> None:
    rows = llm_labels.read(bundle.path, bundle.about)
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    assert len(rows) == 8
    table = pq.read_table(bundle.path / TABLE).to_pandas()
    scored = table[table["task"] == "score"]
    assert scored["score"].tolist() == pytest.approx([0.85, 0.85])
    assert table["score"].isna().sum() == 2
    bundle.verify()


def test_a_flipped_byte_in_the_table_or_its_seal_is_named(bundle: Bundle) -> None:
    for name in (TABLE, SEAL):
        whole = (bundle.path / name).read_bytes()
        for at in (*range(0, len(whole), 97), len(whole) - 1):
            raw = bytearray(whole)
            raw[at] ^= 1
            (bundle.path / name).write_bytes(raw)
            with pytest.raises(BundleError, match=r"^llm_labels\.(parquet|seal\.json): ") as raised:
                bundle.verify()
            assert "\n" not in str(raised.value)
        (bundle.path / name).write_bytes(whole)
    bundle.verify()


def test_a_file_of_the_two_that_is_missing_is_named(bundle: Bundle) -> None:
    put_labels(bundle.path, {0: "rivers"})  # there was one before
    (bundle.path / TABLE).rename(bundle.path / "away")
    with pytest.raises(BundleError, match=r"^llm_labels.parquet: missing, and its seal is there"):
        llm_labels.read(bundle.path, bundle.about)
    (bundle.path / "away").rename(bundle.path / TABLE)
    (bundle.path / SEAL).unlink()
    with pytest.raises(BundleError, match=r"^llm_labels.parquet: has no seal in llm_labels.seal"):
        bundle.verify()


def test_a_kill_between_seal_and_table_leaves_the_table_of_before(bundle: Bundle) -> None:
    before = (bundle.path / TABLE).read_bytes()
    rows = llm_labels.read(bundle.path, bundle.about)
    llm_labels.write(bundle.path, bundle.about, rows[:-1])
    (bundle.path / TABLE).write_bytes(before)  # as if only the seal had been written
    assert llm_labels.read(bundle.path, bundle.about) == rows
    for name in (TABLE, SEAL):
        (bundle.path / name).unlink()
    llm_labels.write(bundle.path, bundle.about, rows)
    (bundle.path / TABLE).unlink()  # the very first answer
    assert llm_labels.read(bundle.path, bundle.about) == []


def test_labels_of_another_build_are_no_labels_of_this_one(bundle: Bundle) -> None:
    write_manifest(bundle.path, bundle.manifest | {"title": "Another"})
    with pytest.raises(BundleError, match="is about another build of this bundle"):
        Bundle.open(bundle.path).verify()


WRONG = {
    "factor": 8,
    "layer": 5,
    "task": "praise",
    "model": "",
    "text": "two\nlines",
    "date": "yesterday",
    "prompt_sha256": "abc",
    "answer": "x" * 3000,
    "strong": None,
    "silent_fit": 11,
    "other": 0,
}


@pytest.mark.parametrize("field", WRONG)
def test_a_row_that_means_nothing_is_neither_written_nor_read(bundle: Bundle, field: str) -> None:
    row = answer(0, 0, "shuffled", "a label", (5, 5, 0))
    with pytest.raises(BundleError, match=r"^llm_labels.parquet: row 0: "):
        llm_labels.write(bundle.path, bundle.about, [replace(row, **{field: WRONG[field]})])
    with pytest.raises(BundleError, match="rows do not ascend"):
        llm_labels.write(bundle.path, bundle.about, [row, row])
    bundle.verify()


def test_a_bundle_without_labels_is_what_it_was(small: Path, capsys) -> None:
    opened = Bundle.open(small)
    assert llm_labels.read(small, opened.about) == []
    opened.verify()
    assert main(["verify", str(small)]) == 0
    assert "language" not in capsys.readouterr().out
