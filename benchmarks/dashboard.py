"""How fast the dashboard is, and how much memory it takes, in a real browser.

    python benchmarks/dashboard.py artifacts/default [--json FILE] [--steps 20]

For a bundle it prints, from a server of its own that was just started: the time from the first
request to the first content (the headline of the Factor page) and to the page drawn whole (list of
examples, curve and histogram), the median and the 95 % quantile of the time from a press of Next to
the next factor drawn whole, the median time of a search for a word of the bundle, and the memory of
the server with its children after that. The column "shift" is how much of that first page jumped
while it loaded (layout_shift.py measures every page, at two widths). Then 20 readers, each in a
session of their own, open another factor at the same moment, again and again: the median and 95 %
quantile of the time until their page is made, and how many pages failed. They speak Streamlit's own
protocol, because 20 browsers would measure themselves. Of the map: the seconds until its dots
stand, the times between two pictures while the mouse moves over the dots and while it draws an area
(median, 95 % quantile and longest), and the seconds from letting go to the list of what is in the
area. Where the bundle's model is installed, also the median time of a move of λ on a text of some
60 tokens, and the memory with the model.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from tfactors.bundle import Bundle

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# Drawn whole: the headline names the factor, the list and both charts stand, nothing runs.
DRAWN = """
factor => {
  const head = document.querySelector('[data-testid=stMain] .tf-over');
  return head && head.textContent.startsWith(`Factor ${factor} `)
    && document.querySelector('[data-testid=stMain] .tf-list li')
    && document.querySelectorAll('[data-testid=stVegaLiteChart] .marks').length >= 2
    && !document.querySelector('[data-testid=stMain] [data-stale=true]')
    && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning';
}
"""


FIRST = """
() => {
  const head = document.querySelector('[data-testid=stMain] .tf-over');
  return head && getComputedStyle(head).visibility === 'visible';
}
"""
IDLE = """
() => !document.querySelector('[data-testid=stMain] [data-stale=true]')
  && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
"""
SEARCHED = """
word => location.search.includes(`q=${word}`)
  && document.querySelector('[data-testid=stDataFrame] canvas')
  && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
"""
MOVED = """
before => location.search !== before
  && !document.querySelector('[data-testid=stMain] [data-stale=true]')
  && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
"""
LISTED = """
before => location.search !== before
  && document.querySelector('[data-testid=stMain] [data-testid=stDataFrame] canvas')
  && !document.querySelector('[data-testid=stMain] [data-stale=true]')
  && document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
"""
FRAMES = """
() => {
  const times = window.frames_seen = [];
  // Those of an earlier call end, when another list has taken the place of theirs.
  const seen = time => {
    if (times !== window.frames_seen) return;
    times.push(time);
    requestAnimationFrame(seen);
  };
  requestAnimationFrame(seen);
}
"""
# What jumps while a page loads, by the browser's own count; not what a click or a key moved.
SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => window.shifts.push(
  ...list.getEntries().filter(e => !e.hadRecentInput).map(e => e.value)
)).observe({type: 'layout-shift', buffered: true});
"""
READERS, ROUNDS = 20, 8
TEXT = "The bank raised its rates, and the river rose to the top of the bank. " * 4  # 60 tokens


@dataclass
class Result:
    """What was measured on one bundle; seconds and MB (10⁶ bytes)."""

    bundle: str
    factors: int
    server_start: float
    first_content: float
    first_whole: float
    next_median: float
    next_95: float
    search: float
    memory_mb: float
    crowd_median: float
    crowd_95: float
    crowd_errors: int
    map_marks: float
    map_list: float
    map_frame: float
    map_frame_95: float
    map_longest: float
    hover_frame: float
    hover_frame_95: float
    hover_longest: float
    first_shift: float
    penalty_move: float | None = None
    memory_with_model_mb: float | None = None


@contextlib.contextmanager
def serving(bundle: Path) -> Iterator[tuple[str, subprocess.Popen, float]]:
    """Start a server; yield its address, process and the seconds until it answers."""
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
        [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard.py")]
        + [f"--{name}={value}" for name, value in options.items()],
        cwd=ROOT,
        env=os.environ | {"TFACTORS_BUNDLE": str(bundle.resolve()), "PYTHONPATH": str(ROOT)},
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
    """Resident memory of a process and its children in MB (Linux)."""
    folder = Path(f"/proc/{process}")
    pages = int((folder / "statm").read_text().split()[1])
    own = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    children = (folder / f"task/{process}/children").read_text().split()
    return own + sum(memory(int(child)) for child in children)


def measure(bundle: Path, page: Page, steps: int) -> Result:
    """Measure one bundle."""
    factors = json.loads((bundle / "manifest.json").read_text())["dictionary"]["factors"]
    with serving(bundle) as (address, process, start):
        began = time.perf_counter()
        page.goto(f"{address}/Factor?factor=0")
        page.wait_for_function(FIRST, timeout=60_000)
        first = time.perf_counter() - began
        page.wait_for_function(DRAWN, arg="0", timeout=60_000)
        whole = time.perf_counter() - began
        page.wait_for_function(IDLE, timeout=60_000)
        shift = sum(page.evaluate("window.shifts"))
        times = []
        for factor in range(1, min(steps, factors - 2) + 1):
            began = time.perf_counter()
            page.get_by_role("button", name="Next").click()
            page.wait_for_function(DRAWN, arg=str(factor), timeout=60_000)
            times.append(time.perf_counter() - began)
        search = search_time(address, page, words_of(bundle))
        moved_map = map_times(address, page)
        used = memory(process.pid)
        # In a thread of its own, because Playwright has an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            crowd, errors = thread.submit(asyncio.run, crowd_times(address, factors)).result()
        moved = penalty_time(address, page)
        with_model = memory(process.pid) if moved is not None else None
    return Result(
        str(bundle), factors, start, first, whole, statistics.median(times), late(times), search,
        used, statistics.median(crowd), late(crowd), errors, *moved_map, shift, moved, with_model,
    )  # fmt: skip


def late(times: list[float]) -> float:
    """Return the 95 % quantile."""
    return sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]


def words_of(bundle: Path) -> list[str]:
    """Return eight words that factors of the bundle answer to."""
    words = Bundle.open(bundle).factors["words"]
    plain = [own[0] for own in words if len(own) and own[0].isascii() and own[0].isalpha()]
    distinct = list(dict.fromkeys(word.casefold() for word in plain))
    return distinct[:: max(len(distinct) // 8, 1)][:8]


async def crowd_times(address: str, factors: int) -> tuple[list[float], int]:
    """Let readers open factors all at once; return the seconds of each page, and the failures."""
    url = address.replace("http", "ws", 1) + "/_stcore/stream"
    times: list[float] = []
    failed = 0
    async with contextlib.AsyncExitStack() as open_:
        readers = [
            await open_.enter_async_context(connect(url, subprotocols=["streamlit"], max_size=None))
            for _ in range(READERS)
        ]
        for round_ in range(ROUNDS):
            asked = [
                page_time(reader, (round_ * READERS + place) * 7 % factors)
                for place, reader in enumerate(readers)
            ]
            for seconds, well in await asyncio.gather(*asked):
                failed += not well
                if round_:  # the first opens the session
                    times.append(seconds)
    return times, failed


async def page_time(reader: ClientConnection, factor: int) -> tuple[float, bool]:
    """Open a factor; return the seconds until its page is made, and whether it is without fault."""
    message = BackMsg()
    message.rerun_script.query_string = f"factor={factor}"
    message.rerun_script.page_name = "Factor"
    began = time.perf_counter()
    await reader.send(message.SerializeToString())
    well = True
    async with asyncio.timeout(60):
        while True:
            answer = ForwardMsg()
            data = await reader.recv()
            answer.ParseFromString(data if isinstance(data, bytes) else data.encode())
            kind = answer.WhichOneof("type")
            if kind == "delta" and answer.delta.new_element.WhichOneof("type") == "exception":
                well = False
            if kind == "script_finished":
                finished = answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                return time.perf_counter() - began, well and finished


def search_time(address: str, page: Page, words: list[str]) -> float:
    """Return the median seconds from Enter in the search box to the table."""
    page.goto(f"{address}/Search")
    page.wait_for_function(IDLE, timeout=60_000)
    times = []
    for word in words:
        page.get_by_role("textbox", name="Words, a label").fill(word)
        began = time.perf_counter()
        page.get_by_role("textbox", name="Words, a label").press("Enter")
        page.wait_for_function(SEARCHED, arg=word, timeout=60_000)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def map_times(address: str, page: Page) -> tuple[float, ...]:
    """Return the seconds until the map's dots stand and, after an area is drawn, its list; then
    those between two pictures while drawing and while moving over dots: median, 95 %, longest.
    """
    began = time.perf_counter()
    page.goto(f"{address}/Map")
    chart = page.locator("[data-testid=stVegaLiteChart]").first
    chart.locator(".marks").wait_for(timeout=60_000)
    marks = time.perf_counter() - began
    page.wait_for_function(IDLE, timeout=60_000)
    box = chart.bounding_box()
    assert box is not None
    hover = frames_while_moving(page, box["x"] + 100, box["y"] + 120)
    page.mouse.move(box["x"] + 100, box["y"] + 120)
    page.mouse.down()
    draw = frames_while_moving(page, box["x"] + 100, box["y"] + 120)
    before = page.evaluate("location.search")
    began = time.perf_counter()
    page.mouse.up()
    page.wait_for_function(LISTED, arg=before, timeout=60_000)
    listed = time.perf_counter() - began
    of_each = [(statistics.median(times), late(times), max(times)) for times in (draw, hover)]
    return marks, listed, *of_each[0], *of_each[1]


def frames_while_moving(page: Page, left: float, top: float) -> list[float]:
    """Return the seconds between two pictures while the mouse goes across and down a chart."""
    page.evaluate(FRAMES)
    for step in range(60):
        page.mouse.move(left + 8 * step, top + 3 * step)
    times = page.evaluate("window.frames_seen")
    return [(b - a) / 1000 for a, b in pairwise(times)]


def penalty_time(address: str, page: Page) -> float | None:
    """Return the median seconds from a step of λ to the text taken apart, or None: no model."""
    page.goto(f"{address}/Your_text?text={urllib.parse.quote(TEXT.strip())}")
    page.wait_for_function(IDLE, timeout=120_000)
    if page.get_by_text("This part of the page asks the model itself").count():
        return None
    page.get_by_text("Its factors against λ").wait_for(timeout=120_000)
    page.wait_for_function(IDLE, timeout=120_000)
    slider = page.locator(".st-key-control_penalty input[type=range]")
    slider.focus()
    times = []
    for _ in range(8):
        before = page.evaluate("location.search")
        began = time.perf_counter()
        slider.press("ArrowRight")
        page.wait_for_function(MOVED, arg=before, timeout=60_000)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def browser_path() -> str:
    """Return the browser's path; end with a word on how to get one where there is none."""
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        sys.exit(f"no browser: install chromium, or set CHROMIUM; looked for {', '.join(NAMES)}")
    return executable


def main() -> None:
    """Measure the bundles that are named, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=20, help="factors to step through")
    parser.add_argument("--json", type=Path, help="write the numbers to this file as well")
    options = parser.parse_args()
    executable = browser_path()
    results = []
    with sync_playwright() as playwright:
        for bundle in options.bundles:
            # A browser of its own, so that its cache is as cold as the server.
            browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.add_init_script(SHIFTS)
            results.append(measure(bundle, page, options.steps))
            browser.close()
    heads = ["start", "first", "whole", "next", "95%", "search", "λ", "20", "95%",
             "map", "list", "draw", "95%", "most", "hover", "95%", "most"]  # fmt: skip
    print(
        f"{'bundle':24} {'factors':>8}",
        *(f"{h:>7}" for h in heads),
        f"{'failed':>6} {'MB':>6} {'+model':>7} {'shift':>6}",
    )
    for r in results:
        seconds = (r.server_start, r.first_content, r.first_whole, r.next_median, r.next_95,
                   r.search, r.penalty_move, r.crowd_median, r.crowd_95,
                   r.map_marks, r.map_list, r.map_frame, r.map_frame_95, r.map_longest,
                   r.hover_frame, r.hover_frame_95, r.hover_longest)  # fmt: skip
        print(
            f"{r.bundle[-24:]:24} {r.factors:8,}",
            *(f"{'–' if s is None else f'{s:.2f}s':>7}" for s in seconds),
            f"{r.crowd_errors:6} {r.memory_mb:6.0f} {r.memory_with_model_mb or 0:7.0f} "
            f"{r.first_shift:6.3f}",
        )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(r) for r in results], indent=2) + "\n")


if __name__ == "__main__":
    main()
