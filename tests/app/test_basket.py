"""The basket: what is put in goes along, is in the link, is bounded, and belongs to a bundle."""

from pathlib import Path

import pytest
from opened_page import html_of, open_page, query, words

from tfactors.app.frame import basket, controls, kept_notes
from tfactors.bundle import Bundle

FACTOR = "pages/1_Factor.py"
BASKET = controls.BASKET_PAGE.path


@pytest.fixture
def bundle(made_up: Path) -> Bundle:
    return Bundle.open(made_up / "default")


def menu(app) -> str:
    """What the menu calls the page of the basket."""
    labels = [link.proto.label for link in app.get("page_link")]
    return next(label for label in labels if label.startswith("Basket"))


def press(app, label: str):
    return next(button for button in app.button if button.label == label).click().run()


def notices(app) -> list[str]:
    return [info.value.replace("\\", "") for info in app.info]


def test_a_factor_goes_in_at_its_layer_and_along_over_the_pages(bundle: Bundle) -> None:
    app = open_page(FACTOR, factor="8", layer="2")
    assert menu(app) == "Basket"
    press(app, "Into the basket")
    assert query(app)["basket"] == f"{basket.tag_of(bundle)}~8.2"
    press(app, "Next")
    press(app, "Into the basket")
    for page in controls.PAGES:
        link = next(
            link.proto for link in app.get("page_link") if link.proto.label.startswith(page.title)
        )
        assert "basket=" in link.query_string
    app.run()
    assert menu(app) == "Basket (2)"
    press(app, "Out of the basket")
    app.run()
    assert menu(app) == "Basket (1)"


def test_the_table_holds_the_numbers_of_the_bundle_at_the_layer(bundle: Bundle) -> None:
    app = open_page(BASKET, basket="8.2_7.1")
    assert not app.exception
    table = app.dataframe[0].value
    assert table[["factor", "at"]].to_numpy().tolist() == [[8, 2], [7, 1]]
    for at, (factor, layer) in enumerate([(8, 2), (7, 1)]):
        row = bundle.importance(factor).set_index("layer").loc[layer]
        assert table["importance_at"][at] == pytest.approx(row["importance"])
        assert table["density_at"][at] == pytest.approx(row["density"])
        known = bundle.factors.iloc[factor]
        p, r = known["label_precision"], known["label_recall"]
        assert table["f1"][at] == pytest.approx(2 * p * r / (p + r), nan_ok=True)
    assert [b.label for b in app.get("download_button")] == ["CSV", "Parquet"]


def test_entries_are_taken_out_one_by_one_or_all(bundle: Bundle) -> None:
    app = open_page(BASKET, basket="8.2_7.1")
    app.multiselect[0].set_value([(7, 1)]).run()
    assert query(app)["basket"].endswith("~7.1")
    press(app, "Empty the basket")
    assert "basket" not in query(app)
    assert "The basket is empty" in words(app)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("soon", "it has to be factors and layers, as 12.4_30.6"),
        ("1.1_2", "it has to be factors and layers, as 12.4_30.6"),
        ("<b>~1.1", "it does not say of which bundle it is"),
        ("00000000~1.1", "it is of another bundle, whose factors have other numbers"),
        ("4000.1", "1 of its factors or layers are not in this bundle"),
        ("_".join(f"1.{at}" for at in range(101)), "it has 101 factors, and 100 is the most"),
        ("1" * 4000, "it has 4,000 characters, and 3,000 is the most"),
    ],
)
def test_nonsense_in_a_link_is_met_with_one_line(made_up: Path, given: str, told: str) -> None:
    app = open_page(BASKET, basket=given)
    assert not app.exception
    assert len(notices(app)) == 1
    assert told in notices(app)[0]
    assert "The basket is empty" in words(app)


def test_of_a_basket_that_is_partly_nonsense_the_rest_stays(made_up: Path) -> None:
    app = open_page(BASKET, basket="8.2_4000.1_7.99")
    assert "2 of its factors or layers are not in this bundle" in notices(app)[0]
    assert app.multiselect[0].value == [(8, 2)]


def test_a_table_goes_in_as_a_whole_and_what_is_too_much_is_told(bundle: Bundle) -> None:
    app = open_page("pages/1_Factor.py", factor="8", part="similar")
    button = next(b for b in app.button if "into the basket" in b.label)
    count = int(button.label.split()[0])
    button.click().run()
    assert len(basket.read(query(app)["basket"]).entries) == count
    full = "_".join(f"{at}.{layer}" for at in range(33) for layer in range(3))
    app = open_page(FACTOR, factor="39", layer="3", basket=f"{full}_33.0")
    assert len(basket.read(f"{full}_33.0").entries) == basket.MOST
    press(app, "Into the basket")
    assert f"The basket holds at most {basket.MOST} factors: 1 did not fit" in notices(app)[0]


def test_each_bundle_has_a_basket_of_its_own(bundle: Bundle) -> None:
    app = open_page(FACTOR, factor="8", layer="2", bundle="default")
    press(app, "Into the basket")
    chooser = app.selectbox(key="control_bundle")
    chooser.set_value("other").run()
    assert menu(app) == "Basket"
    assert notices(app) == []
    app.selectbox(key="control_bundle").set_value("default").run()
    assert menu(app) == "Basket (1)"


def test_what_the_browser_keeps_comes_back_and_a_basket_of_a_link_does_not_replace_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamlit as st

    state: dict = {}
    monkeypatch.setattr(st, "session_state", state)
    basket.begin(bundle)
    basket.take_kept(bundle, "[[8, 2], [4000, 1], [7, 99]]")
    assert basket.entries() == ((8, 2),)
    assert basket.kept_entries(bundle) == {"basket:": "[[8, 2]]"}
    for nonsense in ("{", "[1]", '[["a", 1]]', "[[1e999, 1]]", "null", "[" * 100_000):
        basket.take_kept(bundle, nonsense)
    state.clear()
    state["view.values"] = {"basket": basket.Basket("", ((7, 1),))}
    basket.begin(bundle)
    basket.take_kept(bundle, "[[8, 2]]")
    assert basket.entries() == ((7, 1),)
    assert basket.own_entries(bundle) == ((8, 2),)
    assert basket.kept_entries(bundle) == {"basket:": "[[8, 2]]"}
    assert kept_notes.MOST_KEPT > 100 * 20


def test_a_label_of_the_reader_stands_in_the_table_as_text(bundle: Bundle) -> None:
    from tfactors.portrait.notes_file import Note, Notes

    app = open_page(BASKET, basket="8.2")
    hostile = "<img src=x onerror=alert(1)> *b*"
    app.session_state["notes.own"] = {bundle.fingerprint: Notes({8: Note(hostile, "")})}
    app.run()
    assert app.dataframe[0].value["own"].tolist() == [hostile]
    assert "<img" not in html_of(app)
