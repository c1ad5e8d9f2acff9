"""The pages, run without a browser: what a reader sees, and what the URL says.

Every run here is a cold start too: AppTest forgets between runs that the dashboard draws its own
menu, as a server does that was just started.
"""

import contextlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest
from synthetic_bundle import HOSTILE, write_synthetic_bundle
from tiny_model import write_tiny_bert

import tfactors
from tfactors.app.frame import controls, shell, url_state
from tfactors.bundle import Bundle, BundleError
from tfactors.bundle.evidence import Chart, Column, Section, Table, write_section
from tfactors.bundle.passages import cut
from tfactors.bundle.writing import write_manifest
from tfactors.display import passages
from tfactors.explain.encoder import FactorEncoder
from tfactors.model.hidden_states import load_model
from tfactors.model.loading import KNOWN_SHA256, MINILM_PACKAGE

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page.path for page in controls.PAGES]
# Pages that show factors before anybody wrote anything.
READ_FACTORS = [
    page.path
    for page in controls.PAGES
    if page
    not in (controls.TEXT_PAGE, controls.LABELS_PAGE, controls.EVIDENCE_PAGE, controls.SENSES_PAGE)
]
HEAVY = ("torch", "transformers", "lime", "numba", "sklearn")


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two bundles: 40 factors, and 20 of another seed."""
    folder = tmp_path_factory.mktemp("artifacts")
    write_synthetic_bundle(folder / "default", title="The first")
    write_synthetic_bundle(folder / "other", factors=20, seed=1, title="The second")
    return folder


def write_bundle_of_minilm(folder: Path) -> None:
    """Made-up factors, examples and text, but of a real model, so that it can be run on them."""
    write_synthetic_bundle(folder, layers=7, width=384, factors=20, hostile=False)
    manifest = Bundle.open(folder).manifest
    manifest["model"] |= {"name": MINILM_PACKAGE, "sha256": KNOWN_SHA256[MINILM_PACKAGE]}
    # Small enough for factors drawn at random to be active, large enough to part them.
    manifest["coding"]["penalty"] = 0.2
    write_manifest(folder, manifest)


@pytest.fixture(autouse=True)
def _fresh_caches(monkeypatch: pytest.MonkeyPatch, made_up: Path) -> None:
    st.cache_data.clear()
    st.cache_resource.clear()
    monkeypatch.delenv("TFACTORS_BUNDLE", raising=False)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(made_up))


@pytest.fixture
def damaged(tmp_path: Path, made_up: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the first bundle alone, to be damaged."""
    shutil.copytree(made_up / "default", tmp_path / "default")
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    return tmp_path / "default"


def open_page(path: str = controls.HOME.path, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=30)
    if path != controls.HOME.path:
        app.run()
        app.switch_page(path)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def unfold(app: AppTest, name: str) -> AppTest:
    """Open a part of the sidebar that is folded away, as a click on its title does."""
    app.session_state[f"fold_{name}"] = True
    return app.run()


def words(app: AppTest) -> str:
    """Everything a reader can read in the main part and the sidebar, tags left out."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "error", "code")
    parts = [element.value for kind in kinds for element in getattr(app, kind)]
    parts.append(re.sub(r"<[^>]+>", " ", html_of(app)))
    return re.sub(r"\s+", " ", " ".join(map(str, parts)))


def html_of(app: AppTest) -> str:
    bodies = [element.proto.body for element in app.get("html")]
    return "\n".join(body for body in bodies if not body.startswith("<style>"))


def query(app: AppTest) -> dict[str, str]:
    params = app.query_params.items()
    return {name: value if isinstance(value, str) else value[-1] for name, value in params}


def follow(app: AppTest) -> AppTest:
    """Do what the browser does when a page asks it to open another: follow the link it drew."""
    links = [link.proto for link in app.get("page_link")]
    link = next(link for link in links if link.label.startswith("Open the page "))
    page = next(page for page in controls.PAGES if link.label == f"Open the page {page.title}")
    app.switch_page(page.path)
    app.query_params.clear()
    for name, value in parse_qsl(link.query_string):
        app.query_params[name] = value
    return app.run()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_with_the_menu_and_without_complaint(path: str) -> None:
    app = open_page(path)
    assert not app.exception
    assert not app.error
    assert not app.info
    links = [link.proto.label for link in app.get("page_link")]
    assert {page.title for page in controls.PAGES} <= set(links)


@pytest.mark.parametrize("path", PAGES)
def test_without_a_bundle_every_page_says_how_to_make_one(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    app = open_page(path)
    assert not app.exception
    assert "No bundle yet" in words(app)
    assert "tfactors build my.txt" in words(app)


@pytest.mark.parametrize("path", READ_FACTORS)
@pytest.mark.parametrize("name", ["factors.parquet", "importance.parquet"])
def test_a_damaged_file_is_named_on_every_page(path: str, name: str, damaged: Path) -> None:
    file = damaged / name
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2 :] = b"\0" * (len(raw) - len(raw) // 2)
    file.write_bytes(raw)
    app = open_page(path, level="low")
    assert not app.exception
    assert "This bundle cannot be read" in words(app)
    assert name in words(app).replace("\\", "")


def test_a_missing_file_is_named(damaged: Path) -> None:
    (damaged / "windows.parquet").unlink()
    app = open_page("pages/1_Factor.py")
    assert not app.exception
    assert "windows.parquet: missing" in words(app).replace("\\", "")


@pytest.mark.parametrize("path", PAGES)
def test_a_bundle_of_another_version_says_what_to_do(path: str, damaged: Path) -> None:
    manifest = json.loads((damaged / "manifest.json").read_text())
    (damaged / "manifest.json").write_text(json.dumps(manifest | {"format_version": 0}))
    app = open_page(path)
    assert not app.exception
    assert "format version 0" in words(app).replace("\\", "")
    assert "rebuild the bundle" in words(app)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"factor": "99999"}, "the factors of this bundle are 0 to 39"),
        ({"factor": "-3"}, "it has to be from 0"),
        ({"factor": "thirty"}, "it is not a whole number"),
        ({"factor": "1_0"}, "it is not a whole number"),
        ({"layer": "77"}, "the layers of this bundle are 0, 1, 2, 3"),
        ({"top": "0"}, "it has to be from 1 to 200"),
        ({"sort": "<b>"}, "it has to be one of activation"),
        ({"sentence_share": "nan"}, "it has to be from 0 to 1"),
        ({"bundle": "../../etc"}, "There is no bundle"),
        ({"factor": "9" * 5000}, "it is not a whole number"),
    ],
)
def test_a_link_that_asks_for_what_is_not_there_is_told_so_calmly(
    given_: dict[str, str], said: str
) -> None:
    app = open_page("pages/1_Factor.py", **given_)
    assert not app.exception
    assert not app.error
    assert said in app.info[0].value.replace("\\", "")
    assert len(app.info[0].value) < 400
    assert app.number_input(key="control_factor").value < 40


def test_factors_of_the_curves_page_are_checked_too() -> None:
    app = open_page("pages/3_Curves_and_saliency.py", factors="3,999")
    assert not app.exception
    assert "the factors of this bundle are 0 to 39" in app.info[0].value.replace("\\", "")


def test_hostile_text_is_shown_as_text() -> None:
    """Factor 1 of the made-up bundle answers to markup, and so does a document's title."""
    for layer in range(4):
        for path in PAGES[1::2]:
            app = open_page(path, factor="1", layer=str(layer), top="200", context="60")
            assert not app.exception
            body = html_of(app)
            assert not re.search(r"<(img|script|iframe|a|form|svg)\b", body)
            assert not re.search(r"<[^>]*\son\w+=", body)
            assert "a" * 100 not in body
    assert "&lt;" in html_of(open_page("pages/1_Factor.py", factor="1", layer="0", top="200"))


def test_control_characters_and_long_words_cannot_break_a_line() -> None:
    for token in [*HOSTILE, "\x00\x07\x85", "b" * 10_000]:
        shown = passages.escape(token)
        assert len(shown) < 500
        assert not re.search(r"[<>\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


def test_a_control_is_written_to_the_url_and_left_out_at_its_default() -> None:
    app = open_page("pages/1_Factor.py", factor="5")
    app.slider(key="control_context").set_value(4).run()
    assert query(app) == {"factor": "5", "context": "4"}
    app.slider(key="control_context").set_value(controls.CONTEXT.default).run()
    assert query(app) == {"factor": "5"}


def test_controls_keep_their_values_when_another_page_was_open_meanwhile() -> None:
    app = open_page("pages/1_Factor.py")
    app.number_input(key="control_factor").set_value(7).run()
    app.slider(key="control_context").set_value(3).run()
    links = {link.proto.label: link.proto for link in app.get("page_link")}
    assert "factor=7" in links["Curves and saliency"].query_string
    app.query_params.clear()
    app.switch_page("pages/0_Home.py").run()
    links = {link.proto.label: link.proto for link in app.get("page_link")}
    assert set(links["Factor"].query_string.split("&")) == {"factor=7", "context=3"}


def test_the_url_wins_over_the_session_as_after_the_back_button() -> None:
    app = open_page("pages/1_Factor.py", factor="5")
    app.number_input(key="control_factor").set_value(7).run()
    app.query_params["factor"] = "5"
    app.run()
    assert app.number_input(key="control_factor").value == 5


def test_next_goes_round_and_any_draws_a_living_factor() -> None:
    app = open_page("pages/1_Factor.py", factor="38")
    buttons = {button.label: button for button in app.button}
    buttons["Next"].click().run()
    assert query(app)["factor"] == "39"
    assert "dead" in words(app)  # the last factor of a made-up bundle is
    {button.label: button for button in app.button}["Next"].click().run()
    assert app.number_input(key="control_factor").value == 0
    {button.label: button for button in app.button}["Any"].click().run()
    assert "no token of the corpus" not in words(app)


def test_the_layer_follows_the_peak_until_one_is_chosen(made_up: Path) -> None:
    factors = Bundle.open(made_up / "default").factors
    app = open_page("pages/1_Factor.py", factor="4")
    assert f"Factor 4 at layer {factors['peak_layer'][4]}" in words(app)
    app.segmented_control(key="control_layer").set_value(1).run()
    app.number_input(key="control_factor").set_value(5).run()
    assert "Factor 5 at layer 1" in words(app)


def test_the_list_shows_what_the_bundle_holds_strongest_first(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    peak = int(bundle.factors["peak_layer"][4])
    examples = bundle.examples(4, peak)
    app = open_page("pages/1_Factor.py", factor="4", top="10", floor="0")
    shown = [float(v) for v in re.findall(r'title="activation ([\d.]+), ', html_of(app))]
    assert shown == pytest.approx(examples["activation"][:10].tolist(), abs=6e-4)
    assert re.findall(r"<mark[^>]*><bdi>(.*?)</bdi>", html_of(app)) == [
        passages.escape(word) for word in examples["word"][:10]
    ]


def test_the_smallest_activation_leaves_the_weaker_examples_out() -> None:
    app = open_page("pages/1_Factor.py", factor="4", top="200", floor="50")
    shown = [float(v) for v in re.findall(r'title="activation ([\d.]+), ', html_of(app))]
    assert shown
    assert min(shown) >= 0.5 * max(shown)


@pytest.mark.parametrize("level", controls.LEVELS)
def test_the_same_seed_draws_the_same_factor_of_the_level(level: str, made_up: Path) -> None:
    path = "pages/2_Random_by_level.py"
    first, again = (words(open_page(path, level=level, seed="12")) for _ in range(2))
    assert first == again
    factor = int(re.search(r"Factor ([\d,]+) at layer", first)[1])
    assert Bundle.open(made_up / "default").factors["level"][factor] == level


def test_a_click_on_a_level_draws_at_once_and_puts_the_seed_into_the_url() -> None:
    app = open_page("pages/2_Random_by_level.py")
    assert not re.search(r"Factor \d+ at layer", words(app))
    app.button(key="draw_mid").click().run()
    assert re.search(r"Factor \d+ at layer \d .* mid level", words(app))
    assert query(app)["level"] == "mid"
    assert query(app)["seed"].isdigit()


def test_thresholds_move_factors_between_the_levels_live() -> None:
    path = "pages/2_Random_by_level.py"
    app = open_page(path, low_depth="1", sentence_share="0.5")
    assert "39 low · 0 mid · 0 high" in words(app)
    app.slider(key="control_low_depth").set_value(0.0).run()
    app.slider(key="control_sentence_share").set_value(1.0).run()
    counts = re.search(r"(\d+) low · (\d+) mid · (\d+) high", words(app))
    assert int(counts[2]) == 0
    assert int(counts[3]) > 0


def test_a_level_is_shown_with_its_rule_its_numbers_and_its_margin(made_up: Path) -> None:
    factors = Bundle.open(made_up / "default").factors
    row = factors[factors["level"] == "high"].iloc[0]
    app = open_page("pages/1_Factor.py", factor=str(row["factor"]))
    word, kept = row["word_elsewhere"], row["sentence_elsewhere"]
    assert f"peaks at layer {row['peak_layer']} of 3, a depth of {row['depth']:.0%}" in words(app)
    assert f"its words keep {word:.0%} of the activation at other places" in words(app)
    assert f"inside another text keeps {kept:.0%}, less than 50%" in words(app)
    margin = min(row["depth"] - 1 / 3, 0.55 - word, 0.5 - kept)
    assert f"(margin {margin:.0%})" in words(app)


def test_the_curve_of_a_factor_is_the_bundle_s_importance(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    app = open_page("pages/1_Factor.py", factor="4")
    values = enumerate(bundle.importance(4)["importance"])
    said = ", ".join(f"{value:.2f} at {layer}" for layer, value in values)
    assert f"Importance by layer: {said}. It peaks at layer" in words(app)
    other = open_page("pages/1_Factor.py", factor="5")
    charts, others = (
        [chart.proto.alt for chart in page.get("vega_lite_chart")] for page in (app, other)
    )
    assert charts == others  # a chart with other words would be embedded anew


def test_every_chart_and_table_has_words_for_those_who_cannot_see_it() -> None:
    for path in PAGES:
        app = open_page(path, level="mid", seed="1")
        charts = app.get("vega_lite_chart")
        assert all(len(chart.proto.alt) > 20 for chart in charts)


def test_a_click_on_a_point_of_a_curve_opens_that_factor_at_that_layer() -> None:
    app = open_page("pages/3_Curves_and_saliency.py", factors="3,4")
    app.session_state["curves"] = {"selection": {"pick": [{"factor": 4, "layer": 2}]}}
    follow(app.run())
    assert "Factor 4 at layer 2" in words(app)


def test_another_bundle_is_chosen_by_the_name_of_its_folder() -> None:
    app = open_page("pages/1_Factor.py", bundle="other", factor="3")
    assert app.selectbox(key="control_bundle").value == "other"
    assert app.number_input(key="control_factor").max == 19
    app = open_page("pages/1_Factor.py", factor="30")
    app.selectbox(key="control_bundle").set_value("other").run()
    assert "the factors of this bundle are 0 to 19" in app.info[0].value.replace("\\", "")


def test_the_environment_names_the_bundle_that_opens_first(
    made_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFACTORS_BUNDLE", str(made_up / "other"))
    app = open_page("pages/1_Factor.py")
    assert app.number_input(key="control_factor").max == 19
    monkeypatch.setenv("TFACTORS_BUNDLE", str(made_up / "nothing"))
    app = open_page("pages/1_Factor.py")
    assert not app.exception
    assert "This bundle cannot be read" in words(app)


def test_a_rebuilt_bundle_is_seen_without_a_restart(damaged: Path) -> None:
    assert open_page().metric[0].value == "40"
    shutil.rmtree(damaged)
    write_synthetic_bundle(damaged, factors=20)
    assert open_page().metric[0].value == "20"


def test_the_lists_can_be_downloaded() -> None:
    app = open_page("pages/1_Factor.py", factor="4")
    assert [button.label for button in app.get("download_button")] == ["CSV", "Parquet"]


def test_stored_saliency_marks_support_and_opposition_without_colour_alone(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    factor = next(f for f in range(0, 40, 10) if bundle.factors["alive"][f])
    app = open_page("pages/3_Curves_and_saliency.py", factor=str(factor))
    assert "Stored with the bundle" in words(app)
    assert 'class="tf-plus"' in html_of(app)
    assert 'class="tf-minus"' in html_of(app)
    assert "(dashed)" in words(app)


def test_without_the_model_the_saliency_page_says_what_to_install() -> None:
    app = open_page("pages/3_Curves_and_saliency.py", factor="4")
    assert "install the model synthetic" in words(app)
    explain = next(b for b in app.button if b.label.startswith("Explain"))
    assert explain.disabled


def test_an_example_is_explained_with_the_model_once_and_then_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle_of_minilm(tmp_path / "default")
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    page = "pages/3_Curves_and_saliency.py"
    asked = {"factor": "1", "layer": "3", "samples": "150", "method": "lime"}
    app = open_page(page, **asked)
    explain = next(b for b in app.button if b.label == "Explain with LIME")
    explain.click().run(timeout=120)
    assert not app.exception
    assert "LIME: score" in words(app)
    assert html_of(app).count('class="tf-plus"') > 1  # one stands in the legend
    again = open_page(page, **asked)
    assert html_of(again) == html_of(app)
    both = open_page(page, **(asked | {"method": "both", "radius": "4"}))
    next(b for b in both.button if b.label.startswith("Explain with LIME and")).click().run()
    assert not both.exception
    assert re.search(r"The two maps (agree to|cannot be compared)", words(both))
    assert "LIME: score" in words(both)
    assert "Occlusion: " in words(both)
    wrong = open_page(page, factor="2", layer="3", replacement="nosuchtoken!", method="lime")
    next(b for b in wrong.button if b.label == "Explain with LIME").click().run(timeout=120)
    assert not wrong.exception
    assert "is no token of the model" in words(wrong)


@pytest.mark.parametrize("part", controls.PARTS)
def test_every_part_of_a_factor_opens_for_a_living_and_a_dead_factor(part: str) -> None:
    for factor in ("4", "39"):
        app = open_page("pages/1_Factor.py", factor=factor, part=part)
        assert not app.exception
        assert not app.error


def test_the_words_of_a_layer_are_those_of_the_bundle(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    body = html_of(open_page("pages/1_Factor.py", factor="4", part="layers"))
    column = body[body.index("Layer 2</h4>") : body.index("Layer 3</h4>")]
    shown = re.findall(r"<li style=[^>]*><bdi>(.*?)</bdi>", column)
    words_ = bundle.words(4, 2)
    carried = (words_["count"] * words_["mean_activation"]).sort_values(ascending=False)
    best = words_["word"][carried.index[: len(shown)]]
    assert shown == [passages.escape(word) for word in best]
    assert len(shown) > 3


def test_the_context_part_says_what_is_left_of_the_activation(made_up: Path) -> None:
    kept = Bundle.open(made_up / "default").retention(4)
    word = float(kept.loc[kept["kind"] == "word", "retained"].iloc[0])
    app = open_page("pages/1_Factor.py", factor="4", part="context")
    assert f"the word alone keeps **{word:.0%}**" in words(app)
    row = Bundle.open(made_up / "default").factors.iloc[4]
    shown = html_of(app)
    assert f"{abs(row['depth'] - 1 / 3):.2f} or" in shown
    assert f"{abs(row['word_elsewhere'] - 0.55) * 100:.0f} points" in shown
    assert f"{abs(row['sentence_elsewhere'] - 0.5) * 100:.0f} points" in shown


def test_the_window_layout_shows_all_that_the_model_read(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    example = bundle.examples(4, 2).iloc[0]
    tokens = bundle.windows([int(example["window"])])["tokens"].iloc[0]
    app = open_page("pages/1_Factor.py", factor="4", layer="2", layout="window", top="1")
    shown = re.sub(r"<[^>]+>|¶", "", html_of(app))
    assert re.sub(r"\s", "", html.escape("".join(tokens))) in re.sub(r"\s", "", shown)


def test_words_the_factor_answers_to_as_a_rule_are_tinted(made_up: Path) -> None:
    # The strongest 20 are tinted by their activations, those behind them by habit.
    app = open_page("pages/1_Factor.py", factor="8", top="50", context="30")
    listed = html_of(app).partition('<ol class="tf-list"')[2]
    tinted = re.findall(r'class="tf-habit"[^>]*>(.*?)</span>', listed)
    bundle = Bundle.open(made_up / "default")
    known = set(bundle.words(8, int(bundle.factors["peak_layer"][8]))["word"])
    whole = {word.casefold() for word in tinted}
    assert whole
    assert all(any(word in other for other in known) for word in whole)


def test_the_strongest_examples_are_tinted_by_the_activations_that_the_bundle_holds(
    made_up: Path,
) -> None:
    bundle = Bundle.open(made_up / "default")
    factor, layer = 8, int(bundle.factors["peak_layer"][8])
    context = bundle.contexts(factor, layer).iloc[0]
    top = bundle.examples(factor, layer, 1).iloc[0]
    app = open_page("pages/1_Factor.py", factor=str(factor), top="10", layout="window")
    first = html_of(app).partition('<ol class="tf-list"')[2].partition("</li>")[0]
    shown = {
        float(value) for value in re.findall(r'tf-plus" [^>]*title="activation ([\d.]+)"', first)
    }
    at = bundle.windows([top["window"]])["word_starts"][0]
    _, start, stop, _ = cut(at, int(top["position"]), None)
    beside = [
        round(float(value), 2)
        for position, value in zip(context["positions"], context["activations"], strict=True)
        if not start <= position < stop and value >= passages.FAINTEST * top["activation"]
    ]
    assert beside
    assert shown == set(beside)


def test_without_the_model_the_other_examples_say_what_to_install() -> None:
    app = open_page("pages/1_Factor.py", factor="8", top="50", tokens="on")
    assert not app.exception
    assert "asks the model itself" in words(app)
    assert "tf-habit" in html_of(app)
    shown = open_page("pages/1_Factor.py", factor="8", top="10", tokens="on")
    assert "asks the model itself" not in words(shown)  # the bundle holds all that is listed


def test_the_model_says_what_the_factor_does_at_every_token_of_the_other_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle_of_minilm(tmp_path / "default")
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    bundle = Bundle.open(tmp_path / "default")
    query = {"factor": "2", "layer": "3", "top": "50", "layout": "window", "tokens": "on"}
    app = open_page("pages/1_Factor.py", **query)
    assert not app.exception
    assert "tf-habit" not in html_of(app)
    example = bundle.examples(2, 3, 50).iloc[30]
    token_ids = bundle.windows([example["window"]])["token_ids"].iloc[0]
    encoder = FactorEncoder.from_bundle(bundle)
    expected = encoder.encode([token_ids], 3)[:, [2]].toarray().ravel()
    row = html_of(app).partition('<ol class="tf-list"')[2].split("</li>")[30]
    shown = {float(value) for value in re.findall(r'title="activation ([\d.]+)"', row)}
    beside = {round(float(value), 2) for value in expected}
    # Tokens of the marked word have its number, and faint ones are left plain.
    assert len(shown) > 1
    assert shown - {round(float(example["activation"]), 2)} <= beside


def test_activations_drawn_at_random_stand_in_bands_of_strength(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    layer = int(bundle.factors["peak_layer"][8])
    samples = bundle.samples(8, layer)
    app = open_page("pages/1_Factor.py", factor="8", part="random")
    bodies = html_of(app)
    below = samples[samples["quantile"] <= 0.5].head(8)
    assert len(below)
    for activation in below["activation"]:
        assert f">{activation:.2f}</span>" in bodies
    assert any("Below the middle" in m.value for m in app.markdown)


def test_similar_factors_and_tokens_come_with_their_numbers(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    app = open_page("pages/1_Factor.py", factor="8", part="similar")
    together = bundle.neighbours(8, "together")
    tables = [table.value for table in app.dataframe]
    shown = next(table for table in tables if "together" in table)
    assert shown["together"].tolist() == pytest.approx(together["value"].tolist())
    assert shown["factor"].tolist() == together["other"].tolist()
    bodies = html_of(app)
    for row in bundle.vocabulary(8).itertuples():
        assert f"<bdi>{passages.escape(row.token)}</bdi> <small>{row.value:.2f}" in bodies


def test_a_label_says_how_often_it_is_right(made_up: Path) -> None:
    factors = Bundle.open(made_up / "default").factors
    row = factors[factors["label_kind"] == "lemma"].iloc[0]
    head = words(open_page("pages/1_Factor.py", factor=str(row["factor"])))
    assert f"{row['label_precision']:.0%} of the held-out tokens" in head
    assert f"{row['label_recall']:.0%} of those" in head


def test_search_ranks_factors_by_what_a_word_gives_of_their_best(made_up: Path) -> None:
    from tfactors.app.views import search as searching

    bundle = Bundle.open(made_up / "default")
    scores, missing = searching.by_words(bundle, ["river", "nosuchword"])
    assert missing == ["nosuchword"]
    for row in scores.head(5).itertuples():
        word = bundle.words(row.factor, row.at).set_index("word").loc["river"]
        peak = bundle.importance(row.factor)["importance"].max()
        mean = word["mean_activation"] * word["count"] / word["occurrences"]
        assert row.match == pytest.approx(mean / peak, rel=1e-5)
        assert row.active == pytest.approx(word["count"] / word["occurrences"])
    assert scores["match"].is_monotonic_decreasing
    assert scores["factor"].is_unique
    nothing, missing = searching.by_words(bundle, ["nosuchword"])
    assert nothing.empty
    assert missing == ["nosuchword"]


def test_search_goes_by_number_filters_by_level_and_opens_what_is_chosen() -> None:
    app = open_page("pages/4_Search.py", q="7")
    assert app.dataframe[0].value["factor"].iloc[0] == 7
    app.session_state["found"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    follow(app.run())
    assert "Factor 7 at layer" in words(app)
    app = open_page("pages/4_Search.py", q="7")
    app.session_state["found"] = {"selection": {"rows": [], "columns": [], "cells": [(0, "at")]}}
    follow(app.run())
    assert "Factor 7 at layer" in words(app)
    app = open_page("pages/4_Search.py", q="999999999999999")
    assert "No factor was found" in words(app)
    app = open_page("pages/4_Search.py", q="river", stable="1")
    assert "The filters leave none of the" in words(app)
    app = open_page("pages/4_Search.py", **{"in": "high"})
    table = app.dataframe[0].value
    assert set(table["level"]) == {"high"}
    app = open_page("pages/4_Search.py", q="zzzz <img src=x>")
    assert not app.exception
    assert "Not in the index" in words(app)


def test_a_text_of_the_readers_own_is_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle_of_minilm(tmp_path / "default")
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    path, text = "pages/5_Your_text.py", "He left the <b>house</b> $x$."
    app = open_page(path)
    next(b for b in app.button if b.label.startswith("He left")).click().run(timeout=120)
    assert query(app)["text"].startswith("He left the house")
    assert "Its factors against λ" in words(app)

    app = open_page(path, text=text, token="1", layer="3")
    bundle = Bundle.open(tmp_path / "default")
    made = tfactors.decompose(bundle, text)
    here = made.residuals.query("position == 1 and layer == 3").iloc[0]
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Active factors"] == str(int(here["l0"]))
    assert values["Explained"] == f"{here['explained']:.0%}"
    assert "left = " in words(app)
    assert "<b>house" not in html_of(app)

    slider = app.slider(key="control_penalty")
    slider.set_value(slider.max).run()
    assert not app.exception
    fewer = {metric.label: metric.value for metric in app.metric}["Active factors"]
    assert int(fewer) < int(values["Active factors"])
    assert float(query(app)["penalty"]) == pytest.approx(slider.max)
    app = open_page(path, text=text, token="1", layer="3", times="2", **{"with": "He went."})
    factor = int(app.selectbox(key="control_moved").value)
    moved = tfactors.intervene(bundle, text, factor, 3, position=1, times=2.0, other="He went.")
    values = {metric.label: metric.value for metric in app.metric}
    assert float(values["Change of the embedding"].rstrip("%")) == pytest.approx(
        100 * moved.change, abs=0.06
    )
    before, after = moved.similarity
    assert values["Cosine with the other text"] == f"{before:.3f} → {after:.3f}"
    app.segmented_control(key="control_where").set_value("all").run()
    assert query(app)["where"] == "all"
    everywhere = tfactors.intervene(bundle, text, factor, 3, times=2.0)
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Change of the embedding"] == f"{everywhere.change:.1%}"

    app = open_page("pages/1_Factor.py", factor="3", part="effect", layer="2")
    effect = bundle.effects(3).iloc[0]
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Ratio"] == f"{effect['ratio']:.2f} ± {effect['ratio_error']:.2f}"
    assert "Change of the embedding" in values
    app = open_page(path, text="word " * 700)
    assert "reads at most" in words(app)
    assert app.text_area[0].label == "A text of up to 512 tokens"


def test_a_model_of_few_positions_says_how_much_text_it_takes_before_and_after_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(str(write_tiny_bert(tmp_path / "model")))
    write_synthetic_bundle(
        tmp_path / "bundles/default", layers=3, width=model.width, factors=20, hostile=False
    )
    manifest = Bundle.open(tmp_path / "bundles/default").manifest
    manifest["model"] |= {"name": model.name, "sha256": model.sha256}
    write_manifest(tmp_path / "bundles/default", manifest)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path / "bundles"))
    path, most = "pages/5_Your_text.py", model.max_length
    app = open_page(path)
    assert app.text_area[0].label == f"A text of up to {most} tokens"
    app = open_page(path, text="the " * most)
    assert not app.exception
    assert "Its factors against λ" in words(app)
    app = open_page(path, text="the " * (most + 1))
    assert f"the text has {most + 1} tokens" in words(app)
    assert f"reads at most {most} at once" in words(app)
    assert app.text_area[0].label == f"A text of up to {most} tokens"


def test_looking_factors_up_never_loads_the_model() -> None:
    script = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from streamlit.testing.v1 import AppTest
for path in {PAGES!r}:
    app = AppTest.from_file({str(ROOT / "dashboard.py")!r}, default_timeout=30).run()
    app.switch_page(path).run()
    assert not app.exception, app.exception
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")


def test_an_error_of_ours_is_a_calm_page_and_its_text_no_markup() -> None:
    def page() -> None:
        from tfactors.app.frame import shell
        from tfactors.bundle import BundleError

        shell.sorry(BundleError("file :red[x] $y$ <b>: damaged"), "mine")

    app = AppTest.from_file(str(ROOT / "dashboard.py")).run()
    assert not app.exception
    assert shell.plain("*a* :red[b] $c$ <d> `e`") == (
        "\\*a\\* \\:red\\[b\\] \\$c\\$ \\<d\\> \\`e\\`"
    )
    assert isinstance(BundleError("x"), ValueError)
    assert page is not None


def test_what_follows_a_word_is_unread_text_to_a_causal_model():
    example = passages.Passage(["We", " left", " home"], 1, 2, 1.0, "", "left", causal=True)
    for draw in (passages.lines, passages.texts):
        assert '<span class="tf-outside"> home</span>' in draw([example], 1.0)
    assert "not read by the model here, which reads from left" in passages.legend([example])
    both_ways = replace(example, causal=False)
    assert "tf-outside" not in passages.texts([both_ways], 1.0) + passages.legend([both_ways])


@given(
    some.lists(some.booleans(), min_size=1, max_size=40),
    some.integers(0, 39),
    some.one_of(some.none(), some.integers(0, 50)),
)
def test_a_cut_keeps_whole_words_around_the_position(
    starts: list[bool], position: int, count: int | None
) -> None:
    import numpy as np

    position %= len(starts)
    first, start, stop, last = cut(np.array(starts), position, count)
    assert 0 <= first <= start <= position < stop <= last <= len(starts)
    whole = [True, *starts[1:], True]
    assert all(whole[i] for i in (first, start, stop, last))
    assert not any(whole[start + 1 : stop])
    words_before = sum(whole[first:start])
    assert words_before == (sum(whole[:start]) if count is None else min(count, sum(whole[:start])))


@given(some.integers(0, 10**9))
def test_a_control_reads_back_what_it_wrote(value: int) -> None:
    assert controls.SEED.read(controls.SEED.write(value)) == value


@given(some.text(max_size=50))
def test_no_text_in_a_url_crashes_a_control(text: str) -> None:
    for control in {c for page in controls.PAGES for c in page.controls}:
        with contextlib.suppress(url_state.Unusable):
            assert isinstance(control.write(control.read(text)), str)


def test_what_was_measured_is_shown_as_text_with_its_sample_and_a_chart(damaged: Path) -> None:
    columns = (Column("layer", "Layer", "text"), Column("l0", "L0", "number", "mean ‖α‖₀"))
    hostile = "<img src=x onerror=alert(1)> **bold**"
    table = Table(hostile, "7 tokens", columns, (("0", 4.25),), Chart("layer", "l0"))
    section = Section("reconstruction", "Reconstruction", hostile, (hostile,), (table,), "other")
    write_section(damaged / "evidence", section)
    (damaged / "evidence" / "fidelity.json").write_text("[1]")
    app = open_page(controls.EVIDENCE_PAGE.path)
    assert not app.exception
    assert "7 tokens" in words(app)
    assert "\\<img src=x" in words(app)
    assert " **bold**" not in words(app)
    assert app.dataframe[0].value["l0"].tolist() == [4.25]
    assert len(app.get("vega_lite_chart")) == 1
    warnings = " ".join(warning.value for warning in app.warning)
    assert "fidelity.json" in warnings
    assert "another build" in warnings


def test_the_label_of_an_option_that_is_gone_is_not_taken_for_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list whose labels follow λ hands out the old label when λ moves."""
    state: dict[str, object] = {"control_moved": "15.1 · 30 river"}
    monkeypatch.setattr(st, "session_state", state)
    url_state._touched(controls.MOVED, "control_moved")
    assert url_state.get(controls.MOVED) is None


def test_what_is_folded_away_is_made_when_opened_and_stays_open_with_the_next_factor() -> None:
    app = open_page("pages/1_Factor.py", factor="7")
    assert "iframe" not in words(app)
    assert "This view exactly as it is now" in words(unfold(app, "share"))
    next(button for button in app.button if button.label == "Next").click().run()
    assert 'title="Factor 8"' in words(app)
