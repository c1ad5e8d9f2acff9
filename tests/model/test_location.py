"""A bundle finds its model again: from any working directory, moved along, or told where it is."""

import json
import shutil
from pathlib import Path

import pytest
from opened_page import open_page
from tiny_model import address_texts, write_tiny_bert

import tfactors as tf
from tfactors.cli import main
from tfactors.explain.encoder import FactorEncoder
from tfactors.model.location import model_record, shared_path

pytestmark = pytest.mark.model

SMALL = [
    "--preset", "quick", "--factors", "16", "--penalty", "1", "--max-tokens", "500",
    "--training-tokens", "300", "--window-length", "24", "--importance-k", "10", "--quiet",
]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder with a model, and a bundle that was built there with relative names."""
    folder = tmp_path_factory.mktemp("project")
    write_tiny_bert(folder / "models" / "tiny")
    (folder / "text.txt").write_text(address_texts(1)[0][:3000], "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["build", "text.txt", "--model", "models/tiny", "--out", "out", *SMALL]) == 0
    return folder


@pytest.fixture
def moved(project, tmp_path) -> Path:
    """A copy of the bundle without its model."""
    shutil.copytree(project / "out", tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def test_a_model_in_a_relative_folder_is_found_from_any_working_directory(
    project, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    bundle = tf.Bundle.open(project / "out")
    assert bundle.manifest["model"]["name"] == "models/tiny"
    assert len(tf.decompose(bundle, "The state of the union.").residuals)
    shutil.copytree(project, tmp_path / "copy")
    assert FactorEncoder.from_bundle(tf.Bundle.open(tmp_path / "copy" / "out")).layers


def test_no_path_of_the_machine_is_written_into_a_bundle(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    out, model = tmp_path / "absolute", str(project / "models" / "tiny")
    line = ["build", "text.txt", "--model", model, "--out", str(out), *SMALL]
    assert main(line) == 0
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert (manifest["model"]["name"], manifest["settings"]["model"]) == ("tiny", "tiny")
    assert manifest["title"].startswith("tiny on ")
    folder = manifest["model"].pop("folder")
    assert (out / folder).samefile(model)
    assert str(project) not in json.dumps(manifest)
    assert main(line) == 0  # the same build again is the one that is there
    monkeypatch.setattr(Path, "home", lambda: project)
    assert "folder" not in model_record(model, tmp_path / "outside the home")
    assert model_record("owner/model", out) == {"name": "owner/model"}
    assert shared_path("owner/model") == "owner/model"


def test_another_model_of_the_same_name_does_not_pass_for_the_one_that_was_built_with(
    project, tmp_path, capsys
):
    other = write_tiny_bert(tmp_path / "models" / "tiny", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        line = ["build", "text.txt", "--out", "out", *SMALL, "--model"]
        assert main([*line, "models/tiny"]) == 0
        patch.chdir(tmp_path)
        shutil.copy(project / "text.txt", tmp_path)
        shutil.copytree(project / "out", tmp_path / "out")
        assert main([*line, str(other)]) == 2
    assert "other settings (model" in capsys.readouterr().err


def test_a_model_that_was_left_behind_can_be_told(project, moved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle = tf.Bundle.open(moved)
    with pytest.raises(tf.InputError, match="is not there; say where it is with TFACTORS_MODEL"):
        FactorEncoder.from_bundle(bundle)
    monkeypatch.setenv("TFACTORS_MODEL", str(project / "models" / "tiny"))
    assert FactorEncoder.from_bundle(bundle).layers == [1, 2]
    other = write_tiny_bert(tmp_path / "other", seed=1)
    monkeypatch.setenv("TFACTORS_MODEL", str(other))
    with pytest.raises(tf.InputError, match="give the folder of that model in TFACTORS_MODEL"):
        FactorEncoder.from_bundle(bundle)


def test_the_dashboard_asks_for_the_folder_and_not_for_a_download(moved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFACTORS_BUNDLE", str(moved))
    app = open_page("pages/5_Your_text.py")
    assert not app.exception
    said = " ".join(m.value for m in app.markdown) + " ".join(c.value for c in app.code)
    assert "there is no model in" in said
    assert f"tfactors dashboard {tmp_path.name}/elsewhere --model FOLDER" in said
    assert "hf download" not in said


def test_the_dashboard_refuses_a_folder_that_holds_no_model(project, tmp_path, capsys):
    line = ["dashboard", str(project / "out"), "--model", str(tmp_path)]
    assert main(line) == 2
    assert "holds no config.json; give the folder of a model" in capsys.readouterr().err
