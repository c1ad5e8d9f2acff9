"""Search: by word, label, number and sentence, and what its filters let through."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from test_app import (  # noqa: F401
    _fresh_caches,
    made_up,
    open_page,
    query,
    words,
    write_bundle_of_minilm,
)

import tfactors
from tfactors.app.frame import controls
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
    made_up: Path,  # noqa: F811
) -> None:
    factors = Bundle.open(made_up / "default").factors
    kept = factors[column] == least if isinstance(least, str) else factors[column] >= least
    assert set(found(**{asked: str(least)})["factor"]) == set(factors.index[kept])
    assert 0 < kept.sum() < len(factors)


def test_the_densities_part_all_factors(made_up: Path) -> None:  # noqa: F811
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


def test_a_sentence_finds_the_factors_that_fire_in_it_the_strongest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle_of_minilm(tmp_path / "default")
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    text = "He left <b>it</b>."
    app = open_page(SEARCH, by="sentence", q=text)
    assert not app.exception
    rows = app.dataframe[0].value
    bundle = Bundle.open(tmp_path / "default")
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
