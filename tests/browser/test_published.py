"""A published site in a real Chromium that has no network, opened from its folder."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import synthetic_bundle
from browsing import ATTACK, WAIT, Visit
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    expect,
)
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle
from tfactors.publish.contents import Contents
from tfactors.publish.single_file import publish_factor, publish_level
from tfactors.publish.site import publish_site

WORD = "</script><img/src=x/onerror=alert(1)>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of markup, its site, and a file of one factor and of one level."""
    made = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_bundle, "HOSTILE", [WORD, *synthetic_bundle.HOSTILE[1:]])
        write_synthetic_bundle(made / "bundle", title=ATTACK)
    bundle = Bundle.open(made / "bundle")
    publish_site(bundle, made / "a site", progress=False)
    publish_factor(bundle, 1, made / "factor-1.html")
    publish_level(bundle, "high", made / "high.html", progress=False)
    return made


@pytest.fixture(scope="module", params=["light 1400", "dark 400"])
def window(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A window without a network, in one theme and at one width: a site keeps nothing in it."""
    theme, width = request.param.split()
    context = browser.new_context(
        viewport={"width": int(width), "height": 900}, color_scheme=theme, offline=True
    )
    page = context.new_page()
    page.set_default_timeout(WAIT)
    yield page
    context.close()


@pytest.fixture
def reader(window: Page, folder: Path) -> Iterator[Visit]:
    """Somebody who looks out of it, whom nothing may disturb."""
    visit = Visit(window, (folder / "a site").as_uri() + "/")
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    def fail(error: Error) -> None:
        said.append(str(error))

    def asked(dialog: Dialog) -> None:
        visit.dialogs.append(dialog.message)
        dialog.dismiss()

    def seen(request: Request) -> None:
        if not request.url.startswith("file://"):
            visit.requests.append(request.url)

    heard = {"console": hear, "pageerror": fail, "dialog": asked, "request": seen}
    for event, listener in heard.items():
        window.on(event, listener)
    yield visit
    kept = window.evaluate("localStorage.length + sessionStorage.length")
    window.goto("about:blank")
    for event, listener in heard.items():
        window.remove_listener(event, listener)
    assert visit.requests == []
    assert visit.dialogs == []
    assert said == []
    assert kept == 0


def opened(reader: Visit, name: str) -> None:
    reader.page.goto(reader.address + name)
    fits(reader)


def fits(reader: Visit) -> None:
    """Nothing is wider than the window, and no markup of the corpus became any."""
    page = reader.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert page.locator("img, main script").count() == 0


def test_home_leads_to_its_factors(reader: Visit) -> None:
    opened(reader, "index.html")
    expect(reader.page).to_have_title(ATTACK)
    card = reader.page.locator(".tf-card").first
    expect(card.locator("mark").first).to_be_visible()
    card.get_by_role("link").click()
    expect(reader.page.locator(".tf-over")).to_contain_text("Factor")
    expect(reader.page).to_have_url(re.compile(r"/factors/\d+\.html$"))
    fits(reader)


@pytest.mark.parametrize("name", ["Factor.html", "index.html"])
def test_a_link_of_the_dashboard_opens_the_factor_at_its_layer(reader: Visit, name: str) -> None:
    reader.page.goto(f"{reader.address}{name}?factor=3&layer=2")
    expect(reader.page).to_have_url(re.compile(r"/factors/3\.html#layer-2$"))
    expect(reader.page.locator("#layer-2 h2")).to_be_in_viewport()
    fits(reader)


def test_a_factor_that_there_is_not_is_told(reader: Visit) -> None:
    opened(reader, "Factor.html?factor=40")
    expect(reader.page.get_by_role("status")).to_contain_text("are 0 to 39")


def test_a_factor_shows_the_markup_of_its_corpus_as_text(reader: Visit) -> None:
    opened(reader, "factors/1.html")
    main = reader.page.locator("main")
    expect(main).to_contain_text(WORD)
    expect(main.locator("svg.curve circle")).to_have_count(4)
    expect(main.get_by_role("heading", name="Similar factors")).to_be_visible()
    # A point of the curve leads to its layer, by the keyboard too.
    reader.page.locator("svg.curve a").nth(1).focus()
    reader.page.keyboard.press("Enter")
    expect(reader.page).to_have_url(re.compile(r"#layer-1$"))


@pytest.mark.parametrize(
    ("query", "first", "words"),
    [
        ("River,", None, "best first"),
        ("😀", None, "best first"),
        ("E\u0301", None, "best first"),
        ("17", "factors/17.html", "best first"),
        ("https://example.org/Factor?factor=5&layer=1", None, None),
        (WORD.upper(), None, "best first"),
        ("zebras", None, "Not a word of this corpus’s index: zebras"),
    ],
)
def test_the_search_finds_words_names_numbers_and_links(
    reader: Visit, folder: Path, query: str, first: str | None, words: str | None
) -> None:
    opened(reader, "index.html")
    reader.page.get_by_role("searchbox").fill(query)
    reader.page.keyboard.press("Enter")
    if words is None:
        expect(reader.page).to_have_url(re.compile(r"/factors/5\.html#layer-1$"))
        return
    expect(reader.page.get_by_role("status")).to_contain_text(words)
    if first is not None:
        link = reader.page.locator("#found a").first
        expect(link).to_have_attribute("href", re.compile(re.escape(first)))
    if query == "River,":
        from tfactors.app.views.search import factors_by_words

        best = int(factors_by_words(Bundle.open(folder / "bundle"), ["river"])[0]["factor"].iloc[0])
        link = reader.page.locator("#found a").first
        expect(link).to_have_attribute("href", re.compile(rf"^factors/{best}\.html#layer-\d$"))
    fits(reader)


def test_the_list_of_a_level_has_its_factors(reader: Visit, folder: Path) -> None:
    members = Contents.of(Bundle.open(folder / "bundle")).listed["mid"]
    opened(reader, "Random_by_level.html?level=mid")
    expect(reader.page).to_have_url(re.compile(r"/levels/mid-1\.html$"))
    rows = reader.page.locator("table.list tbody tr")
    expect(rows).to_have_count(len(members))
    rows.first.get_by_role("link").click()
    expect(reader.page).to_have_url(re.compile(rf"/factors/{members[0]}\.html$"))


def test_the_map_names_its_dots_and_opens_them_by_mouse_and_keyboard(reader: Visit) -> None:
    opened(reader, "Map.html?factor=5")
    frame = reader.page.locator("[data-map=near]")
    expect(frame.locator(".tip")).to_contain_text("5 ·")
    frame.focus()
    reader.page.keyboard.press("ArrowRight")
    expect(frame.locator(".tip")).not_to_contain_text("5 ·")
    reader.page.get_by_role("searchbox").fill("7 ·")
    expect(frame.locator("svg > a")).not_to_have_count(0)
    box = frame.locator("svg").bounding_box()
    ring = frame.locator("svg > circle.lit").evaluate(
        "c => [c.cx.baseVal.value / 1000, c.cy.baseVal.value / 1000]"
    )
    assert box is not None
    reader.page.keyboard.press("Escape")
    frame.locator("svg").click(position={"x": ring[0] * box["width"], "y": ring[1] * box["height"]})
    expect(reader.page).to_have_url(re.compile(r"/factors/\d+\.html$"))


def test_curves_that_were_asked_for_are_drawn(reader: Visit) -> None:
    opened(reader, "Curves_and_saliency.html?factors=3,1,99&scale=peak")
    expect(reader.page.locator("#drawn polyline.line")).to_have_count(4)  # and their two swatches
    expect(reader.page.get_by_role("status")).to_contain_text("Shown: 3, 1.")
    expect(reader.page.locator("#drawn a").first).to_have_attribute(
        "href", re.compile(r"^factors/3\.html#layer-0$")
    )
    fits(reader)


@pytest.mark.parametrize("name", ["factor-1.html", "high.html"])
def test_a_single_file_opens_alone(reader: Visit, folder: Path, tmp_path: Path, name: str) -> None:
    alone = tmp_path / quote(name)
    alone.write_bytes((folder / name).read_bytes())
    reader.page.goto(alone.as_uri())
    expect(reader.page.locator(".tf-badge").first).to_be_visible()
    ground = reader.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground in ("rgb(253, 252, 250)", "rgb(21, 24, 28)")  # its style is in force
    fits(reader)


def test_all_but_the_search_is_there_without_scripts(browser: Browser, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    address = (folder / "a site").as_uri()
    page.goto(f"{address}/factors/1.html")
    expect(page.locator("main mark").first).to_be_visible()
    page.goto(f"{address}/Map.html")
    expect(page.locator("svg.map path").first).to_be_visible()
    page.goto(f"{address}/Search.html")
    expect(page.get_by_text("lists by level lead to every factor")).to_be_visible()
    context.close()
