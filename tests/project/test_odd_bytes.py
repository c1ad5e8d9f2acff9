"""Bytes of a command line that are not UTF-8: names of folders, titles and questions."""

import shutil
from pathlib import Path

import pytest
from synthetic_bundle import write_synthetic_bundle
from tiny_site import write_tiny_site

from tfactors.cli import main
from tfactors.stages.settings import with_changes

ODD = "caf\udce9"  # é as older file systems have it
SAID = "its path has the byte 0xe9, which is not UTF-8; rename it"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    write_synthetic_bundle(folder, factors=10, layers=2, examples=3, windows=20)
    return folder


def said(capsys: pytest.CaptureFixture, *line: object) -> str:
    """What a command says where it ends with status 2."""
    capsys.readouterr()
    assert main([str(word) for word in line]) == 2
    (only,) = capsys.readouterr().err.splitlines()
    return only


@pytest.mark.parametrize("command", ["info", "verify", "publish"])
def test_a_bundle_in_a_folder_that_is_not_utf_8_is_refused_in_one_line(
    command: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / ODD / "bundle"
    shutil.copytree(bundle, folder)
    more = ["--out", tmp_path / "site"] if command == "publish" else []
    assert SAID in said(capsys, command, folder, *more)


def test_nothing_is_written_into_a_folder_that_is_not_utf_8(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out, text = tmp_path / ODD, tmp_path / "my.txt"
    text.write_text("Some words.")
    assert SAID in said(capsys, "build", text, "--out", out, "--quiet")
    write_tiny_site(tmp_path / "site")
    assert SAID in said(capsys, "import-site", tmp_path / "site", "--out", out, "--quiet")
    assert not out.exists()


@pytest.mark.model
def test_a_model_and_an_autoencoder_are_not_called_damaged_for_their_path(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from tiny_autoencoders import weights, write_saelens
    from tiny_model import write_tiny_bert

    text, out = tmp_path / "my.txt", tmp_path / "out"
    text.write_text("Some words.")
    model = write_tiny_bert(tmp_path / "model", width=16)
    shutil.copytree(model, tmp_path / ODD)
    assert SAID in said(capsys, "build", text, "--model", tmp_path / ODD, "--out", out)
    sae = write_saelens(tmp_path / f"sae-{ODD}", "standard", weights("standard", 20, 16))
    assert SAID in said(capsys, "import", sae, text, "--model", model, "--out", out)


def test_a_title_holds_a_replacement_character_for_such_a_byte() -> None:
    assert with_changes("quick", title=ODD).title == "caf\N{REPLACEMENT CHARACTER}"
