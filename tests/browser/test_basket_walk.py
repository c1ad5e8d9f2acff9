"""A reader fills a basket with the keyboard, walks on and comes back; and filters examples."""

from browsing import ATTACK, WAIT, Server, unharmed, visiting
from playwright.sync_api import Browser, expect


def test_a_basket_goes_along_and_is_there_on_the_next_visit(
    browser: Browser, server: Server
) -> None:
    with visiting(browser, server) as reader:
        reader.open("/Factor?factor=8&layer=2")
        reader.page.keyboard.press("b")
        reader.query("basket=[0-9a-f]{8}~8.2")
        expect(reader.page.get_by_role("button", name="Out of the basket")).to_be_visible()
        reader.page.keyboard.press("n")
        reader.query("factor=9")
        reader.idle()
        reader.page.keyboard.press("b")
        reader.query("basket=[0-9a-f]{8}~8.2_9.2")
        reader.idle()
        link = reader.page.get_by_test_id("stSidebar").get_by_role("link", name="Basket (2)")
        link.focus()
        reader.page.keyboard.press("Enter")
        reader.shows("2 of at most 100 factors")
        reader.query("Basket.*basket=[0-9a-f]{8}~8.2_9.2")
        reader.page.wait_for_function(
            "Object.entries(localStorage).some(([k, v]) => k.endsWith(':basket:') && "
            "v === '[[8, 2], [9, 2]]')"
        )
        reader.open("/Labels")  # a new session, whose address has no basket
        expect(
            reader.page.get_by_test_id("stSidebar").get_by_role("link", name="Basket (2)")
        ).to_be_visible(timeout=WAIT)
        reader.open("/Basket?basket=7.1")
        reader.shows("This basket came with the link. Your own, of 2 factors, is kept")
        reader.page.get_by_role("button", name="Show mine").click()
        reader.shows("2 of at most 100 factors")
        unharmed(reader)


def test_a_filter_is_opened_and_typed_in_on_a_narrow_screen_and_stays_text(
    browser: Browser, server: Server
) -> None:
    with visiting(browser, server) as reader:
        reader.page.set_viewport_size({"width": 400, "height": 800})
        reader.open("/Factor?factor=8&layer=2")
        reader.page.get_by_role("button", name="Filter", exact=False).first.focus()
        reader.page.keyboard.press("Enter")
        field = reader.page.get_by_role("textbox", name="Word")
        field.fill(ATTACK[:60])
        field.press("Enter")
        reader.shows("stored examples passes the filter")
        reader.query("having=")
        wide = "document.documentElement.scrollWidth <= window.innerWidth"
        assert reader.page.evaluate(wide)
        reader.open("/Factor?factor=8&layer=2&part=contrast")
        reader.shows("chosen by the model itself")
        assert reader.page.evaluate(wide)
        unharmed(reader)
