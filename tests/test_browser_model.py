"""What asks the model itself, in a real Chromium: what a factor does.

Run with ``pytest -m browser``; the made-up factors stand over a real model.
"""

import re

import pytest
from browsing import WAIT, Server, visiting
from playwright.sync_api import Browser, expect
from test_browser_explorer import unharmed

pytestmark = pytest.mark.browser


def test_what_a_factor_does_is_shown_as_stored_and_tried_on_an_example(
    browser: Browser, model_server: Server
) -> None:
    with visiting(browser, model_server) as reader:
        reader.open("/Factor?factor=7&layer=2&where=all&part=effect")
        reader.shows("Change of the sentence embedding")
        reader.shows(re.compile(r"Means over \d+ examples"))
        reader.shows("Random directions")
        expect(reader.page.locator(".tf-strip")).to_be_visible(timeout=WAIT)
        first = reader.page.locator(".tf-strip").inner_text()
        reader.page.get_by_label(re.compile("^Example, 1 to ")).fill("2")
        reader.page.keyboard.press("Enter")
        reader.query(r"[?&]example=2($|&)")
        expect(reader.page.locator(".tf-strip")).not_to_have_text(first, timeout=WAIT)
        reader.page.keyboard.press("Escape")
        reader.page.get_by_role("button", name="Next").click()
        reader.query(r"\?factor=8&layer=2&part=effect&where=all$")
        reader.shows("Factor 8 at layer 2")
        expect(reader.page.get_by_label(re.compile("^Example, 1 to "))).to_have_value("1")
        unharmed(reader)
