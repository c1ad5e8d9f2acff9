"""A real Chromium on real servers: what the tests of the pages do with both."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from new_processes import free_port
from playwright.sync_api import Browser, Page, Playwright, Request, expect

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ATTACK = "</style><img src=http://evil.invalid/x onerror=alert(1)><script>alert(2)</script>"
WAIT = 60_000  # milliseconds: generous, because nothing here waits a fixed time


def executable() -> str:
    """The browser's path, or an error that says how to get one."""
    wanted = os.environ.get("CHROMIUM")
    found = wanted or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.fail(f"no browser: install chromium, or set CHROMIUM; looked for {NAMES}")
    return found


@dataclass
class Server:
    """A dashboard of its own, which no browser has spoken to yet."""

    address: str
    process: subprocess.Popen

    def maps(self) -> str:
        """The files that the server has in memory, as the kernel lists them."""
        return Path(f"/proc/{self.process.pid}/maps").read_text()


@dataclass
class Visit:
    """One reader: a page of the browser, and what left it."""

    page: Page
    address: str
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)
        self.idle()

    def idle(self) -> None:
        """Wait until the app has drawn everything."""
        app = self.page.locator("[data-testid=stApp]")
        expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=WAIT)
        expect(self.page.locator("[data-testid=stSkeleton]")).to_have_count(0, timeout=WAIT)

    def shows(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator("[data-testid=stMain]")).to_contain_text(text, timeout=WAIT)

    def query(self, pattern: str) -> None:
        expect(self.page).to_have_url(re.compile(pattern), timeout=WAIT)


def until_healthy(process: subprocess.Popen, address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
            return
        time.sleep(0.02)  # between two questions; nothing waits longer than the server needs
    pytest.fail("the server did not start within a minute")


@contextlib.contextmanager
def serve(bundles: Path, port: int | None = None) -> Iterator[Server]:
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py")]
    options = {
        "server.headless": "true",
        "server.port": str(port),
        "server.address": "127.0.0.1",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    process = subprocess.Popen(
        command + [f"--{name}={value}" for name, value in options.items()],
        cwd=ROOT,
        env=os.environ | {"TFACTORS_ARTIFACTS": str(bundles), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until_healthy(process, address)
        yield Server(address, process)
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def visiting(browser: Browser, server: Server, **options: object) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, **options)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    visit = Visit(page, server.address)

    def seen(request: Request) -> None:
        if not request.url.startswith((server.address, "data:", "blob:")):
            visit.requests.append(request.url)

    page.on("request", seen)
    page.on("dialog", lambda dialog: (visit.dialogs.append(dialog.message), dialog.dismiss()))
    yield visit
    context.close()


def launched(playwright: Playwright) -> Browser:
    """The browser, started."""
    return playwright.chromium.launch(executable_path=executable(), args=FLAGS)


def unharmed(reader: Visit) -> None:
    """Nothing came from outside, no script ran, no style of a reader's reached the page."""
    assert reader.requests == []
    assert reader.dialogs == []
    page = reader.page
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert (
        page.locator("[data-testid=stApp] img[src*=evil], [data-testid=stHtml] script").count() == 0
    )
