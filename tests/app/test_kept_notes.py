"""What a reader wrote comes back from the browser's storage, and from nowhere else."""

import json

from opened_page import html_of, open_page, unfold
from streamlit.testing.v1 import AppTest

from tfactors.app.frame import kept_notes, notes
from tfactors.bundle import Bundle
from tfactors.portrait.notes_file import Note, Notes

FACTOR = "pages/1_Factor.py"


def stored_in(app: AppTest, bundle: Bundle, entries: dict[str, str]) -> AppTest:
    """Run the page as if the browser had handed over what it kept."""
    given = {"fingerprint": bundle.fingerprint, "entries": entries}

    def page(text: str, path: str) -> None:
        from tfactors.app.frame import kept_notes
        from tfactors.bundle import Bundle

        kept_notes.take_over(Bundle.open(path), text)

    # The session is that of a page, and what is taken over is in it from the next run on.
    helper = AppTest.from_function(page, args=(json.dumps(given), str(bundle.path)))
    helper.run()
    assert not helper.exception
    for key in ("notes.own", "kept_notes.taken"):
        if key in helper.session_state:
            app.session_state[key] = helper.session_state[key]
    return app.run()


def own_after(bundle: Bundle, entries: dict[str, str]) -> Notes:
    app = AppTest.from_string("import streamlit as st")
    stored_in(app, bundle, entries)
    if "notes.own" not in app.session_state:
        return Notes()
    return app.session_state["notes.own"].get(bundle.fingerprint, Notes())


def test_what_is_kept_is_what_is_taken_over(made_up) -> None:
    bundle = Bundle.open(made_up / "default")
    written = Notes({3: Note("three", "line\n“two”"), 7: Note("", "x")}, {"a:b": (3, 5), "c": ()})
    assert own_after(bundle, kept_notes.entries_of(written)) == written


def test_an_entry_that_cannot_be_read_takes_no_other_with_it(made_up) -> None:
    bundle = Bundle.open(made_up / "default")
    entries = kept_notes.entries_of(Notes({3: Note("three", "")}))
    entries |= {
        "label:40": '{"label": "no such factor", "note": ""}',
        "label:4": "{",
        "label:5": '{"label": 5}',
        "label:6": json.dumps({"label": "x" * 81, "note": ""}),
        "list:": "[1]",
        "other": "null",
        "list:deep": "[" * 100_000,
    }
    assert own_after(bundle, entries) == Notes({3: Note("three", "")})


def test_what_is_kept_of_one_bundle_is_not_shown_on_another_of_the_same_title(damaged) -> None:
    bundle = Bundle.open(damaged)
    text = json.dumps({"fingerprint": "0" * 64, "entries": {"label:3": '{"label": "x"}'}})
    for given in (text, "", "[]", '{"fingerprint": 1}', "[" * 100_000):
        kept_notes.take_over(bundle, given)
    assert notes.own(bundle) == Notes()


def test_a_label_from_an_earlier_visit_names_the_factor_until_a_new_one_is_written(made_up) -> None:
    bundle = Bundle.open(made_up / "default")
    app = stored_in(open_page(FACTOR, factor="7"), bundle, {"label:7": '{"label": "river <b>"}'})
    assert "<h1><bdi>river &lt;b&gt;</bdi></h1>" in html_of(app)
    unfold(app, "label").text_input(key="own_label_7").set_value("lake").run()
    assert "<h1><bdi>lake</bdi></h1>" in html_of(app)


def test_more_than_a_browser_keeps_is_said_and_nothing_is_taken_from_it(made_up) -> None:
    bundle = Bundle.open(made_up / "default")
    app = open_page(FACTOR, factor="7")
    many = {at: Note("label", "川" * 2000) for at in range(40)} | {0: Note("x", "y" * 300_000)}
    app.session_state["notes.own"] = {bundle.fingerprint: Notes(many)}
    app.run().run()
    said = " ".join(info.value for info in app.info)
    assert "This browser does not keep your labels" in said
    assert "500,000 is the most" in said.replace("\\", "")
