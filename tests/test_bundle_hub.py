"""A bundle on the hub is fetched through the hub's client, and trusted no further than its sums."""

import shutil

import huggingface_hub
import pytest
from huggingface_hub.errors import RepositoryNotFoundError
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle, BundleError
from tfactors.cli import main


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub of one repository of models, ``me/bundle``, and what was asked of it."""
    folder = tmp_path / "cache"
    write_synthetic_bundle(folder, layers=2, factors=6, windows=20, examples=3)
    asked = []

    def snapshot_download(name, repo_type, allow_patterns):
        asked.append((name, repo_type))
        if name == "far/away":
            raise ConnectionError("no route to the hub")
        if (name, repo_type) != ("me/bundle", "model"):
            error = RepositoryNotFoundError.__new__(RepositoryNotFoundError)
            raise error
        assert "*.parquet" in allow_patterns
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return folder, asked


def test_a_bundle_of_the_hub_opens_by_its_name(hub):
    folder, asked = hub
    bundle = Bundle.open("hf:me/bundle")
    assert bundle.path == folder
    assert asked == [("me/bundle", "dataset"), ("me/bundle", "model")]
    assert main(["info", "hf:me/bundle"]) == 0


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_file_that_is_not_the_manifests_is_named(hub, damage):
    path = hub[0] / "importance.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.unlink()
    if damage == "changed":
        path.write_bytes(raw)
    with pytest.raises(BundleError, match=r"hf:me/bundle: .*importance\.parquet"):
        Bundle.open("hf:me/bundle")


@pytest.mark.parametrize(
    ("name", "said"),
    [("hf:no/such", "no such repository"), ("hf:far/away", "no route"), ("hf:../etc", "expected")],
)
def test_what_cannot_be_fetched_is_said_in_one_line(hub, name, said, capsys):
    assert main(["dashboard", name]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_the_dashboard_is_given_the_fetched_folder(hub, monkeypatch):
    import subprocess

    started = []
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: started.append(k["env"]))
    assert main(["dashboard", "hf:me/bundle"]) == 0
    assert started[0]["TFACTORS_BUNDLE"] == str(hub[0].resolve())


def test_a_repository_without_a_manifest_is_no_bundle(hub):
    shutil.rmtree(hub[0])
    hub[0].mkdir()
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.open("hf:me/bundle")
