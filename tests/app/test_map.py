"""The map: every living factor a dot, and an area that lists what is in it."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from opened_page import open_page, query, words
from streamlit.testing.v1 import AppTest

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest, write_table

MAP = "pages/6_Map.py"


def listed(app: AppTest) -> list[int]:
    return sorted(app.dataframe[0].value["factor"]) if app.dataframe else []


def test_an_area_lists_the_living_factors_in_it(made_up: Path) -> None:
    factors = Bundle.open(made_up / "default").factors
    alive = factors[factors["alive"]]
    inside = alive[alive["map_x"].between(-10, 15) & alive["map_y"].between(-20, 5)]
    app = open_page(MAP, area="-10,15,-20,5")
    assert listed(app) == sorted(inside["factor"])
    assert 0 < len(inside) < len(alive)
    app.button[0].click().run()
    assert query(app) == {}
    assert listed(app) == []


def test_by_level_the_area_is_one_of_words_and_window(made_up: Path) -> None:
    factors = Bundle.open(made_up / "default").factors
    alive = factors[factors["alive"]]
    inside = alive[(alive["effective_words"] > 6) & (alive["window_share"] > 0.1)]
    app = open_page(MAP, places="levels", area="6,9999,0.1,1")
    assert listed(app) == sorted(inside["factor"])
    low, mid, high = ((inside["level"] == level).sum() for level in ("low", "mid", "high"))
    assert low == 0
    assert high > 0
    assert f"(0 low, {mid} mid, {high} high)" in words(app)
    chart = app.get("vega_lite_chart")[0].proto
    assert "the window decides" in chart.alt
    assert '"words that its strongest examples spread on"' in chart.spec


def test_of_an_older_bundle_the_area_is_one_of_depth_and_sentence(older: Path) -> None:
    factors = Bundle.open(older).factors
    alive = factors[factors["alive"]]
    inside = alive[(alive["depth"] > 0.9) & (alive["sentence_elsewhere"] < 0.5)]
    app = open_page(MAP, places="levels", area="0.84,1.16,0,0.5")
    assert listed(app) == sorted(inside["factor"])
    low, high = ((inside["level"] == level).sum() for level in ("low", "high"))
    assert high > 0
    assert f"({low} low, 0 mid, {high} high)" in words(app)


@pytest.mark.parametrize("colour", ["level", "peak", "density"])
def test_a_drag_is_written_to_the_link_once(colour: str) -> None:
    app = open_page(MAP, colour=colour)
    key = f"map_near_{colour}_0"
    area = {"x": [-10.0, 15.0], "y": [-20.0, 5.0]}
    app.session_state[key] = {"selection": {"area": area, "pick": []}}
    app.run()
    assert not app.exception
    assert query(app)["area"] == "-10,15,-20,5"
    link = open_page(MAP, **query(app))
    assert listed(link) == listed(app) != []
    app.query_params["area"] = "0,1,0,1"
    app.run()  # the browser still sends its selection along: the link counts
    assert query(app)["area"] == "0,1,0,1"


@pytest.mark.parametrize("area", ["1,2,3", "a,b,c,d", "nan,1,2,3", "1e99,1,2,3", "<b>"])
def test_an_area_that_is_none_is_told_so(area: str) -> None:
    app = open_page(MAP, area=area)
    assert not app.exception
    assert "it is not four numbers" in app.info[0].value.replace("\\", "")


def test_a_bundle_without_a_map_shows_the_levels_and_says_so(
    made_up: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "default"
    shutil.copytree(made_up / "default", folder)
    bundle = Bundle.open(folder)
    table = pq.read_table(folder / "factors.parquet").drop_columns(["map_x", "map_y"])
    write_table(folder, "factors.parquet", table)
    manifest = bundle.manifest
    manifest["files"]["factors.parquet"]["bytes"] = (folder / "factors.parquet").stat().st_size
    write_manifest(folder, manifest)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    assert np.isnan(Bundle.open(folder).factors["map_x"].to_numpy(float)).all()
    app = open_page(MAP)
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 1
    app = open_page(MAP, places="near")
    assert "no map by likeness" in app.info[0].value


def test_filters_leave_the_dots_of_a_level_and_a_layer(made_up: Path) -> None:
    factors = Bundle.open(made_up / "default").factors
    chosen = factors[factors["alive"] & (factors["level"] == "mid") & (factors["peak_layer"] == 2)]
    app = open_page(MAP, **{"in": "mid", "peak": "2", "area": "-999,999,-999,999"})
    assert listed(app) == sorted(chosen["factor"])
    assert len(chosen) > 0


def test_a_search_lights_factors_up_and_lists_them(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    word = bundle.factors["words"][7][0]
    app = open_page(MAP, lit=word)
    assert not app.exception
    assert 7 in listed(app)
    assert len(listed(app)) < bundle.n_factors
    assert f"match “{word}”" in words(app).replace("\\", "")
    assert query(open_page(MAP, lit="   ")) == {"lit": "   "}


def test_a_region_is_gone_to_lit_up_and_listed(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    region = bundle.regions.iloc[-1]
    key = f"{region['zoom']}-{region['region']}"
    app = open_page(MAP)
    app.selectbox(key="control_region").select(key).run()
    assert query(app) == {"region": key}
    assert listed(app) == region["factors"].tolist()
    app.button(key="map_in").click().run()
    left, right, low, high = map(float, query(app)["view"].split(","))
    places = bundle.factors.loc[region["factors"]]
    for axis, middle in (("map_x", (left + right) / 2), ("map_y", (low + high) / 2)):
        assert middle == pytest.approx((places[axis].min() + places[axis].max()) / 2, abs=0.01)
    assert "no such region" in open_page(MAP, region="2-999").info[0].value
    assert "not a zoom and a number" in open_page(MAP, region="<b>").info[0].value


def test_buttons_zoom_and_move_what_is_seen_and_the_wheel_does_not_draw_the_chart_anew() -> None:
    app = open_page(MAP, view="-10,10,-20,20")
    app.button(key="map_in").click().run()
    assert query(app)["view"] == "-6.25,6.25,-12.5,12.5"
    app.button(key="map_right").click().run()
    assert query(app)["view"] == "-2.5,10,-12.5,12.5"
    chart = app.get("vega_lite_chart")[0].proto
    app.session_state["map_near_level_3"] = {
        "selection": {"view": {"x": [-1.0, 1.0], "y": [-2.0, 2.0]}, "pick": [], "area": {}}
    }
    app.run()
    assert query(app)["view"] == "-1,1,-2,2"
    after = app.get("vega_lite_chart")[0].proto
    assert (after.id, after.spec) == (chart.id, chart.spec)


def test_of_a_map_without_regions_the_page_says_that_they_have_no_names(
    made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "default"
    shutil.copytree(made_up / "default", folder)
    manifest = Bundle.open(folder).manifest
    (folder / "regions.parquet").unlink()
    del manifest["files"]["regions.parquet"]
    write_manifest(folder, manifest)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    app = open_page(MAP)
    assert not app.exception
    assert "regions of this map have no names" in words(app)
    assert not [box for box in app.selectbox if box.key == "control_region"]
