"""Nothing jumps while a page loads, in a real Chromium: by the browser's own count of what moved.

A layout shift is the share of the window that moved times how far it moved, as a share of the
window. Google calls a page good up to 0.1. It is no time, and what a page shows is the same in any
order of arrival. A page hides what follows code that has not come for five seconds at most, which a
busy machine would use up; where shifts are counted it has an hour.
"""

import re
import threading
import time
import urllib.request

import pytest
from browsing import WAIT, Server, Visit, visiting
from playwright.sync_api import Browser, Route, expect

WATCH = """
window.shifts = [];
new PerformanceObserver(list => window.shifts.push(
  ...list.getEntries().filter(e => !e.hadRecentInput).map(
    e => [e.value, e.sources.map(s => (s.node?.textContent ?? '').slice(0, 60))])
)).observe({type: 'layout-shift', buffered: true});
// Before any code of the page runs.
document.addEventListener('readystatechange', () => {
  const waiting = document.getElementById('tf-waiting').sheet.cssRules[0].style;
  window.patience = [waiting.animationDuration, waiting.animationDuration = '3600s'];
}, {once: true});
"""
PHONE = {"width": 400, "height": 800}
LATE = re.compile(r"/static/js/(NumberInput|ButtonGroup|Button|Metric)\.")
DRAWN = """
document.fonts.ready.then(() => new Promise(
  done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))))
"""


def shifts(reader: Visit, path: str) -> list[tuple[float, list[str]]]:
    """Open a page by its link, and return what moved: how much, and the words that did."""
    reader.page.add_init_script(WATCH)
    reader.open(path)
    return counted(reader)


def counted(reader: Visit) -> list[tuple[float, list[str]]]:
    """Return what moved until now, when nothing is left to be drawn."""
    # What runs no more may still draw: a chart, a letter whose font has just come.
    charts = reader.page.locator("[data-testid=stVegaLiteChart]:not(:has(.marks))")
    expect(charts).to_have_count(0, timeout=WAIT)
    reader.page.evaluate(DRAWN)
    assert reader.page.evaluate("window.patience") == ["5s", "3600s"]
    return [tuple(one) for one in reader.page.evaluate("window.shifts")]


def test_nothing_jumps_on_a_server_that_was_just_started(
    browser: Browser, cold_server: Server
) -> None:
    with visiting(browser, cold_server, fresh=True) as reader:
        moved = shifts(reader, "/Factor?factor=7")
    assert sum(one for one, _ in moved) < 0.1, moved


@pytest.mark.parametrize(
    "path",
    ["/", "/Search?q=the", "/Compare?factor=7"],
)
def test_nothing_jumps_while_a_page_loads(path: str, browser: Browser, server: Server) -> None:
    with visiting(browser, server, fresh=True) as reader:
        moved = shifts(reader, path)
    assert sum(one for one, _ in moved) < 0.1, moved


@pytest.mark.parametrize("path", ["/", "/Search?q=the"])
def test_nothing_jumps_on_a_telephone(path: str, browser: Browser, server: Server) -> None:
    with visiting(browser, server, fresh=True) as reader:
        reader.page.set_viewport_size(PHONE)
        moved = shifts(reader, path)
    assert sum(one for one, _ in moved) < 0.1, moved


@pytest.mark.parametrize("width", [1400, 400])
def test_controls_that_arrive_late_push_nothing(
    width: int, browser: Browser, server: Server
) -> None:
    held: list[Route] = []
    arriving = threading.Event()

    def hold(route: Route) -> None:
        route.continue_() if arriving.is_set() else held.append(route)

    with visiting(browser, server, fresh=True) as reader:
        page = reader.page
        page.set_viewport_size({"width": width, "height": 850})
        page.add_init_script(WATCH)
        page.route(LATE, hold)
        page.goto(f"{server.address}/Compare?factor=7")
        expect(page.get_by_role("heading", name="Compare")).to_be_visible(timeout=WAIT)
        expect(page.locator("[data-testid=stMain] [data-testid=stSkeleton]").first).to_be_attached()
        assert held
        arriving.set()
        for route in held:
            route.continue_()
        reader.idle()
        expect(page.get_by_role("button", name="Next")).to_be_visible()
        moved = counted(reader)
    assert sum(one for one, _ in moved) < 0.1, moved


def test_the_next_factor_moves_nothing_that_stays(browser: Browser, server: Server) -> None:
    with visiting(browser, server, fresh=True) as reader:
        shifts(reader, "/Factor?factor=7")
        reader.page.evaluate("window.shifts = []")
        reader.page.get_by_role("button", name="Next").click()
        reader.shows("Factor 8 at layer")
        reader.idle()
        moved = counted(reader)
    assert sum(one for one, _ in moved) < 0.1, moved


def test_an_embedded_factor_keeps_no_place_for_a_sidebar_that_it_lacks(visit: Visit) -> None:
    visit.open("/Factor?factor=7&embed=true")
    main = visit.page.locator("[data-testid=stMain]")
    expect(main).to_contain_text("Factor 7", timeout=WAIT)
    box = main.bounding_box()
    assert box is not None
    assert box["x"] == 0


def test_only_pages_are_written_into(server: Server) -> None:
    def fetched(path: str, accept: str) -> str:
        asked = urllib.request.Request(server.address + path, headers={"Accept": accept})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert answer.headers["Content-Encoding"] is None or accept != "text/html"
            return answer.read().decode()

    page = fetched("/Factor?factor=7", "text/html,*/*")
    assert page.count(".tf-list") > 1
    assert page.index(".tf-list") < page.index("</head>")
    assert "tf-list" not in fetched("/manifest.json", "text/html,*/*")
    assert fetched("/_stcore/health", "text/html,*/*") == "ok"


def test_what_the_first_page_needs_is_imported_before_anyone_asks(cold_server: Server) -> None:
    deadline = time.monotonic() + 60
    while "pyarrow" not in cold_server.maps():
        assert time.monotonic() < deadline, "nothing was imported within a minute"
        time.sleep(0.05)  # between two looks; nothing waits longer than the import needs
    assert "libtorch" not in cold_server.maps()
