"""How smooth the map is: a made-up bundle of 20,000 factors, its page, and a real browser.

    python benchmarks/map_page.py [--factors 20000] [--bundle FOLDER]

Writes a bundle of made-up factors with regions (or takes one that is there), and prints the CPU
seconds of the page's server part, cold and again, as AppTest runs it; then, in Chromium, the
seconds until the dots stand, and the times between two pictures (median, 95 % quantile, longest)
while the mouse moves over the dots, while the wheel zooms, while Shift and dragging move the map,
and while an area is drawn.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from served_dashboard import FLAGS, IDLE, ROOT, browser_path, serving
from streamlit.testing.v1 import AppTest

from dashboard import FRAMES, late

PATIENCE = 600  # seconds: generous, the machine may be busy


def write_bundle(folder: Path, factors: int) -> None:
    """Write made-up factors, as few other rows as a bundle may have."""
    sys.path.append(str(ROOT / "tests" / "support"))
    from synthetic_bundle import write_synthetic_bundle

    write_synthetic_bundle(folder, factors=factors, layers=2, examples=2, words_per_factor=2)


def server_part() -> list[float]:
    """Return the CPU seconds of two runs of the page."""
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=PATIENCE)
    app.switch_page("pages/6_Map.py")
    seconds = []
    for _ in range(2):
        start = time.process_time()
        app.run()
        seconds.append(time.process_time() - start)
    return seconds


def frames(page: Page, act: Callable[[int], None]) -> list[float]:
    """Return the seconds between two pictures while something is done 40 times."""
    page.evaluate(FRAMES)
    for step in range(40):
        act(step)
    times = page.evaluate("window.frames_seen")
    return [(b - a) / 1000 for a, b in pairwise(times)]


def in_browser(address: str, page: Page) -> None:
    """Print the times of a reader of the map."""
    start = time.perf_counter()
    page.goto(f"{address}/Map")
    chart = page.locator("[data-testid=stVegaLiteChart]").first
    chart.locator(".marks").wait_for(timeout=PATIENCE * 1000)
    print(f"dots stand after {time.perf_counter() - start:.1f} s")
    page.wait_for_function(IDLE, timeout=PATIENCE * 1000)
    box = chart.bounding_box()
    assert box is not None
    left, top, mouse = box["x"] + 150, box["y"] + 150, page.mouse

    def move(step: int) -> None:
        mouse.move(left + 8 * step, top + 3 * step)

    def wheel(step: int) -> None:
        mouse.wheel(0, -120 if step < 20 else 120)

    said = {"hover": frames(page, move), "wheel": frames(page, wheel)}
    page.wait_for_function(IDLE, timeout=PATIENCE * 1000)
    page.keyboard.down("Shift")
    mouse.down()
    said["move"] = frames(page, move)
    mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_function(IDLE, timeout=PATIENCE * 1000)
    mouse.move(left, top)
    mouse.down()
    said["area"] = frames(page, move)
    mouse.up()
    for name, times in said.items():
        print(
            f"{name:6} {statistics.median(times) * 1000:5.0f} ms median, "
            f"{late(times) * 1000:5.0f} ms 95 %, {max(times) * 1000:5.0f} ms longest"
        )


def main() -> None:
    """Measure the map of one bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--factors", type=int, default=20_000)
    parser.add_argument("--bundle", type=Path, help="a bundle that is there, named default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        bundle = options.bundle or Path(made) / "default"
        if not options.bundle:
            write_bundle(bundle, options.factors)
        os.environ["TFACTORS_ARTIFACTS"] = str(bundle.parent)
        cold, again = server_part()
        print(f"server part: {cold:.2f} CPU s cold, {again:.2f} CPU s again")
        with serving(bundle) as (address, _, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
            in_browser(address, browser.new_page(viewport={"width": 1400, "height": 900}))
            browser.close()


if __name__ == "__main__":
    main()
