"""How much of a page jumps while it loads: cumulative layout shift, by the browser's own count.

    python benchmarks/layout_shift.py artifacts/default [--root CHECKOUT] [--json FILE]

Every page is opened by its link in a new browser on a server that was just started, at 1,400 and at
400 pixels, and is watched until nothing runs and 1.5 s more. A shift (the Layout Instability API's)
is the share of the window that moved times how far it moved, as a share of the window's longer
side; shifts within half a second of a click or a key do not count. Here all of a page's shifts are
added up; Google's figure, of which it calls up to 0.1 good, takes the worst five seconds, and is
never larger. ``--root`` measures the dashboard of another checkout with the same ruler.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Playwright, sync_playwright
from served_dashboard import FLAGS, IDLE, ROOT, SHIFTS, browser_path, serving

PAGES = (
    "",
    "Factor?factor=11",
    "Random_by_level?seed=3",
    "Curves_and_saliency?factors=3%2C4",
    "Search?q=river",
    "Your_text?text=The+bank+of+the+river",
    "Map",
    "Compare?factor=11",
    "Basket?basket=11.1_12.2",
    "Labels",
    "Evidence",
    "Word_senses",
    "Origins",
    "Gallery",
)
WINDOWS = ((1400, 900), (400, 800))
AFTER = 1500  # milliseconds that a page is watched for when nothing runs any more


def page_shifts(
    bundle: Path, root: Path, playwright: Playwright, executable: str
) -> Iterator[tuple[str, list[float]]]:
    """Yield every page with the sum of its shifts in each window."""
    for path in PAGES:
        sums = []
        for width, height in WINDOWS:
            with serving(bundle, root) as (address, _, _):
                browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
                page = browser.new_page(viewport={"width": width, "height": height})
                page.add_init_script(SHIFTS)
                page.goto(f"{address}/{path}")
                page.wait_for_function(IDLE, timeout=120_000)
                page.wait_for_timeout(AFTER)
                sums.append(sum(page.evaluate("window.shifts")))
                browser.close()
        yield path.partition("?")[0] or "Home", sums


def main() -> None:
    """Measure every page, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="a checkout whose dashboard is measured"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file as well")
    options = parser.parse_args()
    root, executable = options.root.resolve(), browser_path()
    began, table = time.perf_counter(), {}
    print(f"{'page':24}", *(f"{width:>7}" for width, _ in WINDOWS))
    with sync_playwright() as playwright:
        for page, sums in page_shifts(options.bundle, root, playwright, executable):
            table[page] = sums
            print(f"{page:24}", *(f"{value:7.3f}" for value in sums), flush=True)
    print(f"{'worst':24} {max(map(max, table.values())):7.3f}", end="")
    print(f"   ({time.perf_counter() - began:.0f} s)")
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
