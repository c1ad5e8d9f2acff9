"""One browser and as few servers as can be for all that is tested in a real Chromium.

Needs Chromium or Chrome (CHROMIUM names another one than the first that is found on the PATH).
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Server, Visit, launched, serve, visiting
from playwright.sync_api import Browser, sync_playwright


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what stands in this folder: ``-m "not browser"`` leaves it out."""
    item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = launched(playwright)
        yield running
        running.close()


@pytest.fixture(scope="session")
def server(made_up: Path) -> Iterator[Server]:
    with serve(made_up) as running:
        yield running


@pytest.fixture(scope="session")
def model_server(over_minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard of a bundle over MiniLM with its meanings: the only server with PyTorch in it."""
    from meanings import embed_meanings

    from tfactors.model.loading import MINILM_PACKAGE

    folder = tmp_path_factory.mktemp("embedded")
    shutil.copytree(over_minilm / "default", folder / "default")
    embed_meanings(folder / "default", MINILM_PACKAGE)
    with serve(folder) as running:
        yield running


@pytest.fixture
def cold_server(made_up: Path) -> Iterator[Server]:
    """A dashboard of its own, which no browser has spoken to yet."""
    with serve(made_up) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    with visiting(browser, server) as reader:
        yield reader
