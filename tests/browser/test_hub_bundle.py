"""Bundles of the hub, one and all of an owner, in a real Chromium."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browsing import Server, Visit, until_healthy, visiting
from new_processes import free_port
from playwright.sync_api import Browser
from synthetic_bundle import write_synthetic_bundle
from tiny_hub import Reader, serving


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    for name, title in (("bundle", "From afar"), ("another", "From elsewhere")):
        folder = tmp_path / "hub/datasets/me" / name
        write_synthetic_bundle(folder, layers=2, factors=6, windows=20, examples=3, title=title)
    (tmp_path / "hub/datasets/me/texts").mkdir()
    (tmp_path / "hub/datasets/me/texts/manifest.json").write_text("{}")  # of something else
    with serving(tmp_path / "hub") as hub:
        yield Reader(hub, tmp_path / "cache")


def test_the_dashboard_opens_a_bundle_of_the_hub_under_its_name(
    reader: Reader, browser: Browser
) -> None:
    with visiting_dashboard(reader, browser, "hf:me/bundle") as visit:
        visit.open("/Factor?bundle=hf%3Ame%2Fbundle&factor=3")
        visit.shows("Factor 3 at layer")
        visit.query("bundle=hf")
        visit.open("/Evidence")
        visit.shows("tfactors evaluate hf:me/bundle")


def test_the_gallery_of_an_owner_fetches_a_bundle_when_it_is_opened(
    reader: Reader, browser: Browser
) -> None:
    with visiting_dashboard(reader, browser, "hf:me") as visit:
        visit.open("/Gallery")
        visit.shows("2 bundles")
        visit.shows("hf:me/another, open now")
        tables = [name for name in reader.fetched() if name == "factors.parquet"]
        assert len(tables) == 1  # of the one that every page has open
        visit.page.get_by_role("link", name="From afar").click()
        visit.query("bundle=hf%3Ame%2Fbundle")
        visit.page.wait_for_function("document.title.startsWith('Home')")
        visit.idle()
        tables = [name for name in reader.fetched() if name == "factors.parquet"]
        assert len(tables) == 2


@contextmanager
def visiting_dashboard(reader: Reader, browser: Browser, source: str) -> Iterator[Visit]:
    """Serve what the source names as a reader would, and visit it."""
    port = free_port()
    command = [sys.executable, "-m", "tfactors", "dashboard", source, "--port", str(port)]
    reader.hub.asked.clear()
    process = subprocess.Popen(command, env=reader.environment(), start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        until_healthy(process, address)
        with visiting(browser, Server(address, process)) as visit:
            yield visit
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)
