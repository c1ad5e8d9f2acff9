"""The dashboard in a real Chromium: what only a browser can show."""

import csv
from pathlib import Path

import pytest
from browsing import WAIT, Server, Visit, visiting
from playwright.sync_api import Browser, expect

from tfactors.bundle import Bundle

# The name of what the keyboard is on, and whether a ring, a frame or a tint of its own shows that.
AT_THE_END = "document.activeElement === document.body"
FOCUSED = """
() => {
  let on = document.activeElement;
  while (on.shadowRoot?.activeElement) on = on.shadowRoot.activeElement;
  const marked = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== 'none';
  const frames = [on, on.parentElement];
  // Fields change the colour of their frame, tables and the page itself draw or need no ring.
  const own = /^(INPUT|TEXTAREA|CANVAS|MAIN)$/.test(on.tagName);
  const words = on.innerText?.split('\\n').filter(line => !/^[a-z_]+$|^.$/.test(line)).join(' ');
  return [words || on.getAttribute('aria-label') || on.tagName,
          own || frames.some(frame => marked(getComputedStyle(frame)))];
}
"""


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/Factor?factor=7&layer=2", "Factor 7 at layer 2"),
        ("/Random_by_level?level=mid&seed=3", "mid level"),
        ("/Curves_and_saliency?factors=3%2C4", "The words an activation depends on"),
    ],
)
def test_a_link_opens_its_page_on_a_server_that_was_just_started(
    path: str, text: str, browser: Browser, cold_server: Server
) -> None:
    with visiting(browser, cold_server) as reader:
        reader.open(path)
        reader.shows(text)
        page = reader.page
        expect(page.locator("[data-testid=stSidebar]")).to_contain_text("Random by level")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator("[data-testid=stSidebarNav]")).to_have_count(0)
        assert page.url.endswith(path)
        assert reader.requests == []


def test_back_and_forward_walk_through_what_was_looked_at(visit: Visit) -> None:
    visit.open("/Factor?factor=7")
    visit.page.get_by_role("button", name="Next").click()
    visit.shows("Factor 8 at layer")
    visit.query(r"factor=8$")
    visit.page.get_by_role("radio", name="2", exact=True).click()
    visit.shows("Factor 8 at layer 2")
    visit.idle()
    visit.page.get_by_role("link", name="Curves and saliency").click()
    visit.shows("Importance over the layers")
    visit.idle()
    visit.page.go_back()
    visit.shows("Factor 8 at layer 2")
    visit.query(r"/Factor\?factor=8&layer=2$")
    visit.idle()
    visit.page.go_back()
    visit.query(r"factor=8$")
    visit.page.go_back()
    visit.shows("Factor 7 at layer")
    visit.page.go_forward()
    visit.shows("Factor 8 at layer")


def test_a_reload_restores_every_control(visit: Visit) -> None:
    visit.open("/Factor?factor=7")
    page = visit.page
    page.get_by_text("Group by word").click()
    visit.query(r"group=on")
    page.get_by_text("Text", exact=True).click()
    visit.query(r"layout=text")
    visit.idle()
    slider = page.locator(".st-key-control_context input[type=range]")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    visit.query(r"context=15")
    visit.idle()
    before = page.locator("[data-testid=stMain] .tf-group").all_inner_texts()
    page.reload()
    visit.idle()
    visit.query(r"context=15")
    assert page.locator("[data-testid=stMain] .tf-group").all_inner_texts() == before
    expect(slider).to_have_value("15")
    expect(page.locator(".tf-text").first).to_be_visible()


def test_controls_go_along_to_other_pages_and_back(visit: Visit) -> None:
    visit.open("/Factor?factor=7&window_share=0.9")
    visit.page.get_by_role("link", name="Random by level").click()
    visit.query(r"/Random_by_level\?window_share=0.9")
    visit.page.get_by_role("link", name="Map", exact=True).click()
    visit.query(r"/Map\?factor=7&window_share=0.9")
    visit.shows("at least 90%")
    visit.page.get_by_role("link", name="Home").click()
    visit.shows("What does a language model see")
    visit.page.get_by_role("link", name="Factor", exact=True).click()
    visit.query(r"/Factor\?factor=7&window_share=0.9")
    visit.shows("Factor 7 at layer")


def test_two_readers_do_not_see_each_other(browser: Browser, server: Server) -> None:
    with visiting(browser, server) as one, visiting(browser, server) as two:
        one.open("/Factor?factor=7")
        two.open("/Factor?factor=9")
        one.page.get_by_role("button", name="Next").click()
        one.shows("Factor 8 at layer")
        two.page.get_by_role("button", name="Next").click()
        two.shows("Factor 10 at layer")
        one.shows("Factor 8 at layer")


def test_keys_step_through_factors_and_layers(visit: Visit) -> None:
    visit.open("/Factor?factor=7&layer=1")
    for key, shown in (("n", "8 at layer 1"), ("p", "7 at layer 1"), ("k", "7 at layer 2")):
        visit.page.keyboard.press(key)
        visit.shows(f"Factor {shown}")
        visit.idle()


def test_the_tab_key_walks_from_the_menu_to_the_page_and_shows_where_it_is(
    browser: Browser, server: Server
) -> None:
    with visiting(browser, server, color_scheme="dark") as reader:
        reader.open("/Factor?factor=7")
        names = []
        for _ in range(90):
            reader.page.keyboard.press("Tab")
            name, ringed = reader.page.evaluate(FOCUSED)
            if name.strip() in names[:1] or reader.page.evaluate(AT_THE_END):
                break
            names.append(name.strip())
            assert ringed, f"nothing shows that the keyboard is on {name!r}"
        order = [names.index(name) for name in ("Factor", "Find a factor", "Next", "CSV")]
        assert order == sorted(order)


def test_keys_are_letters_while_somebody_writes(visit: Visit) -> None:
    visit.open("/Factor?factor=7")
    visit.page.get_by_text("Your label").click()
    field = visit.page.get_by_role("textbox", name="Label of factor 7")
    field.press_sequentially("snap jk")
    visit.idle()
    expect(field).to_have_value("snap jk")
    assert visit.page.url.endswith("/Factor?factor=7")
    visit.shows("Factor 7 at layer")


def test_a_level_is_drawn_with_one_click_and_the_link_repeats_the_draw(
    browser: Browser, server: Server
) -> None:
    headline = "[data-testid=stMain] .tf-head"
    with visiting(browser, server) as one:
        one.open("/Random_by_level")
        for level in ("low", "mid", "high"):
            one.page.get_by_role("button", name=f"Draw a {level}-level factor").click()
            one.query(rf"level={level}&seed=\d+")
            expect(one.page.locator(headline)).to_contain_text(f"{level} level")
        link, shown = one.page.url, one.page.locator(headline).inner_text()
    with visiting(browser, server) as two:
        two.open(link.removeprefix(server.address))
        expect(two.page.locator(headline)).to_have_text(shown, use_inner_text=True)


def test_a_click_on_a_point_of_a_curve_opens_that_factor_there(visit: Visit) -> None:
    visit.open("/Curves_and_saliency?factors=3")
    points = visit.page.locator("[data-testid=stVegaLiteChart] svg .mark-symbol.role-mark path")
    points.nth(1).click()
    visit.query(r"/Factor\?factor=3&layer=1")
    visit.shows("Factor 3 at layer 1")
    visit.page.go_back()
    visit.shows("Importance over the layers")
    visit.query(r"/Curves_and_saliency\?.*factors=3$")


def test_hostile_text_loads_nothing_and_runs_nothing(visit: Visit) -> None:
    """Factor 1 answers to markup, and the first document's title is some."""
    attack = "%3Cimg%20src%3Dhttp%3A%2F%2Fevil.invalid%20onerror%3Dalert(1)%3E"
    for layer in range(4):
        visit.open(f"/Factor?factor=1&layer={layer}&top=200&context=60&sort={attack}")
        visit.shows("it has to be one of")
        expect(visit.page.locator(".tf-list li").first).to_be_visible()
    visit.open(f"/Curves_and_saliency?factor=1&replacement={attack}&factors={attack}")
    visit.open(f"/Search?q={attack}")
    visit.open(f"/Your_text?text={attack}&with={attack}")
    visit.open(f"/Factor?factor=1&layout=text&group=on&bundle={attack}")
    visit.shows("There is no bundle")
    assert (
        visit.page.locator(".tf-list img, .tf-list script, .tf-list a, .tf-head img").count() == 0
    )
    assert visit.requests == []
    assert visit.dialogs == []
    body = visit.page.evaluate("getComputedStyle(document.body).display")
    assert body == "block"


def test_the_server_never_has_torch_in_memory(browser: Browser, cold_server: Server) -> None:
    with visiting(browser, cold_server) as reader:
        for path in ("/", "/Factor", "/Random_by_level?level=low&seed=1", "/Curves_and_saliency"):
            reader.open(path)
        reader.shows("The words an activation depends on")
    loaded = cold_server.maps()
    assert "libarrow" in loaded
    for library in ("libtorch", "llvmlite", "sklearn"):
        assert library not in loaded


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_keeps_its_contrast_in_light_and_dark(
    scheme: str, browser: Browser, server: Server
) -> None:
    with visiting(browser, server, color_scheme=scheme) as reader:
        reader.open("/Factor?factor=7")
        page = reader.page
        expect(page.locator("mark").first).to_be_visible()
        expect(page.locator("svg.marks").first).to_be_visible(timeout=WAIT)
        measured = page.evaluate(CONTRASTS)
        assert page.evaluate("getComputedStyle(document.querySelector('mark')).fontWeight") >= "600"
    brightness = measured.pop("brightness")
    assert brightness > 0.8 if scheme == "light" else brightness < 0.05
    assert len(measured) == 9
    assert {name: value for name, value in measured.items() if value < 4.5} == {}


# Contrast of text on what is behind it (WCAG 2.2), painted on a canvas to resolve any colour space.
CONTRASTS = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const paint = colours => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = rgb => rgb.map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const app = getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor;
  const found = {brightness: luminance(paint([app]))};
  for (const name of ['mark', '.tf-why', '.tf-badge', 'cite', '.tf-act', '.tf-legend', 'kbd',
                      '[data-testid=stCaptionContainer] p', 'svg.marks .role-axis-label text']) {
    const element = document.querySelector('[data-testid=stMain] ' + name);
    const behind = [];
    let opacity = 1;
    for (let e = element; e; e = e.parentElement) {
      behind.unshift(getComputedStyle(e).backgroundColor);
      opacity *= getComputedStyle(e).opacity;
    }
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const text = `color-mix(in srgb, ${colour} ${100 * opacity}%, transparent)`;
    const a = luminance(paint([...behind, text]));
    const b = luminance(paint(behind));
    found[name] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return found;
}
"""


def test_nothing_is_wider_than_a_telephone(browser: Browser, server: Server) -> None:
    with visiting(browser, server) as reader:
        reader.page.set_viewport_size({"width": 400, "height": 800})
        for path in (
            "/",
            "/Factor?factor=7",
            "/Factor?factor=1&layer=1&top=50",
            "/Random_by_level?level=mid&seed=3",
            "/Curves_and_saliency",
        ):
            reader.open(path)
            expect(reader.page.locator("[data-testid=stMain] h1").first).to_be_visible()
            main = reader.page.locator("[data-testid=stMain]")
            assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, path


def test_the_list_is_downloaded_as_csv(visit: Visit, made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    visit.open("/Factor?factor=7&top=10")
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="CSV").click()
    whole = Path(waiting.value.path()).read_bytes()
    assert whole.startswith(b"\xef\xbb\xbf")  # by which Excel knows UTF-8
    with open(waiting.value.path(), encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    peak = int(bundle.factors["peak_layer"][7])
    assert waiting.value.suggested_filename == f"factor_7_layer_{peak}.csv"
    assert lines[0] == ["rank", "activation", "before", "word", "after", "document"]
    assert len(lines) == 11
    first = bundle.examples(7, peak).iloc[0]
    assert lines[1][0] == "1"
    assert float(lines[1][1]) == pytest.approx(first["activation"], abs=1e-4)
    assert lines[1][3] == first["word"]
