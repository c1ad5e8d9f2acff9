"""What a page shows first stays where it is while the browser fetches the rest."""

import re
import threading

import pytest
from browsing import WAIT, Server, visiting
from playwright.sync_api import Browser, Route, expect

pytestmark = pytest.mark.browser

LATE = re.compile(r"/static/js/(NumberInput|ButtonGroup|Button|Metric)\.")
PLACE = "[data-testid=stMain] .tf-over"


@pytest.mark.parametrize("width", [1400, 400])
def test_a_factor_does_not_move_when_its_controls_arrive_late(
    browser: Browser, server: Server, width: int
) -> None:
    held: list[Route] = []
    arriving = threading.Event()

    def hold(route: Route) -> None:
        route.continue_() if arriving.is_set() else held.append(route)

    with visiting(browser, server) as reader:
        page = reader.page
        page.set_viewport_size({"width": width, "height": 850})
        page.route(LATE, hold)
        page.goto(f"{server.address}/Factor?factor=7&layer=2")
        expect(page.locator(PLACE)).to_be_visible(timeout=WAIT)
        page.wait_for_function(
            "() => document.querySelector('.st-key-control_factor').offsetHeight >= 68"
        )
        assert held
        above = page.locator(PLACE).bounding_box()["y"]
        arriving.set()
        for route in held:
            route.continue_()
        reader.idle()
        expect(page.get_by_role("button", name="Next")).to_be_visible()
        assert abs(page.locator(PLACE).bounding_box()["y"] - above) < 20
