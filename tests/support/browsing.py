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
from weakref import WeakKeyDictionary

import pytest
from new_processes import free_port
from playwright.sync_api import Browser, Dialog, Page, Playwright, Request, ViewportSize, expect

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
WINDOW = ViewportSize(width=1400, height=900)
WAIT = 60_000  # milliseconds: generous, because nothing here waits a fixed time


def executable() -> str:
    """The browser's path, or an error that says how to get one."""
    wanted = os.environ.get("CHROMIUM")
    found = wanted or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.fail(f"no browser: install chromium, or set CHROMIUM; looked for {NAMES}")
    return found


# Windows that readers have left, by browser and by the options that they were opened with.
_LEFT: WeakKeyDictionary[Browser, dict[str, list[Page]]] = WeakKeyDictionary()


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
        process.wait(WAIT / 1000)


@contextlib.contextmanager
def visiting(
    browser: Browser, server: Server, fresh: bool = False, **options: object
) -> Iterator[Visit]:
    """A reader who has not been here before, with the options of a context of the browser.

    A window that another reader left is taken where there is one, because it has compiled the
    scripts of the page already, which is most of what opening a page costs. A ``fresh`` one is for
    who changes the window itself: scripts of its own, requests that are held up.
    """
    left = _LEFT.setdefault(browser, {}).setdefault(repr(sorted(options.items())), [])
    if left and not fresh:
        page = left.pop()
    else:
        page = browser.new_context(viewport=WINDOW, **options).new_page()
        page.set_default_timeout(WAIT)
    visit = Visit(page, server.address)

    def seen(request: Request) -> None:
        if not request.url.startswith((server.address, "data:", "blob:")):
            visit.requests.append(request.url)

    def asked(dialog: Dialog) -> None:
        visit.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("request", seen)
    page.on("dialog", asked)
    try:
        yield visit
    except BaseException:
        fresh = True
        raise
    finally:
        page.remove_listener("request", seen)
        page.remove_listener("dialog", asked)
        if fresh:
            page.context.close()
        else:
            _forget(page)
            left.append(page)


def _forget(page: Page) -> None:
    """Leave a window as it was before anybody looked out of it."""
    for other in page.context.pages:
        if other is not page:
            other.close()
    if page.url.startswith("http"):
        page.evaluate("localStorage.clear(), sessionStorage.clear()")
    page.mouse.move(0, 0)
    page.goto("about:blank")
    page.context.clear_cookies()
    page.set_viewport_size(WINDOW)


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
