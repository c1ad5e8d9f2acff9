"""What every page has: the menu, the link that restores it, and calm words for what is wrong."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import altair as alt
import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some
from opened_page import ROOT, html_of, open_page, query, unfold, words
from streamlit.testing.v1 import AppTest
from synthetic_bundle import write_synthetic_bundle

from tfactors.app.frame import controls, shell, url_state
from tfactors.bundle import BundleError

PAGES = [page.path for page in controls.PAGES]
# Pages that show factors before anybody wrote anything.
READ_FACTORS = [
    page.path
    for page in controls.PAGES
    if page
    not in (
        *(controls.TEXT_PAGE, controls.ORIGINS_PAGE, controls.LABELS_PAGE),
        *(controls.EVIDENCE_PAGE, controls.SENSES_PAGE, controls.GALLERY_PAGE),
    )
]
HEAVY = ("torch", "transformers", "lime", "numba", "sklearn")


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
    app = open_page(path, level="low", basket="3.1")
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
        ({"sentence_share": "7"}, "it has to be from 0 to 1"),
        ({"sentence_share": "nan"}, "it is not a number"),
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


def test_a_control_is_written_to_the_url_and_left_out_at_its_default() -> None:
    app = open_page("pages/1_Factor.py", factor="5")
    app.slider(key="control_context").set_value(4).run()
    assert query(app) == {"factor": "5", "context": "4"}
    app.slider(key="control_context").set_value(controls.CONTEXT.default).run()
    assert query(app) == {"factor": "5"}


def test_controls_keep_their_values_when_another_page_was_open_meanwhile() -> None:
    app = open_page("pages/1_Factor.py", layout="lines")
    app.number_input(key="control_factor").set_value(7).run()
    app.slider(key="control_context").set_value(3).run()
    links = {link.proto.label: link.proto for link in app.get("page_link")}
    assert "factor=7" in links["Curves and saliency"].query_string
    app.query_params.clear()
    app.switch_page("pages/0_Home.py").run()
    links = {link.proto.label: link.proto for link in app.get("page_link")}
    assert set(links["Factor"].query_string.split("&")) == {
        *("factor=7", "context=3", "layout=lines"),
    }


def test_the_url_wins_over_the_session_as_after_the_back_button() -> None:
    app = open_page("pages/1_Factor.py", factor="5")
    app.number_input(key="control_factor").set_value(7).run()
    app.query_params["factor"] = "5"
    app.run()
    assert app.number_input(key="control_factor").value == 5


def test_every_chart_is_valid_and_has_words_for_those_who_cannot_see_it() -> None:
    drawn: set[str] = set()
    for path in PAGES:
        app = open_page(path, level="mid", seed="1")
        for chart in app.get("vega_lite_chart"):
            assert len(chart.proto.alt) > 20
            drawn.add(chart.proto.spec)
    assert len(drawn) > 5
    for spec in drawn:
        alt.Root.validate(json.loads(spec))


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


@pytest.mark.process
def test_looking_factors_up_never_loads_the_model() -> None:
    script = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests/support")!r}]
import component_scan
from streamlit.testing.v1 import AppTest
for path in {PAGES!r}:
    app = AppTest.from_file({str(ROOT / "dashboard.py")!r}, default_timeout=120).run()
    app.switch_page(path).run()
    assert not app.exception, app.exception
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")


def test_an_error_of_ours_is_a_calm_page_and_its_text_no_markup() -> None:
    def page() -> None:
        from tfactors.app.frame import shell
        from tfactors.bundle import BundleError

        shell.show_error(BundleError("file :red[x] $y$ <b>: damaged"), "mine")

    app = AppTest.from_file(str(ROOT / "dashboard.py")).run()
    assert not app.exception
    assert shell.plain_text("*a* :red[b] $c$ <d> `e`") == (
        "\\*a\\* \\:red\\[b\\] \\$c\\$ \\<d\\> \\`e\\`"
    )
    assert isinstance(BundleError("x"), ValueError)
    assert page is not None


@given(some.integers(0, 10**9))
def test_a_control_reads_back_what_it_wrote(value: int) -> None:
    assert controls.SEED.read(controls.SEED.write(value)) == value


@given(some.text(max_size=50))
def test_no_text_in_a_url_crashes_a_control(text: str) -> None:
    for control in {c for page in controls.PAGES for c in page.controls}:
        with contextlib.suppress(url_state.Unusable):
            assert isinstance(control.write(control.read(text)), str)


def test_the_label_of_an_option_that_is_gone_is_not_taken_for_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list whose labels follow λ hands out the old label when λ moves."""
    state: dict[str, object] = {"control_moved": "15.1 · 30 river"}
    monkeypatch.setattr(st, "session_state", state)
    url_state._touched(controls.MOVED, "control_moved")
    assert url_state.value_of(controls.MOVED) is None


def test_what_is_folded_away_is_made_when_opened_and_stays_open_with_the_next_factor() -> None:
    app = open_page("pages/1_Factor.py", factor="7")
    assert "iframe" not in words(app)
    assert "This view exactly as it is now" in words(unfold(app, "share"))
    next(button for button in app.button if button.label == "Next").click().run()
    assert 'title="Factor 8"' in words(app)
