"""Where an activation comes from, in a real Chromium: drawn where there is room, else a list.

The made-up factors stand over a real model.
"""

import re
from urllib.parse import quote

from browsing import ATTACK, WAIT, Server, unharmed, visiting
from playwright.sync_api import Browser, expect

LINK = f"/Origins?text={quote(f'He left the house by the river. {ATTACK}')}&token=1&layer=2"


def test_an_activation_is_drawn_and_a_circle_opens_its_factor(
    browser: Browser, model_server: Server
) -> None:
    with visiting(browser, model_server) as reader:
        reader.open(LINK)
        reader.shows("Is it so?")
        drawing = reader.page.locator("[data-testid=stVegaLiteChart] svg.marks").first
        expect(drawing).to_be_visible(timeout=WAIT)
        for text in ("layer 2", "raises it", "lowers it", "river"):
            expect(drawing.get_by_text(text, exact=True).first).to_be_visible()
        listed = reader.page.locator("details.tf-origins ul").first
        expect(listed).to_be_hidden()
        reader.page.get_by_text("The same as a list, layer by layer").click()
        expect(listed).to_be_visible()
        unharmed(reader)
        circles = drawing.locator(".mark-symbol path[aria-label*='activation:']")
        nodes = circles.count()
        assert nodes > 1
        reader.page.locator(".st-key-control_kept input[type=range]").press("End")
        reader.query(r"[?&]kept=100($|&)")
        reader.idle()
        expect(circles.nth(nodes)).to_be_visible(timeout=WAIT)
        circles.last.click(force=True)
        reader.query(r"/Factor\?factor=\d+&layer=\d$")
        reader.page.go_back()
        reader.query(r"/Origins\?.*kept=100")
        unharmed(reader)


def test_a_narrow_window_has_the_list_open_with_links_that_stay_in_it(
    browser: Browser, model_server: Server
) -> None:
    with visiting(browser, model_server) as reader:
        reader.page.set_viewport_size({"width": 400, "height": 900})
        reader.open(LINK)
        reader.shows("Is it so?")
        link = reader.page.locator("details.tf-origins ul ul a").first
        expect(link).to_be_visible(timeout=WAIT)
        expect(reader.page.locator("[data-testid=stVegaLiteChart]")).to_be_hidden()
        wide = reader.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400
        factor = re.match(r"\d+", link.inner_text())
        assert factor is not None
        link.click()
        reader.query(rf"/Factor\?factor={factor[0]}&layer=1$")
        reader.shows(f"Factor {factor[0]} at layer 1")
        unharmed(reader)
