"""Labels, notes and lists that people write: files in, the same files out, and what pages show."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from opened_page import html_of, open_page, unfold, words
from synthetic_bundle import HOSTILE

from tfactors.app.frame import notes_table
from tfactors.app.parts import downloads
from tfactors.bundle import Bundle
from tfactors.errors import InputError
from tfactors.portrait import notes_file
from tfactors.portrait.notes_file import Note, Notes

FACTOR, LABELS = "pages/1_Factor.py", "pages/8_Labels.py"
TEXTS = some.text(max_size=60).map(lambda text: notes_file.cleaned(text))


@given(
    some.dictionaries(some.integers(0, 39), some.builds(Note, TEXTS, TEXTS), max_size=5),
    some.dictionaries(TEXTS.filter(bool), some.sets(some.integers(0, 39), max_size=5), max_size=3),
)
def test_what_is_written_is_read_again(
    written: dict[int, Note], lists: dict[str, set[int]]
) -> None:
    kept = {at: note for at, note in written.items() if note != Note()}
    made = Notes(kept, {name: tuple(sorted(members)) for name, members in lists.items()})
    assert notes_file.read(notes_file.to_json(made, "mine"), "mine", 40) == made


def test_the_fingerprint_decides_which_bundle_labels_are_about_and_not_the_title() -> None:
    made = Notes({3: Note("three", "")})
    text = notes_file.to_json(made, "mine", "a" * 64)
    assert notes_file.read(text, "renamed", 40, "a" * 64) == made
    with pytest.raises(InputError) as caught:
        notes_file.read(text, "mine", 40, "b" * 64)
    said = str(caught.value)
    assert "with manifest_sha256 'aaaaaaaaaaaa'…" in said
    assert "this is 'bbbbbbbbbbbb'…" in said
    assert "\n" not in said
    older = notes_file.read(notes_file.to_json(made, "mine"), "mine", 40, "b" * 64)
    assert older == made
    assert not older.bound
    assert notes_file.read(text, "mine", 40, "a" * 64).bound


def labelled(**content: object) -> str:
    whole = {"format": "tfactors-labels", "version": 1, "bundle": "mine"} | content
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "expected an object"),
        ('{"format": "other"}', '"format": "tfactors-labels"'),
        (labelled(version=2), "upgrade tfactors"),
        (labelled(bundle="other"), "about the bundle “other”, and this is “mine”"),
        (labelled(manifest_sha256=5), "'manifest_sha256' is 5; expected a text"),
        (labelled(labels=[1]), "'labels' is [1]; expected an object"),
        (labelled(labels={"40": {}}), "“40” is no factor of this bundle: they are 0 to 39"),
        (labelled(labels={"-1": {}}), "is no factor"),
        (labelled(labels={"٣": {}}), "is no factor"),
        (labelled(labels={"3": "left"}), "'labels.3' is 'left'; expected {\"label\": a text"),
        (labelled(labels={"3": {"label": 5}}), "'labels.3.label' is 5; expected a text"),
        (labelled(labels={"3": {"label": "x" * 81}}), "81 characters, and 80 is the most"),
        (labelled(lists={"a": [1, "2"]}), "'lists.a[1]' is '2'; expected the number of a factor"),
        (labelled(lists={"a": [True]}), "'lists.a[0]' is True; expected the number of a factor"),
        (labelled(lists={"a": [3] * 1001}), "'lists.a' is [3, 3,"),
        (
            labelled(lists={f"list {n}": [] for n in range(51)}),
            "expected an object with at most 50",
        ),
        pytest.param(" " * 4_000_001, "4,000,001 bytes, and 4,000,000 is the most", id="large"),
        (labelled(lists={"": [1]}), "1 to 60 characters"),
        (labelled(lists={"a": [99]}), "“99” is no factor"),
        (labelled(labels={"3": {}, "03": {}}), "a factor is there twice"),
        (labelled(lists={"a": [1], "a ": [2]}), "two lists have the same name"),
        (labelled().replace('"mine"', '"mine", "bundle": "mine"'), "'bundle' is there twice"),
    ],
)
def test_a_bad_file_gets_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=r"^labels\.json: ") as caught:
        notes_file.read(text, "mine", 40)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_label_of_the_reader_names_the_factor_on_other_pages() -> None:
    app = open_page(FACTOR, factor="7")
    unfold(app, "label").text_input(key="own_label_7").set_value("my <b>river</b> *x*").run()
    app.text_area(key="own_note_7").set_value("first\n<img src=x onerror=alert(1)>").run()
    app.multiselect(key="own_lists_7").set_value(["water"]).run()
    assert not app.exception
    assert "<h1><bdi>my &lt;b&gt;river&lt;/b&gt; *x*</bdi></h1>" in html_of(app)
    assert "first<br>&lt;img src=x onerror=alert(1)&gt;" in html_of(app)
    app.query_params.clear()
    app.switch_page(LABELS).run()
    tables = [table.value for table in app.dataframe]
    assert tables[0][["factor", "own", "by"]].to_numpy().tolist() == [
        [7, "my <b>river</b> *x*", "you"]
    ]
    assert tables[1]["factor"].tolist() == [7]
    app.query_params["q"] = "my <b>river"
    app.switch_page("pages/4_Search.py").run()
    assert 7 in app.dataframe[0].value["factor"].tolist()
    app.switch_page(FACTOR)
    app.query_params["factor"] = "7"
    app.run()
    unfold(app, "label").text_input(key="own_label_7").set_value("").run()
    assert "my &lt;b&gt;" not in html_of(app)


def test_labels_of_one_session_are_not_seen_in_another() -> None:
    one = open_page(FACTOR, factor="7")
    unfold(one, "label").text_input(key="own_label_7").set_value("secret").run()
    assert "secret" in html_of(one)
    assert "secret" not in html_of(open_page(FACTOR, factor="7"))


def test_a_file_beside_the_bundle_is_shown_to_all_until_the_reader_says_otherwise(
    damaged: Path,
) -> None:
    content = {
        "bundle": "The first",
        "labels": {"7": {"label": HOSTILE[0], "note": "noted beside"}},
    }
    (damaged / "labels.json").write_text(labelled(**content))
    app = open_page(FACTOR, factor="7")
    assert "noted beside" in html_of(app)
    assert "<script" not in html_of(app)
    assert "names its bundle by the title alone" in app.info[0].value
    unfold(app, "label").text_input(key="own_label_7").set_value("mine").run()
    assert "<h1><bdi>mine</bdi></h1>" in html_of(app)
    (damaged / "labels.json").write_text(labelled(**content, manifest_sha256="0" * 64))
    app = open_page(FACTOR, factor="7")
    assert "noted beside" not in html_of(app)
    assert "its factors are others" in app.info[0].value
    ours = Bundle.open(damaged).fingerprint
    (damaged / "labels.json").write_text(
        labelled(**content | {"bundle": "Another title"}, manifest_sha256=ours)
    )
    app = open_page(FACTOR, factor="7")
    assert "noted beside" in html_of(app)
    assert not app.info
    (damaged / "labels.json").write_text("{")
    app = open_page(FACTOR, factor="7")
    assert not app.exception
    assert "labels.json: not JSON" in app.info[0].value.replace("\\", "")


def test_a_downloaded_file_loads_in_another_session() -> None:
    made = notes_file.to_json(Notes({3: Note("three", "")}, {"odd": (3, 5)}), "The first")
    app = open_page(LABELS)
    app.file_uploader(key="labels_file").set_value(
        ("labels.json", made.encode(), "application/json")
    ).run()
    assert "Loaded 1 label and 1 list" in app.success[0].value.replace("\\", "")
    assert app.dataframe[0].value["own"].tolist() == ["three"]
    bad = made.replace("The first", "another")
    app = open_page(LABELS)
    app.file_uploader(key="labels_file").set_value(
        ("labels.json", bad.encode(), "application/json")
    ).run()
    assert "about the bundle “another”" in app.error[0].value
    assert "No factor has a label yet" in words(app)


def csv_of(*rows: tuple[object, ...]) -> bytes:
    """A table of labels as Excel saves it."""
    names = "factor;label;note;manifest_sha256"
    lines = [names, *(";".join(f'"{value}"' for value in row) for row in rows)]
    return "\r\n".join([*lines, ""]).encode("utf-8-sig")


def test_labels_that_were_downloaded_as_csv_are_loaded_again(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    labels = {
        3: Note("=naïve", "two\nlines; and “more”"),
        5: Note("'tis", "'=1"),
        7: Note("", "川"),
    }
    table = notes_table.rows_of(Notes(labels), Notes(), bundle.fingerprint)
    app = open_page(LABELS)
    app.file_uploader(key="labels_file").set_value(
        ("labels.csv", downloads.to_csv(table).encode("utf-8-sig"), "text/csv")
    ).run()
    assert "Loaded 3 labels and 0 lists" in app.success[0].value.replace("\\", "")
    assert app.session_state["notes.own"][bundle.fingerprint].notes == labels
    assert "title alone" not in app.success[0].value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (csv_of((3, "x", "", "0" * 64)), "written about the bundle with manifest_sha256"),
        (csv_of((3, "x", "", "a"), (4, "x", "", "b")), "rows about 2 bundles; expected those of"),
        (csv_of((3, "x", "", ""), (3, "y", "", "")), "row 2: factor 3 is there twice"),
        (csv_of(("3.5", "x", "", "")), "row 1, column 'factor': '3.5' is no number of a factor"),
        (csv_of((40, "x", "", "")), "my.csv: “40” is no factor of this bundle"),
        (csv_of(("9" * 5000, "x", "", "")), "row 1, column 'factor': '9999"),
        (csv_of(("3,000", "x", "", "")), "'3,000' is no number of a factor"),
        (b"factor,labels\n3,x\n", "column 'label' is missing; it has factor, labels"),
        ("factor,label\n3,naïve\n".encode("cp1252"), "not UTF-8 text"),
    ],
)
def test_a_table_that_holds_no_labels_of_this_bundle_gets_one_line(
    content: bytes, said: str
) -> None:
    app = open_page(LABELS)
    app.file_uploader(key="labels_file").set_value(("my.csv", content, "text/csv")).run()
    assert said in app.error[0].value.replace("\\", "")
    assert not app.exception


def test_a_table_without_a_fingerprint_is_loaded_with_a_word_of_caution() -> None:
    app = open_page(LABELS)
    app.file_uploader(key="labels_file").set_value(
        ("my.csv", b"label,factor\nthree,3.0\n", "text/csv")  # as pandas has it beside a gap
    ).run()
    assert "Loaded 1 label" in app.success[0].value
    assert "another bundle may have the same" in app.success[0].value
