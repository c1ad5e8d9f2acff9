"""A link restores what it was copied from: every control of every page, on the default bundle.

Each row moves the controls of a page as a reader does, one after the other, and opens the address
that comes out in a session of its own.
"""

from typing import Any

import pytest
import streamlit as st
from opened_page import ROOT, html_of, open_page, query, words
from streamlit.testing.v1 import AppTest

from tfactors.app.frame import controls
from tfactors.app.frame.controls import Page

KINDS = ("button_group", "multiselect", "number_input", "selectbox", "slider", "text_area",
         "text_input", "toggle")  # fmt: skip

LISTING = [("top", 20), ("floor", 30), ("context", 5), ("group", True), ("sort", "before"),
           ("layout", "text"), ("layout", "lines"), ("layout", "window")]  # fmt: skip
LEVELS = [("low_words", 12.0), ("window_share", 0.2)]
TEXT = "He left the house by the river bank, with his left hand in his pocket."

MOVES: list[tuple[Page, list[tuple[str, Any]]]] = [
    (controls.FACTOR_PAGE, [("factor", 30), ("layer", 3), *LISTING, *LEVELS]),
    (controls.FACTOR_PAGE, [("factor", 30), ("part", "context")]),
    (controls.FACTOR_PAGE, [("having", "the"), ("having_in", "window"), ("source", "sotu"),
                            ("since", 1850), ("until", 1990), ("part", "random")]),
    (controls.FACTOR_PAGE, [("part", "effect"), ("example", 3), ("times", 2.0), ("where", "all")]),
    (controls.RANDOM_PAGE, [("window_share", 0.9), ("group", True)]),
    (controls.CURVES_PAGE, [("factors", [30, 177]), ("scale", "peak"), ("factor", 30),
                            ("layer", 5), ("method", "occlusion"), ("method", "lime"),
                            ("radius", 20), ("samples", 200), ("features", 12),
                            ("replacement", "the"), ("lime_seed", 3), ("recipe", "2021"),
                            ("example", 2)]),
    (controls.GALLERY_PAGE, [("find", "second")]),
    (controls.SEARCH_PAGE, [("q", "left"), ("in", "mid"), ("peak", 6), ("density", "rare"),
                            ("kind", "word"), ("precision", 0.2), ("recall", 0.1),
                            ("stable", 0.4), *LEVELS]),
    (controls.SEARCH_PAGE, [("by", "sentence"), ("q", TEXT)]),
    (controls.SENSES_PAGE, [("word", "well"), ("layer", 4), ("all", True)]),
    (controls.TEXT_PAGE, [("text", TEXT), ("layer", 3), ("measure", "l0"),
                          ("measure", "factor"), ("factor", 30), ("penalty", 3.0),
                          ("with", "She left early."), ("with_token", 1), ("beside", "text"),
                          ("times", 2.0), ("where", "all")]),
    (controls.ORIGINS_PAGE, [("text", TEXT), ("layer", 4), ("penalty", 1.0), ("factor", 1147),
                             ("kept", 60)]),
    (controls.MAP_PAGE, [("places", "levels"), ("colour", "density"), *LEVELS]),
    (controls.MAP_PAGE, [("lit", "war"), ("in", "mid"), ("peak", 5)]),
    (controls.COMPARE_PAGE, [("factor", 30), ("layer", 6), ("to", 5), ("to_layer", 2)]),
    (controls.EVIDENCE_PAGE, [("section", "fidelity")]),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _default_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(ROOT / "artifacts"))


def widgets(app: AppTest) -> dict[str, Any]:
    """The controls on the page, by the name that the URL has for them."""
    found = [widget for kind in KINDS for widget in app.get(kind)]
    prefix = "control_"
    return {w.key.removeprefix(prefix): w for w in found if (w.key or "").startswith(prefix)}


def seen(app: AppTest) -> dict[str, Any]:
    """What a reader sees: words, figures, tables, and where each control stands."""
    return {
        "words": words(app),
        "html": html_of(app),
        "figures": [(metric.label, metric.value) for metric in app.metric],
        "tables": [table.value.to_csv() for table in app.dataframe],
        "controls": {name: widget.value for name, widget in widgets(app).items()},
    }


# What asks the model of a text of the reader's.
ASKS_THE_MODEL = ("example", "by", "text")


def rows() -> list[Any]:
    """The rows of the table above, with a mark where the model is asked."""
    marked = []
    for page, moves in MOVES:
        asks = page is not controls.CURVES_PAGE and {name for name, _ in moves} & {*ASKS_THE_MODEL}
        marks = [pytest.mark.model] if asks else []
        marked.append(pytest.param(page, moves, id=page.title, marks=marks))
    return marked


@pytest.mark.parametrize(("page", "moves"), rows())
def test_a_link_restores_every_control_and_all_that_is_seen(page: Page, moves: list) -> None:
    app = open_page(page.path)
    app.session_state["fold_levels"] = True
    app.run(timeout=120)
    for name, value in moves:
        found = widgets(app)
        assert name in found, f"{page.title} shows {', '.join(found)}"
        if name == "q" and "precision" in found:
            app.session_state["fold_filters"] = True
        found[name].set_value(value).run(timeout=120)
        assert not app.exception
    asked = query(app)
    assert set(asked) == {name for name, _ in moves}
    st.cache_data.clear()
    other = open_page(page.path, **asked)
    other.session_state["fold_levels"] = True
    other.run(timeout=120)
    assert query(other) == asked
    for kind, expected in seen(app).items():
        assert seen(other)[kind] == expected
