"""What a factor is made from and goes into: the lists of the Factor page, the arrows of the map."""

import json
import re
from pathlib import Path

import pytest
from opened_page import html_of, open_page, query, words

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest

FACTOR, MAP = "pages/1_Factor.py", "pages/6_Map.py"


@pytest.fixture
def bundle(made_up: Path) -> Bundle:
    return Bundle.open(made_up / "default")


def asked_factor(bundle: Bundle) -> int:
    """One that is made from others, mainly itself, and goes into others."""
    for factor in range(0, 40, 4):
        if len(bundle.origins(factor)) and len(bundle.feeds(factor)):
            return factor
    raise AssertionError


def shown(app) -> list[list[tuple[str, str]]]:
    """Of each list the shares and links."""
    lists = re.findall(r'<ol class="tf-network".*?</ol>', html_of(app), re.DOTALL)
    return [re.findall(r'<b>([^<]+)</b>.*?href="([^"]+)"', one) for one in lists]


def test_sources_and_targets_are_listed_with_shares_and_links_to_their_layers(bundle) -> None:
    factor = asked_factor(bundle)
    made_from, goes_into = shown(open_page(FACTOR, factor=str(factor), part="origins"))
    sources, targets = bundle.origins(factor), bundle.feeds(factor)
    others = sources[sources["source"] != factor]
    assert [share for share, _ in made_from] == [f"{share:+.0%}" for share in others["share"]]
    for (_, href), row in zip(made_from, others.itertuples(), strict=True):
        if row.kind == "factor":
            assert href == f"Factor?factor={row.source}&amp;layer={row.layer}&amp;part=origins"
        else:
            assert href.startswith("Search?q=")
    peaks = bundle.factors["peak_layer"]
    for (share, href), row in zip(goes_into, targets.itertuples(), strict=True):
        assert share == f"{row.share:+.0%}"
        layer = peaks[row.target]
        assert href == f"Factor?factor={row.target}&amp;layer={layer}&amp;part=origins"


def test_what_a_factor_is_of_itself_is_a_sentence_and_no_row(bundle) -> None:
    factor = asked_factor(bundle)
    below = bundle.factors["peak_layer"][factor] - 1
    said = words(open_page(FACTOR, factor=str(factor), part="origins"))
    assert f"It is mainly itself: **60%** is the same factor at layer {below}." in said
    other = next(f for f in range(40) if f % 4 and len(bundle.origins(f)))
    said = words(open_page(FACTOR, factor=str(other), part="origins"))
    assert "Hardly anything of it is the same factor" in said


def test_a_factor_of_the_lowest_layer_has_its_word_alone(bundle) -> None:
    factor = int((bundle.factors["peak_layer"] == 0).idxmax())
    app = open_page(FACTOR, factor=str(factor), part="origins")
    assert "peaks at layer 0, the lowest of this bundle" in words(app)


def test_without_origins_one_line_says_so_and_which_command_makes_them(damaged: Path) -> None:
    manifest = Bundle.open(damaged).manifest
    for name in ("origins", "feeds"):
        (damaged / f"{name}.parquet").unlink()
    write_manifest(damaged, manifest)
    app = open_page(FACTOR, factor="4", part="origins")
    assert not app.exception
    assert "'tfactors build' with --origin-examples 6 measures it." in words(app)
    assert shown(app) == []
    app = open_page(MAP, factor="4", arrows="on")
    assert not app.exception
    assert "--origin-examples 6 measures it." in words(app)


def test_a_source_that_lowers_the_activation_is_told_so_in_words(bundle) -> None:
    factor = next(f for f in range(40) if (bundle.origins(f)["share"] < 0).any())
    app = open_page(FACTOR, factor=str(factor), part="origins")
    lowered = (bundle.origins(factor)["share"] < 0).sum() + (
        bundle.feeds(factor)["share"] < 0
    ).sum()
    assert html_of(app).count("lowers it") == lowered


@pytest.mark.parametrize("places", ["near", "levels"])
def test_arrows_stand_on_the_map_where_they_are_asked_for(bundle, places: str) -> None:
    factor = asked_factor(bundle)
    app = open_page(MAP, factor=str(factor), places=places)
    assert '"arrows"' not in app.get("vega_lite_chart")[0].proto.spec
    app.toggle(key="control_arrows").set_value(True).run()
    assert query(app)["arrows"] == "on"
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    names = [layer.get("data", {}).get("name") for layer in spec["layer"]]
    assert names.count("arrows") == 2
    sources = bundle.origins(factor)
    count = ((sources["kind"] == "factor") & (sources["source"] != factor)).sum()
    assert f"{count} solid lines from factors" in words(app)
    assert f"{len(bundle.feeds(factor))} dashed lines to factors" in words(app)


def test_without_a_factor_the_map_offers_no_arrows() -> None:
    app = open_page(MAP)
    assert not app.toggle
