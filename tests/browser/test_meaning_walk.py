"""Search by meaning with the keyboard alone, in a wide and a narrow window."""

import re
from pathlib import Path

from browsing import ATTACK, WAIT, Server, unharmed, visiting
from playwright.sync_api import Browser, expect


def test_a_question_is_asked_with_the_keyboard_and_its_link_finds_the_same(
    browser: Browser, model_server: Server
) -> None:
    with visiting(browser, model_server) as reader:
        reader.open("/Search?by=meaning")
        reader.shows("Ask in your own words")
        field = reader.page.get_by_role("textbox", name="A question in your own words")
        field.focus()
        reader.page.keyboard.type("farm land")
        reader.page.keyboard.press("Enter")
        reader.query(r"/Search\?q=farm\+land&by=meaning$")
        reader.shows("each with its contexts that are nearest")
        reader.idle()
        found = reader.page.locator("[data-testid=stMain] a[href*='factor=']")
        address, first = reader.page.url, found.first.inner_text()
        found.first.focus()
        reader.page.keyboard.press("Enter")
        reader.query(r"/Factor\?factor=\d+")
        reader.page.go_back()
        reader.query(r"by=meaning$")
        field.fill(ATTACK)
        reader.page.keyboard.press("Enter")
        reader.query(r"script")
        reader.idle()
        reader.shows("By meaning")
        unharmed(reader)
    narrow = {"viewport": {"width": 400, "height": 800}}
    context = browser.new_context(**narrow)
    page = context.new_page()
    page.goto(address)
    links = page.locator("[data-testid=stMain] a[href*='factor=']")
    expect(links.first).to_have_text(re.compile(re.escape(first)), timeout=WAIT)
    inside = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(inside)
    context.close()


def test_a_reader_of_words_never_loads_torch(browser: Browser, cold_server: Server) -> None:
    with visiting(browser, cold_server) as reader:
        reader.open("/Search?by=meaning&q=river")
        reader.shows("which is not here")
        reader.shows("that the words themselves find")
        assert "libtorch" not in cold_server.maps()
    assert Path(f"/proc/{cold_server.process.pid}").exists()
