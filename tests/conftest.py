"""What all tests share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Keep the main module: a page that is run by a test takes its place and leaves it there."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two made-up bundles to read: 40 factors, and 20 of another seed."""
    from synthetic_bundle import write_synthetic_bundle

    folder = tmp_path_factory.mktemp("artifacts")
    write_synthetic_bundle(folder / "default", title="The first")
    write_synthetic_bundle(folder / "other", factors=20, seed=1, title="The second")
    return folder


@pytest.fixture(scope="session")
def over_minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one bundle to read: made-up factors over a real model, for explanations."""
    from minilm_bundle import write_minilm_bundle

    folder = tmp_path_factory.mktemp("over_minilm")
    write_minilm_bundle(folder / "default")
    return folder
