"""Two factors side by side: what they share, and who is most like whom."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from opened_page import open_page, query, words

from tfactors.app.views import compare_matching
from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_dictionary, write_manifest

COMPARE = "pages/7_Compare.py"


def metrics(**asked: str) -> dict[str, str]:
    app = open_page(COMPARE, **asked)
    assert not app.exception
    return {metric.label: metric.value for metric in app.metric}


def test_a_factor_beside_itself_shares_everything(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    found = metrics(factor="4", to="4")
    count = len(bundle.examples(4, int(bundle.factors["peak_layer"][4])))
    assert found["Cosine"] == "1.00"
    assert found["Shared examples"] == f"{count} of {count}"
    layers = metrics(factor="4", to="4", layer="0", to_layer="3")
    assert layers["Cosine"] == "1.00"
    assert layers["Shared examples"] != found["Shared examples"]


def test_the_best_matches_are_the_nearest_directions_and_overlaps_are_counted(
    made_up: Path,
) -> None:
    bundle = Bundle.open(made_up / "default")
    found = compare_matching.best_matches(bundle, 4, bundle)
    cosine = bundle.dictionary @ bundle.dictionary[4]
    cosine[4] = -1
    assert found["factor"][0] == cosine.argmax()
    assert 4 not in set(found["factor"])
    np.testing.assert_allclose(found["cosine"], cosine[found["factor"]], rtol=1e-5)
    for row in found.itertuples():
        lists = [
            bundle.examples(at, int(bundle.factors["peak_layer"][at]))[["window", "position"]]
            for at in (4, row.factor)
        ]
        both = len(lists[0].merge(lists[1]))
        either = len(lists[0]) + len(lists[1]) - both
        assert row.examples == pytest.approx(both / either if either else 0)
        mine, theirs = (
            {word.casefold() for word in bundle.factors["words"][at]} for at in (4, row.factor)
        )
        assert row.words == len(mine & theirs)


def test_another_text_leaves_the_overlap_out_and_says_why(made_up: Path) -> None:
    app = open_page(COMPARE, factor="4", to_bundle="other")
    assert not app.exception
    assert "surveyed on different windows" in words(app)
    shown = {metric.label for metric in app.metric}
    assert "Shared examples" not in shown
    assert "shared_examples" not in app.dataframe[0].value
    assert app.number_input(key="control_to").max == 19


def test_another_model_leaves_the_cosine_out_and_says_why(
    made_up: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("default", "twin"):
        shutil.copytree(made_up / "default", tmp_path / name)
    manifest = Bundle.open(tmp_path / "twin").manifest
    manifest["model"]["sha256"] = "1" * 64
    write_manifest(tmp_path / "twin", manifest)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    app = open_page(COMPARE, factor="4", to_bundle="twin")
    assert not app.exception
    assert "No cosine: the dictionaries are of two models" in words(app)
    rows = app.dataframe[0].value
    assert rows["factor"][0] == 4  # of the twin, whose examples are all the same
    assert rows["shared_examples"][0] == 1


def test_a_dictionary_of_another_order_is_found_again(
    made_up: Path,
    tmp_path: Path,
) -> None:
    shutil.copytree(made_up / "default", tmp_path / "turned")
    one = Bundle.open(made_up / "default")
    order = np.random.default_rng(0).permutation(one.n_factors)
    write_dictionary(tmp_path / "turned", one.dictionary[order])
    manifest = one.manifest | {"title": "turned"}
    manifest["files"] = dict(manifest["files"])
    size = (tmp_path / "turned" / "dictionary.parquet").stat().st_size
    manifest["files"]["dictionary.parquet"] |= {"bytes": size}
    write_manifest(tmp_path / "turned", manifest)
    other = Bundle.open(tmp_path / "turned")
    assert order[compare_matching.best_matches(one, 4, other)["factor"][0]] == 4
    again = compare_matching.share_found_again(one, other)
    assert again is not None
    assert again > 0.9  # but for those whose place a dead factor has


def test_a_row_takes_the_other_side_and_the_link_says_so() -> None:
    app = open_page(COMPARE, factor="4")
    second = int(app.dataframe[0].value["factor"][1])
    app.session_state["matches_4"] = {"selection": {"rows": [], "cells": [(1, "words")]}}
    app.run()
    assert not app.exception
    assert query(app) == {"factor": "4", "to": str(second)}
    assert f"Factor {second} at layer" in words(app)
    link = open_page(COMPARE, **query(app))
    assert f"Factor {second} at layer" in words(link)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"to": "99"}, "are 0 to 39"),
        ({"to": "x"}, "it is not a whole number"),
        ({"to_bundle": "<b>"}, "There is no bundle"),
    ],
)
def test_a_side_that_is_not_there_is_told_so(asked: dict[str, str], said: str) -> None:
    app = open_page(COMPARE, factor="4", **asked)
    assert not app.exception
    assert said in words(app).replace("\\", "")
