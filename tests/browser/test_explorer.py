"""Finding, taking apart, mapping, comparing, labelling and sharing factors in a real Chromium."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pyarrow.parquet as pq
from browsing import ATTACK, WAIT, Server, Visit, unharmed, visiting
from playwright.sync_api import Browser, Locator, expect

from tfactors.bundle import Bundle

STYLE = "<style>body{display:none}</style>"


def click_row(reader: Visit, table: Locator) -> None:
    """Click into the second row of a table, which is painted and has no elements."""
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    reader.page.mouse.click(box["x"] + 260, box["y"] + 90)


def chart(reader: Visit) -> Locator:
    return reader.page.locator("[data-testid=stVegaLiteChart]").first


def test_a_link_opens_its_page_on_a_server_that_was_just_started_and_a_reload_restores_it(
    browser: Browser,
    cold_server: Server,
) -> None:
    """The first of them opens cold, the others as links of a session of their own."""
    for path, text in (
        ("/Map?colour=peak&area=-30%2C30%2C-30%2C30", "factors in this area"),
        (f"/Search?q={quote(ATTACK)}&kind=word", "Not in the index"),
        (f"/Your_text?text={quote(STYLE + ATTACK)}", "asks the model itself"),
        ("/Factor?factor=7&top=50&tokens=on", "asks the model itself"),
    ):
        with visiting(browser, cold_server) as reader:
            reader.open(path)
            reader.shows(text)
            before = reader.page.locator("[data-testid=stMain]").inner_text()
            asked = parse_qs(urlsplit(reader.page.url).query)
            assert asked == parse_qs(urlsplit(path).query)
            reader.page.reload()
            reader.idle()
            reader.shows(text)
            expect(reader.page.locator("[data-testid=stMain]")).to_have_text(
                re.compile(".+"), timeout=WAIT
            )
            assert reader.page.locator("[data-testid=stMain]").inner_text() == before
            unharmed(reader)


def test_one_back_returns_from_a_factor_that_a_row_opened(visit: Visit) -> None:
    visit.open("/Search")
    visit.page.get_by_role("textbox", name="Words, a label").fill("river")
    visit.page.keyboard.press("Enter")
    visit.query(r"/Search\?q=river$")
    visit.idle()
    click_row(visit, visit.page.locator("[data-testid=stDataFrame]").first)
    visit.query(r"/Factor\?factor=\d+&layer=\d$")
    visit.shows("Factor ")
    visit.idle()
    visit.page.go_back()
    visit.query(r"/Search\?q=river$")
    visit.idle()
    visit.shows("the best match first")
    visit.page.go_back()
    visit.query(r"/Search$")
    visit.page.keyboard.press("Escape")


def test_an_area_is_drawn_with_the_mouse_undone_by_back_and_a_dot_opens_its_factor(
    visit: Visit,
) -> None:
    visit.open("/Map")
    box = chart(visit).bounding_box()
    assert box is not None
    mouse = visit.page.mouse
    mouse.move(box["x"] + 60, box["y"] + 80)
    mouse.down()
    mouse.move(box["x"] + box["width"] - 60, box["y"] + box["height"] - 40, steps=5)
    mouse.up()
    visit.query(r"/Map\?area=")
    visit.shows("factors in this area")
    visit.idle()
    visit.page.go_back()
    visit.query(r"/Map$")
    visit.shows("Draw a rectangle with the mouse")
    visit.idle()
    dots = visit.page.locator("[data-testid=stVegaLiteChart] svg .mark-symbol.role-mark path")
    dots.nth(3).click()
    visit.query(r"/Factor\?factor=\d+$")
    visit.shows("Factor ")


def test_the_map_is_zoomed_by_wheel_and_keys_names_its_regions_and_a_reload_restores_it(
    visit: Visit,
) -> None:
    visit.open("/Map")
    texts = visit.page.locator("[data-testid=stVegaLiteChart] svg .mark-text.role-mark")
    expect(texts.last).to_contain_text(re.compile(r"\w+"), timeout=WAIT)
    coarse = texts.last.text_content()
    box = chart(visit).bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(8):
        visit.page.mouse.wheel(0, -240)
    visit.query(r"/Map\?view=")
    visit.idle()
    expect(texts.last).not_to_have_text(coarse or "", timeout=WAIT)
    wheel = parse_qs(urlsplit(visit.page.url).query)["view"]
    visit.page.get_by_role("button", name="Zoom out").focus()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(lambda url: parse_qs(urlsplit(url).query)["view"] != wheel)
    visit.idle()
    box_of_words = visit.page.get_by_role("textbox", name="Light up")
    box_of_words.fill("river")
    box_of_words.press("Enter")
    visit.query(r"lit=river")
    visit.shows("match “river”")
    visit.idle()
    address = visit.page.url
    visit.page.reload()
    visit.idle()
    visit.shows("match “river”")
    assert visit.page.url == address
    unharmed(visit)


def test_labels_stay_in_their_session_leave_as_json_and_come_back(
    browser: Browser,
    server: Server,
    tmp_path: Path,
) -> None:
    with visiting(browser, server) as one, visiting(browser, server) as two:
        one.open("/Factor?factor=7")
        one.page.get_by_text("Your label").click()
        one.page.get_by_role("textbox", name="Label of factor 7").fill(ATTACK[8:])
        one.page.keyboard.press("Enter")
        heading = one.page.locator(".tf-head h1")
        expect(heading).to_contain_text("onerror=alert(1)><script>", timeout=WAIT)
        one.page.get_by_role("textbox", name="Note").fill(STYLE + ATTACK)
        one.page.keyboard.press("Control+Enter")
        expect(one.page.locator(".tf-note")).to_contain_text("<style>body", timeout=WAIT)
        unharmed(one)
        two.open("/Factor?factor=7")
        expect(two.page.locator(".tf-head h1")).not_to_contain_text("script")
        one.page.get_by_role("link", name="Labels").click()
        one.shows("Of your own: 1 label")
        with one.page.expect_download() as waiting:
            one.page.get_by_role("button", name="Download labels.json").click()
        waiting.value.save_as(tmp_path / "labels.json")
        unharmed(one)
        content = json.loads((tmp_path / "labels.json").read_text())
        assert content["labels"]["7"]["note"] == STYLE + ATTACK
        two.open("/Labels")
        two.page.locator("input[type=file]").set_input_files(tmp_path / "labels.json")
        two.shows("Loaded 1 label and 0 lists.")
        two.page.get_by_role("link", name="Factor", exact=True).click()
        two.shows("Factor ")
        two.open("/Compare?factor=7&to=7")
        unharmed(two)


def test_two_factors_stand_beside_each_other_and_a_row_changes_the_second(
    visit: Visit,
) -> None:
    visit.open("/Compare?factor=4&to=9")
    visit.shows("Factor 4 at layer")
    visit.shows("Factor 9 at layer")
    click_row(visit, visit.page.locator("[data-testid=stDataFrame]").last)
    visit.query(r"/Compare\?factor=4&to=(?!9$)\d+$")
    visit.idle()
    visit.page.go_back()
    visit.query(r"factor=4&to=9$")
    visit.shows("Factor 9 at layer")


def test_a_factor_in_a_frame_is_compact_and_leads_to_the_whole_page(visit: Visit) -> None:
    visit.open("/Factor?factor=7&layer=2&embed=true")
    visit.shows("Factor 7 at layer 2")
    assert visit.page.locator("[data-testid=stSidebar]").count() == 0
    assert visit.page.get_by_role("button", name="Next").count() == 0
    assert visit.page.locator(".tf-list li").count() == 12
    link = visit.page.get_by_role("link", name="Open in the dashboard")
    expect(link).to_have_attribute("href", f"{visit.address}/Factor?factor=7&layer=2")
    unharmed(visit)


def test_charts_are_saved_as_svg_and_png_and_tables_as_parquet(
    visit: Visit,
    tmp_path: Path,
    made_up: Path,
) -> None:
    visit.open("/Curves_and_saliency?factors=3%2C4")
    expect(chart(visit).locator("svg.marks")).to_be_visible(timeout=WAIT)
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="Save the charts of this page as SVG").click()
    waiting.value.save_as(tmp_path / "curves.svg")
    root = ET.fromstring((tmp_path / "curves.svg").read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 8
    chart(visit).hover()
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name=re.compile("^Download as PNG")).first.click()
    waiting.value.save_as(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="Parquet").first.click()
    waiting.value.save_as(tmp_path / "importance.parquet")
    table = pq.read_table(tmp_path / "importance.parquet").to_pandas()
    bundle = Bundle.open(made_up / "default")
    assert table["factor"].unique().tolist() == [3, 4]
    expected = bundle.importance(3)["importance"].tolist()
    assert table.loc[table["factor"] == 3, "importance"].tolist() == expected
    unharmed(visit)


def test_a_key_opens_the_search(visit: Visit) -> None:
    visit.open("/Factor?factor=7")
    visit.page.keyboard.press("s")
    visit.query(r"/Search")
    visit.shows("Click a row to open it")
    visit.page.go_back()
    visit.shows("Factor 7 at layer")


def test_no_page_is_wider_than_a_telephone(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 400, "height": 800})
    for path in (
        "/Search?q=river",
        "/Map",
        "/Compare?factor=4&to=9",
        "/Labels",
        "/Your_text",
        "/Factor?factor=7&embed=true",
    ):
        visit.open(path)
        expect(visit.page.locator("[data-testid=stMain] h1").first).to_be_visible()
        main = visit.page.locator("[data-testid=stMain]")
        assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, path


def test_the_next_factor_keeps_the_chart_and_a_point_can_be_clicked_again(visit: Visit) -> None:
    visit.open("/Factor?factor=7")
    drawn = chart(visit).locator("svg.marks")
    drawn.evaluate("svg => { svg.kept = true; }")
    visit.page.get_by_role("button", name="Next").click()
    visit.shows("Factor 8 at layer")
    visit.idle()
    assert drawn.evaluate("svg => svg.kept") is True
    for _ in range(2):
        # The invisible targets of a finger lie over the points.
        chart(visit).locator("svg .mark-symbol.role-mark").last.locator("path").first.click()
        visit.query(r"/Factor\?factor=8&layer=0$")
        visit.shows("Factor 8 at layer 0")
        visit.idle()
        visit.page.go_back()
        visit.query(r"/Factor\?factor=8$")
        visit.idle()
