"""From a factor to what it is made from, and back up to what that goes into, in a real Chromium."""

from pathlib import Path

from browsing import WAIT, Server, unharmed, visiting
from playwright.sync_api import Browser, expect

from tfactors.bundle import Bundle


def test_a_reader_walks_down_to_a_source_and_up_again(
    browser: Browser, server: Server, made_up: Path
) -> None:
    bundle = Bundle.open(made_up / "default")
    factor, source, layer = next(
        (factor, int(row.source), int(row.layer))
        for factor in range(40)
        for row in bundle.origins(factor).itertuples()
        if row.kind == "factor" and row.source != factor
    )
    with visiting(browser, server) as reader:
        reader.open(f"/Factor?factor={factor}&part=origins")
        down = reader.page.get_by_role("list", name=f"What factor {factor} is made from")
        down.locator(f"a[href*='factor={source}&']").focus()
        reader.page.keyboard.press("Enter")
        reader.query(rf"/Factor\?factor={source}&layer={layer}&part=origins$")
        reader.shows(f"Factor {source} at layer {layer}")
        up = reader.page.get_by_role("list", name=f"What factor {source} goes into")
        up.locator(f"a[href*='factor={factor}&']").click()
        reader.query(rf"/Factor\?factor={factor}&layer={layer + 1}&part=origins$")
        reader.idle()
        reader.page.get_by_text("Arrows on the map").click()
        reader.query(rf"/Map\?.*arrows=on.*factor={factor}|/Map\?.*factor={factor}.*arrows=on")
        reader.shows("solid lines from factors that it is made from")
        drawing = reader.page.locator("[data-testid=stVegaLiteChart] svg.marks").first
        expect(drawing.get_by_text("goes into", exact=True)).to_be_visible(timeout=WAIT)
        unharmed(reader)


def test_in_a_narrow_window_the_lists_stay_within_it(browser: Browser, server: Server) -> None:
    with visiting(browser, server, color_scheme="dark") as reader:
        reader.page.set_viewport_size({"width": 400, "height": 900})
        reader.open("/Factor?factor=4&part=origins")
        rows = reader.page.locator("ol.tf-network li")
        expect(rows.first).to_be_visible(timeout=WAIT)
        for box in (row.bounding_box() for row in rows.all()):
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 400
        unharmed(reader)
