"""A bundle of the hub, fetched where the dashboard is started, in a real Chromium."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from browsing import Server, until_healthy, visiting
from new_processes import free_port
from playwright.sync_api import Browser
from synthetic_bundle import write_synthetic_bundle
from tiny_hub import Reader, serving


def test_the_dashboard_opens_a_bundle_of_the_hub_under_its_name(
    browser: Browser, tmp_path: Path
) -> None:
    shared = tmp_path / "hub/datasets/me/bundle"
    write_synthetic_bundle(shared, layers=2, factors=6, windows=20, examples=3, title="From afar")
    with serving(tmp_path / "hub") as hub:
        open_from(Reader(hub, tmp_path / "cache"), browser)


def open_from(reader: Reader, browser: Browser) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tfactors", "dashboard", "hf:me/bundle", "--port", str(port)]
    process = subprocess.Popen(command, env=reader.environment(), start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        until_healthy(process, address)
        with visiting(browser, Server(address, process)) as visit:
            visit.open("/Factor?bundle=hf%3Ame%2Fbundle&factor=3")
            visit.shows("Factor 3 at layer")
            visit.query("bundle=hf")
            visit.open("/Evidence")
            visit.shows("tfactors evaluate hf:me/bundle")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)
