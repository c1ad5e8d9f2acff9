"""Evidence is sealed when it is written, and a byte that changes after that is named."""

from pathlib import Path

import pytest
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle, BundleError, evidence
from tfactors.bundle.evidence import Section
from tfactors.bundle.evidence_seals import FILE
from tfactors.cli import main


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("sealed") / "bundle"
    write_synthetic_bundle(folder, factors=8, layers=2)
    return Bundle.open(folder)


@pytest.fixture
def measured(bundle: Bundle) -> Path:
    """The folder of evidence: two sections and the report."""
    folder = evidence.folder_of(bundle.path)
    for path in folder.glob("*"):
        path.unlink()
    for name in ("fidelity", "levels"):
        evidence.write_section(folder, section(name, bundle))
    evidence.write_report(folder, bundle.title, evidence.read_all(folder))
    return folder


def section(name: str, bundle: Bundle, found: str = "It is so.") -> Section:
    return Section(name, name.title(), "What was done.", (found,), (), bundle.fingerprint, 1.0)


def flip(path: Path, at: int) -> None:
    """Turn one letter or digit into another, so that a reader of the file notices nothing."""
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("name", ["fidelity.json", "levels.json", evidence.REPORT, FILE])
def test_a_flipped_byte_in_any_file_of_evidence_is_named(
    name: str, bundle: Bundle, measured: Path
) -> None:
    bundle.verify()
    whole = (measured / name).read_bytes()
    for at in (*range(0, len(whole), 37), len(whole) - 1):
        flip(measured / name, at)
        with pytest.raises(BundleError, match=rf"^evidence/{name}: ") as raised:
            bundle.verify()
        assert "\n" not in str(raised.value)
        (measured / name).write_bytes(whole)
    bundle.verify()


def test_a_file_that_is_missing_or_was_never_sealed_is_named(
    bundle: Bundle, measured: Path
) -> None:
    (measured / "levels.json").rename(measured / "stability.json")
    with pytest.raises(BundleError, match=r"^evidence/levels\.json: missing, and seals\.json has"):
        bundle.verify()
    (measured / "levels.json").write_bytes((measured / "stability.json").read_bytes())
    with pytest.raises(BundleError, match=r"^evidence/stability\.json: has no seal"):
        bundle.verify()


def test_writing_one_section_blesses_no_other(bundle: Bundle, measured: Path) -> None:
    flip(measured / "levels.json", 200)
    assert not evidence.is_intact(measured, "levels")
    evidence.write_section(measured, section("fidelity", bundle, "Something else."))
    assert evidence.is_intact(measured, "fidelity")
    assert not evidence.is_intact(measured, "levels")
    (measured / FILE).write_text("{}")
    evidence.write_section(measured, section("fidelity", bundle))
    assert not evidence.is_intact(measured, "levels")


def test_evidence_of_before_there_were_seals_opens_and_is_sealed_by_the_next_evaluation(
    bundle: Bundle, measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (measured / FILE).unlink()
    assert main(["verify", str(bundle.path)]) == 0
    assert "its evidence has no seals, which 'tfactors evaluate' sets" in capsys.readouterr().out
    evidence.write_section(measured, section("fidelity", bundle, "Measured anew."))
    assert main(["verify", str(bundle.path)]) == 0
    assert "its evidence as it was written" in capsys.readouterr().out
    flip(measured / "levels.json", 200)
    assert main(["verify", str(bundle.path)]) == 2
    assert capsys.readouterr().err.startswith("tfactors: evidence/levels.json: changed since")


def test_what_is_written_again_as_it_is_leaves_the_files_alone(
    bundle: Bundle, measured: Path
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in measured.iterdir()}
    evidence.write_section(measured, section("levels", bundle))
    evidence.write_report(measured, bundle.title, evidence.read_all(measured))
    assert {path.name: path.stat().st_mtime_ns for path in measured.iterdir()} == before
