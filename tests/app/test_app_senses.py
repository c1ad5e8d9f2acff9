"""The page of word senses: groups, their factors, and calm words where there are none."""

from pathlib import Path

import pandas as pd
import pytest
from opened_page import html_of, open_page, query, words
from synthetic_bundle import write_synthetic_bundle

from tfactors.app.frame import controls
from tfactors.app.views.senses import clearest_word
from tfactors.bundle import Bundle

PAGE = controls.SENSES_PAGE.path


def test_a_word_falls_into_groups_each_with_its_factors_and_its_places_marked() -> None:
    app = open_page(PAGE, word="Bank", layer="2")
    assert not app.exception
    text = words(app)
    assert "into 2 groups" in text
    assert "Group 1: " in text
    assert "Group 2: " in text
    links = [link.proto for link in app.get("page_link") if "· on " in link.proto.label]
    assert {link.label.split(" ")[0] for link in links} == {"3", "4", "5", "6"}
    assert all("layer=2" in link.query_string for link in links)
    assert html_of(app).count("<mark") >= 12
    assert html_of(app).casefold().count("<bdi>bank</bdi></mark>") == html_of(app).count("<mark")


def test_a_click_on_a_word_opens_it_and_the_link_holds_it() -> None:
    app = open_page(PAGE)
    assert "clearest groups" in words(app)
    app.button(key="sense_1").click().run()
    assert query(app)["word"] == "left"
    assert "Group 1: " in words(app)


def test_a_word_that_is_not_stored_is_not_read_before_somebody_asks() -> None:
    app = open_page(PAGE, word="river")
    assert not app.exception
    assert "holds no groups of “river”" in words(app)
    assert "Group 1" not in words(app)


def test_two_words_are_one_too_many() -> None:
    assert "One word at a time" in words(open_page(PAGE, word="left bank"))


def listed(*rows: tuple[str, int, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["word", "occurrences", "silhouette", "chance"])


def test_the_first_word_is_the_one_whose_groups_are_furthest_above_chance() -> None:
    table = listed(("apple", 48, 0.8, 0.6), ("bank", 48, 0.7, 0.3), ("left", 48, 0.5, 0.2))
    assert clearest_word(table) == "bank"


def test_the_first_word_has_letters_and_many_occurrences_where_any_has() -> None:
    rare, number, short = ("rare", 24, 0.9, 0.1), ("1814", 48, 0.9, 0.1), ("ii", 48, 0.9, 0.1)
    assert clearest_word(listed(rare, number, short, ("bank", 40, 0.5, 0.3))) == "bank"
    assert clearest_word(listed(number, rare)) == "rare"
    assert clearest_word(listed()) == ""


def test_the_page_opens_at_a_word_and_its_link_stays_short(made_up: Path) -> None:
    app = open_page(PAGE)
    word = clearest_word(Bundle.open(made_up / "default").senses())
    assert app.text_input(key="control_word").value == word
    assert f"occurrences of **{word}**" in words(app)
    assert "Group 1: " in words(app)
    assert query(app) == {}


def test_a_bundle_without_a_list_of_words_opens_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_synthetic_bundle(tmp_path / "default", factors=6, hostile=False)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    app = open_page(PAGE)
    assert not app.exception
    assert app.text_input(key="control_word").value == ""
    assert "built without a list of words" in words(app)
