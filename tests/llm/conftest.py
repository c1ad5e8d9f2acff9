"""A made-up bundle of its own for each test, and a command line that asks a scripted model."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_llm import ScriptedModel
from synthetic_bundle import write_synthetic_bundle

from tfactors.cli import main
from tfactors.llm import endpoint

Label = Callable[..., int]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "bundle"
    write_synthetic_bundle(folder, factors=12, layers=2)
    return folder


@pytest.fixture
def bundle(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def label_of() -> Callable[[Path, pytest.MonkeyPatch], Label]:
    """The ``label`` below, of any bundle."""
    return _label_of


@pytest.fixture
def label(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Label:
    """Run ``tfactors label`` without a key, with waits too short to notice."""
    return _label_of(bundle, monkeypatch)


def _label_of(bundle: Path, patch: pytest.MonkeyPatch) -> Label:
    for name in endpoint.KEYS:
        patch.delenv(name, raising=False)
    patch.setattr(endpoint, "FIRST_WAIT", 0.001)
    patch.setattr(endpoint, "LONGEST_WAIT", 0.01)
    patch.delenv("SSL_CERT_FILE", raising=False)
    patch.setenv("SSL_CERT_DIR", str(bundle))  # no certificates are read: nothing here is TLS
    patch.setattr("os.fsync", lambda file: None)  # nobody pulls the plug

    def run(model: ScriptedModel, *options: str) -> int:
        where = ["--endpoint", model.address, "--llm", "scripted", "--quiet"]
        return main(["label", str(bundle), *where, *options])

    return run
