"""Search: by word, label, number and sentence, and what its filters let through."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from opened_page import follow, open_page, query, words

import tfactors
from tfactors.app.frame import controls
from tfactors.app.views import search as search_view
from tfactors.bundle import Bundle

SEARCH = "pages/4_Search.py"


def found(**asked: str) -> pd.DataFrame:
    app = open_page(SEARCH, **asked)
    assert not app.exception
    return app.dataframe[0].value if app.dataframe else pd.DataFrame({"factor": []})


@pytest.mark.parametrize(
    ("asked", "column", "least"),
    [
        ("precision", "label_precision", 0.7),
        ("recall", "label_recall", 0.7),
        ("kind", "label_kind", "number"),
    ],
)
def test_a_quality_filter_keeps_exactly_those_that_reach_it(
    asked: str,
    column: str,
    least: float | str,
    made_up: Path,
) -> None:
    factors = Bundle.open(made_up / "default").factors
    kept = factors[column] == least if isinstance(least, str) else factors[column] >= least
    assert set(found(**{asked: str(least)})["factor"]) == set(factors.index[kept])
    assert 0 < kept.sum() < len(factors)


def test_the_densities_part_all_factors(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    seen: list[int] = []
    for name in controls.DENSITIES:
        if name:
            seen += found(density=name)["factor"].tolist()
    assert sorted(seen) == list(range(bundle.n_factors))


def test_filters_stay_in_the_link_and_combine() -> None:
    app = open_page(SEARCH)
    app.selectbox(key="control_kind").set_value("word").run()
    app.slider(key="control_precision").set_value(0.5).run()
    assert query(app) == {"kind": "word", "precision": "0.5"}
    shown = app.dataframe[0].value
    assert shown.equals(found(kind="word", precision="0.5"))
    assert set(shown["label_kind"]) == {"word"}


@pytest.mark.model
def test_a_sentence_finds_the_factors_that_fire_in_it_the_strongest_first(
    asks_minilm: Path,
) -> None:
    text = "He left <b>it</b>."
    app = open_page(SEARCH, by="sentence", q=text)
    assert not app.exception
    rows = app.dataframe[0].value
    bundle = Bundle.open(asks_minilm)
    fired = tfactors.decompose(bundle, text).factors.groupby("factor")["activation"].max()
    assert set(rows["factor"]) == set(fired.index)
    assert rows["activation"].to_numpy() == pytest.approx(fired[rows["factor"]].to_numpy(), rel=0.1)
    peaks = bundle.importance().groupby("factor")["importance"].max()[rows["factor"]].to_numpy()
    alive = peaks > 0
    match, activation = rows["match"].to_numpy(), rows["activation"].to_numpy()
    assert match[alive] == pytest.approx(activation[alive] / peaks[alive])
    assert set(match[~alive]) <= {1.0}
    assert rows["match"].is_monotonic_decreasing
    assert "no words" in words(open_page(SEARCH, by="sentence", q="​"))


def test_without_the_model_a_sentence_gets_the_command_that_brings_it() -> None:
    app = open_page(SEARCH, by="sentence", q="He left.")
    assert not app.exception
    assert "hf download synthetic" in words(app)


def test_whatever_package_the_model_lacks_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *at: None if name == "numba" else real(name, *at)
    )
    app = open_page(SEARCH, by="sentence", q="He left.")
    assert not app.exception
    assert "pip install numba" in words(app)


def test_search_ranks_factors_by_what_a_word_gives_of_their_best(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    scores, missing = search_view.factors_by_words(bundle, ["river", "nosuchword"])
    assert missing == ["nosuchword"]
    for row in scores.head(5).itertuples():
        word = bundle.words(row.factor, row.at).set_index("word").loc["river"]
        peak = bundle.importance(row.factor)["importance"].max()
        mean = word["mean_activation"] * word["count"] / word["occurrences"]
        assert row.match == pytest.approx(mean / peak, rel=1e-5)
        assert row.active == pytest.approx(word["count"] / word["occurrences"])
    assert scores["match"].is_monotonic_decreasing
    assert scores["factor"].is_unique
    nothing, missing = search_view.factors_by_words(bundle, ["nosuchword"])
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
