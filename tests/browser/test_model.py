"""What asks the model itself, in a real Chromium: a text taken apart, and what a factor does.

The made-up factors stand over a real model.
"""

import re
from urllib.parse import quote

from browsing import ATTACK, WAIT, Server, Visit, unharmed, visiting
from playwright.sync_api import Browser, Locator, expect

TEXT = "He left the house by the river."


def slider(reader: Visit, control: str) -> Locator:
    return reader.page.locator(f".st-key-control_{control} input[type=range]")


def boxed(reader: Visit) -> Locator:
    """The tokens of the strip whose states were moved."""
    return reader.page.locator(".tf-strip .tf-moved")


def test_a_factor_is_taken_away_from_ones_own_text_and_the_link_restores_it(
    browser: Browser, model_server: Server
) -> None:
    with visiting(browser, model_server) as reader:
        reader.open(f"/Your_text?text={quote(f'{TEXT} {ATTACK}')}&token=1&layer=2")
        reader.shows("What a factor does")
        expect(boxed(reader)).to_have_text(["left"], timeout=WAIT)
        reader.shows("Random directions")
        unharmed(reader)
        for times in ("0.25", "0.5", "0.75", "1"):
            reader.idle()
            slider(reader, "times").press("ArrowRight")
            reader.query(rf"[?&]times={times}($|&)")
        reader.shows("Nothing was moved: × 1 leaves everything as it is")
        reader.idle()
        slider(reader, "times").press("ArrowRight")
        reader.query(r"[?&]times=1\.25($|&)")
        expect(boxed(reader)).to_have_text(["left"], timeout=WAIT)
        reader.page.get_by_text("Every token", exact=True).click()
        reader.query(r"[?&]where=all($|&)")
        reader.idle()
        everywhere = boxed(reader).all_inner_texts()
        assert len(everywhere) > 1
        reader.page.reload()
        reader.idle()
        expect(boxed(reader)).to_have_text(everywhere, timeout=WAIT)
        reader.page.go_back()
        expect(boxed(reader)).to_have_text(["left"], timeout=WAIT)
        unharmed(reader)


def test_a_step_of_the_penalty_moves_the_equation_its_numbers_and_the_link(
    browser: Browser, model_server: Server
) -> None:
    with visiting(browser, model_server) as reader:
        reader.open(f"/Your_text?text={quote(TEXT)}&token=1&layer=3")
        reader.shows("Its factors against λ")
        reader.idle()

        def says() -> tuple[int, int, str]:
            numbers = reader.page.locator("[data-testid=stMetricValue]").all_inner_texts()
            equation = reader.page.locator(".st-key-terms_equation").inner_text()
            return int(numbers[0]), int(numbers[1].rstrip("%")), equation

        def moved(key: str, penalty: str) -> tuple[int, int, str]:
            before = says()[2]
            slider(reader, "penalty").press(key)
            reader.query(rf"[?&]penalty={penalty}($|&)")
            equation = reader.page.locator(".st-key-terms_equation")
            expect(equation).not_to_have_text(before, use_inner_text=True, timeout=WAIT)
            reader.idle()
            return says()

        active, explained, equation = says()
        fewer = moved("End", r"0\.8")
        assert fewer[0] < active
        assert fewer[1] < explained
        more = moved("Home", r"0\.04")
        assert more[0] > active
        assert more[1] >= explained
        slider(reader, "penalty").press("ArrowRight")
        reader.query(r"[?&]penalty=0\.045($|&)")
        reader.idle()
        for _ in range(3):
            reader.page.go_back()
        reader.query(r"layer=3$")
        shown = reader.page.locator(".st-key-terms_equation")
        expect(shown).to_have_text(equation, use_inner_text=True, timeout=WAIT)


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


def test_an_explanation_shows_its_progress_can_be_stopped_and_leaves_the_model_free(
    browser: Browser, model_server: Server
) -> None:
    link = "/Curves_and_saliency?factor=1&layer=3&samples=1000"
    with visiting(browser, model_server) as reader:
        reader.open(link)
        page = reader.page
        page.get_by_role("button", name="Explain with LIME").click()
        reader.shows("Reading the text with words left out")
        # Streamlit has a Stop of its own in the header; ours stands beside the question.
        page.locator("[data-testid=stMain]").get_by_role("button", name="Stop").click()
        expect(page.get_by_role("progressbar")).to_have_count(0, timeout=WAIT)
        expect(page.locator(".tf-text .tf-plus")).to_have_count(0)
        with visiting(browser, model_server) as other:
            other.open(link.replace("1000", "150"))
            other.page.get_by_role("button", name="Explain with LIME").click()
            other.shows("LIME: score")
            expect(other.page.locator(".tf-text .tf-plus").first).to_be_visible()
            assert other.requests == []
            _read_a_cell_of_the_map(other)


def _read_a_cell_of_the_map(reader: Visit) -> None:
    """On the server that has the model in memory already."""
    reader.open("/Your_text?text=He+left+the+house.&layer=2&token=0")
    equation = reader.page.locator(".tf-equation mark").first
    expect(equation).to_have_text("He", timeout=WAIT)
    cells = reader.page.locator("[data-testid=stVegaLiteChart]").first.locator(
        ".mark-rect.role-mark path[aria-label*='1 left'][aria-label*='layer: 3']"
    )
    cells.first.click()
    expect(equation).to_have_text("left", timeout=WAIT)
    reader.query(r"layer=3")
    reader.page.go_back()
    expect(equation).to_have_text("He", timeout=WAIT)
    reader.page.get_by_label("Another text").fill("His left hand.")
    reader.page.keyboard.press("Enter")
    reader.shows("Those that part them most come first")
    attack = "%3Cimg%20src%3Dhttp%3A%2F%2Fevil.invalid%20onerror%3Dalert(1)%3E"
    reader.open(f"/Your_text?text={attack}&with={attack}&token=0")
    expect(equation).to_have_text("<", timeout=WAIT)
    reader.open("/Factor?factor=2&layer=3&top=50")
    expect(reader.page.locator(".tf-habit").first).to_be_visible(timeout=WAIT)
    reader.page.get_by_text("Every token's activation").click()
    reader.query(r"tokens=on")
    expect(reader.page.locator(".tf-habit")).to_have_count(0, timeout=WAIT)
    expect(reader.page.locator(".tf-list li").nth(40).locator(".tf-plus").first).to_be_attached()
    assert reader.requests == []
    assert reader.dialogs == []
