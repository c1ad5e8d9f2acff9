"""Turns a bundle into a dashboard that was just started, and finds the browser to look at it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# Nothing runs, and nothing on the page is older than its controls.
IDLE = """
() => !document.querySelector('[data-testid=stMain] [data-stale=true]')
  && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
"""
# What jumps while a page loads, by the browser's own count; not what a click or a key moved.
SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => window.shifts.push(
  ...list.getEntries().filter(e => !e.hadRecentInput).map(e => e.value)
)).observe({type: 'layout-shift', buffered: true});
"""


@contextlib.contextmanager
def serving(bundle: Path, root: Path = ROOT) -> Iterator[tuple[str, subprocess.Popen, float]]:
    """Serve a bundle with the dashboard of a checkout.

    Yields the address, the process, and the seconds until the server answers.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "server.headless": "true",
        "server.port": str(port),
        "server.address": "127.0.0.1",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(root / "dashboard.py")]
        + [f"--{name}={value}" for name, value in options.items()],
        cwd=root,
        env=os.environ | {"TFACTORS_BUNDLE": str(bundle.resolve()), "PYTHONPATH": str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            if process.poll() is not None:
                sys.exit("the server ended before it answered")
            time.sleep(0.02)
        yield address, process, time.perf_counter() - started
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def memory(process: int) -> float:
    """Return the resident memory of a process and its children in MB (Linux)."""
    folder = Path(f"/proc/{process}")
    pages = int((folder / "statm").read_text().split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    children = (folder / f"task/{process}/children").read_text().split()
    return resident + sum(memory(int(child)) for child in children)


def browser_path() -> str:
    """Return the browser's path; end with a word on how to get one where there is none."""
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        sys.exit(f"no browser: install chromium, or set CHROMIUM; looked for {', '.join(NAMES)}")
    return executable
