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
import json
import statistics
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from crowd import crowd_times
from playwright.sync_api import Page, sync_playwright
from served_dashboard import FLAGS, IDLE, SHIFTS, browser_path, memory, serving

from tfactors.bundle import Bundle

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


# The columns of the table that are seconds: the field of a result, and its heading.
SECONDS = {
    "server_start": "start",
    "first_content": "first",
    "first_whole": "whole",
    "next_median": "next",
    "next_95": "95%",
    "search": "search",
    "penalty_move": "λ",
    "crowd_median": "20",
    "crowd_95": "95%",
    "map_marks": "map",
    "map_list": "list",
    "map_frame": "draw",
    "map_frame_95": "95%",
    "map_longest": "most",
    "hover_frame": "hover",
    "hover_frame_95": "95%",
    "hover_longest": "most",
}


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
        map_seconds = map_times(address, page)
        used = memory(process.pid)
        # In a thread of its own, because Playwright has an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            crowd, errors = thread.submit(asyncio.run, crowd_times(address, factors)).result()
        moved = penalty_time(address, page)
        with_model = memory(process.pid) if moved is not None else None
    return Result(
        bundle=str(bundle),
        factors=factors,
        server_start=start,
        first_content=first,
        first_whole=whole,
        next_median=statistics.median(times),
        next_95=late(times),
        search=search,
        memory_mb=used,
        crowd_median=statistics.median(crowd),
        crowd_95=late(crowd),
        crowd_errors=errors,
        **map_seconds,
        first_shift=shift,
        penalty_move=moved,
        memory_with_model_mb=with_model,
    )


def late(times: list[float]) -> float:
    """Return the 95 % quantile."""
    return sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]


def words_of(bundle: Path) -> list[str]:
    """Return eight words that factors of the bundle answer to."""
    words = Bundle.open(bundle).factors["words"]
    first = [of_factor[0] for of_factor in words if len(of_factor)]
    plain = [word for word in first if word.isascii() and word.isalpha()]
    distinct = list(dict.fromkeys(word.casefold() for word in plain))
    return distinct[:: max(len(distinct) // 8, 1)][:8]


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


def map_times(address: str, page: Page) -> dict[str, float]:
    """Return seconds on the map by the fields of `Result` that begin with map or hover.

    They are those until the dots stand and, after an area is drawn, its list, and those between two
    pictures while drawing and while moving over dots: median, 95 %, longest.
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
    seconds = {"map_marks": marks, "map_list": listed}
    for name, times, longest in (
        ("map_frame", draw, "map_longest"),
        ("hover_frame", hover, "hover_longest"),
    ):
        seconds |= {name: statistics.median(times), f"{name}_95": late(times), longest: max(times)}
    return seconds


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
    print(
        f"{'bundle':24} {'factors':>8}",
        *(f"{head:>7}" for head in SECONDS.values()),
        f"{'failed':>6} {'MB':>6} {'+model':>7} {'shift':>6}",
    )
    for result in results:
        seconds = [getattr(result, name) for name in SECONDS]
        print(
            f"{result.bundle[-24:]:24} {result.factors:8,}",
            *(f"{'–' if s is None else f'{s:.2f}s':>7}" for s in seconds),
            f"{result.crowd_errors:6} {result.memory_mb:6.0f} "
            f"{result.memory_with_model_mb or 0:7.0f} {result.first_shift:6.3f}",
        )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(r) for r in results], indent=2) + "\n")


if __name__ == "__main__":
    main()
