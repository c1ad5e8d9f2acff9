"""What a language model called a factor stands beside its other names, as text, with its scores."""

from pathlib import Path

import pytest
from model_answers import put_labels
from opened_page import html_of, open_page, words

from tfactors.app.frame import notes
from tfactors.app.frame.notes import Note, Notes
from tfactors.bundle import Bundle, llm_labels
from tfactors.bundle.writing import write_manifest

HOSTILE = "<img src=x onerror=alert(1)> **bold** $x$ שלום"


@pytest.fixture
def labelled(damaged: Path) -> Path:
    """A bundle of its own with labels by a language model."""
    put_labels(damaged, {4: "rivers and their banks", 7: HOSTILE})
    return damaged


def test_the_page_of_a_factor_shows_both_names_whose_they_are_and_both_scores(
    labelled: Path,
) -> None:
    app = open_page("pages/1_Factor.py", factor="4")
    said = words(app)
    name = str(Bundle.open(labelled).factors["label"][4]).split(" / ")[0]
    assert name in said.partition("by rule")[0]
    assert "rivers and their banks" in said
    assert "by tiny &lt;model&gt; , 2026-11-26" in said
    assert "in 20 places not seen before: with this label 85%" in said
    assert "with the name by rule 60%" in said
    assert "with another factor&#x27;s label 50%, by chance 50%" in said


def test_a_label_is_text_and_a_factor_without_one_says_nothing(labelled: Path) -> None:
    body = html_of(open_page("pages/1_Factor.py", factor="7"))
    assert "&lt;img src=x onerror=alert(1)&gt; **bold** $x$" in body
    assert "<img" not in body
    assert "tf-model-label" not in html_of(open_page("pages/1_Factor.py", factor="5"))


def test_what_people_wrote_still_is_the_headline(labelled: Path) -> None:
    bundle = Bundle.open(labelled)
    written = notes.to_json(Notes({4: Note("my river")}, {}), bundle.title, bundle.fingerprint)
    (labelled / "labels.json").write_text(written, "utf-8")
    body = html_of(open_page("pages/1_Factor.py", factor="4"))
    headline = body.partition("<h1>")[2].partition("</h1>")[0]
    assert headline == "<bdi>my river</bdi>"
    assert 'class="tf-by">by people<' in body
    assert "rivers and their banks" in body


def test_a_search_finds_a_factor_by_its_label_and_lists_both_names_and_scores(
    labelled: Path,
) -> None:
    app = open_page("pages/4_Search.py", q="banks")
    table = app.dataframe[0].value
    row = table[table["factor"] == 4].iloc[0]
    assert row["model_label"] == "rivers and their banks"
    assert row["words"]
    assert (round(row["model_score"], 2), round(row["rule_score"], 2)) == (0.85, 0.6)
    assert row["model_label_by"] == "tiny <model>, 2026-11-26"
    order = list(app.dataframe[0].proto.column_order)
    assert order[:4] == ["factor", "words", "model_label", "model_label_by"]


def test_without_labels_the_lists_are_what_they_were(damaged: Path) -> None:
    table = open_page("pages/4_Search.py").dataframe[0]
    assert not any("model" in name for name in table.value.columns)
    assert not llm_labels.is_there(damaged)


def test_a_table_that_was_changed_is_left_out_and_the_pages_say_why(labelled: Path) -> None:
    path = labelled / llm_labels.TABLE
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    app = open_page("pages/1_Factor.py", factor="4")
    assert not app.exception
    assert "rivers" not in words(app)
    assert "left out. llm\\_labels.parquet\\: changed since it was written" in words(app)


def test_labels_of_another_build_are_left_out(labelled: Path) -> None:
    write_manifest(labelled, Bundle.open(labelled).manifest | {"title": "Another"})
    app = open_page("pages/1_Factor.py", factor="4")
    assert "is about another build of this bundle" in words(app)
    assert "rivers" not in words(app)
