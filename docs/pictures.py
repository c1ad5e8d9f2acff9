"""Takes pictures of the running dashboard, and says where two sets of them differ.

    python docs/pictures.py [NAME ...]                       renew the pictures of these pages
    python docs/pictures.py --all FOLDER [--root CHECKOUT]   every page, 2 widths, light and dark
    python docs/pictures.py --site FOLDER                    the built pages of this documentation
    python docs/pictures.py --compare BEFORE AFTER           share of pixels that differ, by page

A server of its own shows artifacts/default, and a real Chromium looks at it. Nothing is clicked:
every view is a link. A picture is taken once two in a row are the same. ``--root`` takes those of
another checkout, with the Python of its ``.venv`` where it has one.
"""

import argparse
import contextlib
import http.server
import io
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TEXT = "He+left+the+bank+by+the+river+and+went+to+the+bank+for+a+loan."
STORY = (
    "For+the+first+time+in+thirty+years+the+frigate+and+the+other+ships+of+the+navy"
    "+left+the+harbor."
)
# The pictures that the pages show: link, and which part of it, from and to so many pixels.
SHOWN = {
    "home": ("", 0, 900),
    "factor": ("Factor?factor=1278", 0, 900),
    "context": ("Factor?factor=1278&part=context", 0, 1000),
    "random": ("Random_by_level?seed=3&level=mid", 0, 900),
    "saliency": ("Curves_and_saliency?factors=1278&factor=1278&layer=4", 1480, 2300),
    "search": ("Search?q=river", 0, 800),
    "senses": ("Word_senses?word=well", 0, 1000),
    "text": (f"Your_text?text={TEXT}", 0, 1100),
    "map": ("Map", 0, 1000),
    "compare": ("Compare?factor=30", 0, 900),
    "labels": ("Labels", 0, 800),
    "evidence": ("Evidence", 0, 1100),
    "origins_sense": (f"Origins?text={STORY}&token=3&layer=4&factor=1278", 300, 1300),
    "origins_pattern": (f"Origins?text={STORY}&token=5&layer=3&factor=436", 300, 1300),
    "origins_topic": (f"Origins?text={STORY}&token=1&layer=6&factor=1153", 300, 1300),
}
# Every page, and every part of the page that has parts.
EVERY = {name: link for name, (link, *_) in SHOWN.items()} | {
    f"factor_{part}": f"Factor?factor=30&part={part}"
    for part in ("random", "contrast", "layers", "corpus", "similar", "effect")
}
EVERY |= {"origins": f"Origins?text={TEXT}", "gallery": "Gallery"}
EVERY["basket"] = "Basket?basket=30.2_31.4_177.6"
# Pages of the documentation, one of each kind.
SITE = (
    *("index", "start/first_ten_minutes", "how_to/your_text", "reference/command_line"),
    *("reference/python", "reference/numbers/level", "reference/bundle/tables", "why/evidence"),
    *("why/speed/dashboard", "decisions/index", "decisions/2026-11-26-docs-generator"),
    *("architecture", "glossary", "contributing"),
)
WIDTHS = (1400, 400)
SCHEMES = ("light", "dark")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
IDLE = """() => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState
    === "notRunning" && !document.querySelector("[data-testid=stSkeleton]")"""
WAIT = 400_000  # milliseconds


@contextlib.contextmanager
def dashboard(root: Path) -> Iterator[str]:
    """Run the dashboard of a checkout on artifacts/default; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = root / ".venv/bin/python"
    command = [str(own) if own.is_file() else sys.executable, "-m", "streamlit", "run"]
    options = {
        "server.headless": "true",
        "server.port": str(port),
        "server.address": "127.0.0.1",
        "server.fileWatcherType": "none",
    }
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, str(root / "dashboard.py"), *(f"--{k}={v}" for k, v in options.items())],
        cwd=root,
        env=os.environ
        | {"PYTHONPATH": str(root), "TFACTORS_BUNDLE": str(root / "artifacts/default")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()  # noqa: S310
                break
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def picture(page: Page) -> Image.Image:
    """Return a picture of a page that has come to rest: two in a row are the same."""
    last = b""
    for _ in range(20):
        shot = page.screenshot(animations="disabled", caret="hide")
        if shot == last:
            break
        last = shot
        page.wait_for_timeout(400)
    return Image.open(io.BytesIO(last)).convert("RGB")


def look(
    browser: Browser, address: str, link: str, width: int, height: int, scheme: str = "light"
) -> Image.Image:
    """Return a picture of one page of the dashboard, ``width`` × ``height`` pixels."""
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page.goto(f"{address}/{link}")
    page.wait_for_function(IDLE, timeout=WAIT)
    shot = picture(page)
    page.close()
    return shot


def renew(browser: Browser, names: Sequence[str]) -> None:
    """Take the pictures that these pages and the README show."""
    folder = DOCS / "pictures"
    folder.mkdir(exist_ok=True)
    with dashboard(ROOT) as address:
        for name in names or SHOWN:
            link, top, bottom = SHOWN[name]
            shot = look(browser, address, link, 1400, bottom).crop((0, top, 1400, bottom))
            shot.save(folder / f"{name}.webp", quality=82, method=6)
            if name == "factor":
                shot.quantize(256, dither=Image.Dither.NONE).save(
                    DOCS / "screenshot.png", optimize=True
                )
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {size / 1e6:.2f} MB")


def take_every_page(browser: Browser, root: Path, folder: Path) -> None:
    """Take every page of the dashboard at both widths, in light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    with dashboard(root) as address:
        for name, link in EVERY.items():
            for width in WIDTHS:
                for scheme in SCHEMES:
                    shot = look(browser, address, link, width, 2000, scheme)
                    shot.save(folder / f"{name}-{width}-{scheme}.png")
            print(name, flush=True)


def take_site(browser: Browser, folder: Path) -> None:
    """Take some of the built pages, from top to bottom, and say which of all pages is too wide."""
    built = DOCS / "_build/html"
    folder.mkdir(parents=True, exist_ok=True)
    handler = partial(_Silent, directory=str(built))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for width in WIDTHS:
        for scheme in SCHEMES:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            for name in SITE:
                page.goto(f"{address}/{name}.html")
                shot = folder / f"{name.replace('/', '__')}-{width}-{scheme}.png"
                page.screenshot(path=shot, full_page=True)
            page.close()
        page = browser.new_page(viewport={"width": width, "height": 900})
        for path in sorted(built.rglob("*.html")):
            page.goto(f"{address}/{path.relative_to(built)}", wait_until="domcontentloaded")
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                print(f"{path.relative_to(built)} at {width}: {wide} pixels wide")
        page.close()
    server.shutdown()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def compare(before: Path, after: Path) -> None:
    """Print the share of pixels that differ, of every picture that both folders have."""
    for path in sorted(before.glob("*.png")):
        other = after / path.name
        if not other.is_file():
            print(f"{path.stem:28} missing")
            continue
        one, two = (np.asarray(Image.open(file).convert("RGB"), np.int16) for file in (path, other))
        if one.shape != two.shape:
            print(f"{path.stem:28} another size: {one.shape} and {two.shape}")
            continue
        distance = np.abs(one - two).max(axis=2)
        rows = np.flatnonzero((distance > 0).any(axis=1))
        where = f"rows {rows[0]} to {rows[-1]}" if rows.size else ""
        print(f"{path.stem:28} {(distance > 0).mean():9.4%} {where}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SHOWN))
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="CHECKOUT")
    parser.add_argument("--site", type=Path, metavar="FOLDER")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args()
    if options.compare:
        compare(*options.compare)
        return
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        parser.error(f"no browser: install chromium, or set CHROMIUM; looked for {NAMES}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        if options.all:
            take_every_page(browser, options.root.resolve(), options.all)
        elif options.site:
            take_site(browser, options.site)
        else:
            renew(browser, options.names)
        browser.close()


if __name__ == "__main__":
    main()
