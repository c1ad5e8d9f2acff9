"""What a reader can ask of the server is bounded, and whoever reaches a bound is told."""

import json
import tomllib
from pathlib import Path

import pytest
from opened_page import ROOT, open_page, query, unfold, words
from streamlit.testing.v1 import AppTest

from tfactors.app.frame import controls, url_state, waiting_line
from tfactors.app.parts import live_model
from tfactors.bundle import Bundle
from tfactors.portrait import notes_file
from tfactors.portrait.notes_file import Note, Notes


def told(app: AppTest) -> str:
    """The notices of a page, as they read."""
    assert not app.exception
    return " ".join(info.value.replace("\\", "") for info in app.info)


@pytest.mark.parametrize(
    ("page", "control", "longest"),
    [
        (controls.SEARCH_PAGE, controls.QUERY, controls.QUERY_LENGTH),
        (controls.SENSES_PAGE, controls.WORD, 40),
        (controls.CURVES_PAGE, controls.REPLACEMENT, 30),
    ],
)
def test_a_text_that_is_too_long_is_refused_in_words_and_not_cut_or_ignored(
    page: controls.Page, control: url_state.Control[str], longest: int
) -> None:
    app = open_page(page.path)
    field = app.text_input(key=f"control_{control.name}")
    assert not field.proto.max_chars  # beyond it, browsers ignore what is pasted and say nothing
    before = field.value
    field.set_value("x" * (longest + 1)).run()
    assert (
        f"What you typed was not taken: it has {longest + 1:,} characters, and {longest:,} is"
        in told(app)
    )
    assert app.text_input(key=f"control_{control.name}").value == before
    assert control.name not in query(app)
    app.text_input(key=f"control_{control.name}").set_value("x" * longest).run()
    assert "not taken" not in told(app)
    assert query(app)[control.name] == "x" * longest


def test_a_link_that_is_longer_than_all_controls_is_not_read() -> None:
    app = open_page(controls.FACTOR_PAGE.path, factor="7", much="x" * 60_000)
    assert "The link has 60,011 characters, and 50,000 is the most" in told(app)
    assert not query(app)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("top", "201", "it has to be from 1 to 200"),
        ("context", "61", "it has to be from 0 to 60"),
        ("times", "5", "it has to be from 0 to 4"),
        ("times", "nan", "it is not a number"),
    ],
)
def test_a_link_asks_for_no_more_rows_or_strength_than_the_page_offers(
    name: str, value: str, said: str
) -> None:
    assert said in told(open_page(controls.FACTOR_PAGE.path, **{name: value}))


def test_a_link_asks_for_no_more_samples_than_the_page_offers() -> None:
    assert "from 50 to 1,000" in told(open_page(controls.CURVES_PAGE.path, samples="100000"))


@pytest.mark.parametrize(
    ("times", "shown"), [(-1, 1 / 5), (0, 1 / 5), (1 / 5.1, 1 / 5), (4.1, 4), (1e6, 4)]
)
def test_a_link_with_a_penalty_that_the_slider_does_not_reach_gets_the_nearest(
    times: float, shown: float, made_up: Path
) -> None:
    built = Bundle.open(made_up / "default").about.coding.penalty
    app = open_page(controls.TEXT_PAGE.path, penalty=f"{built * times:g}")
    assert (
        f"λ of this bundle goes from {built / 5:g} to {built * 4:g}. {built * shown:g} is shown"
        in told(app)
    )
    assert app.session_state["view.values"]["penalty"] == pytest.approx(built * shown)
    assert app.slider(key="control_penalty").value == pytest.approx(built * shown)
    for allowed in (built / 5, built * 4):
        assert "λ of" not in told(open_page(controls.TEXT_PAGE.path, penalty=f"{allowed:g}"))


def test_what_is_cut_of_a_label_a_note_or_a_lists_name_is_told() -> None:
    app = unfold(open_page(controls.FACTOR_PAGE.path, factor="7"), "label")
    app.text_input(key="own_label_7").set_value("x" * 81).run()
    assert "The label has 81 characters; the first 80 are kept." in told(app)
    assert app.text_input(key="own_label_7").value == "x" * 80
    app.text_area(key="own_note_7").set_value("y" * 2_001).run()
    assert "The note has 2,001 characters; the first 2,000 are kept." in told(app)
    app.multiselect(key="own_lists_7").set_value(["z" * 61]).run()
    assert "The list's name has 61 characters; the first 60 are kept." in told(app)
    app.text_input(key="own_label_7").set_value("x").run()
    assert "are kept" not in told(app)


def test_a_full_list_and_too_many_lists_are_told(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    app = unfold(open_page(controls.FACTOR_PAGE.path, factor="7"), "label")
    full = {f"list {n}": (1,) for n in range(notes_file.MOST_LISTS)}
    app.session_state["notes.own"] = {bundle.fingerprint: Notes({3: Note("kept", "")}, full)}
    app.run()
    app.multiselect(key="own_lists_7").set_value(["one more"]).run()
    assert "There are 50 lists, which is the most: no new one was made." in told(app)
    assert app.session_state["notes.own"][bundle.fingerprint].lists == full


def test_a_file_of_labels_is_bounded_by_the_server_and_by_the_page() -> None:
    server = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["server"]
    assert server["maxUploadSize"] * 10**6 >= notes_file.MOST_BYTES
    app = open_page(controls.LABELS_PAGE.path)
    content = json.dumps({"labels": "x" * notes_file.MOST_BYTES}).encode()
    app.file_uploader(key="labels_file").set_value(("labels.json", content, "")).run()
    assert "4,000,014 bytes, and 4,000,000 is the most" in app.error[0].value.replace("\\", "")
    deep = b"[" * 1_000_000
    app = open_page(controls.LABELS_PAGE.path)
    app.file_uploader(key="labels_file").set_value(("labels.json", deep, "")).run()
    assert "not JSON" in app.error[0].value.replace("\\", "")
    assert not app.exception


@pytest.mark.model
def test_whoever_asks_the_model_while_too_many_wait_for_it_is_told_and_the_page_stands(
    asks_minilm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_line, "MOST_WAITING", 0)
    with live_model.model_of(Bundle.open(asks_minilm)).line.turn(print):
        app = open_page(controls.TEXT_PAGE.path, text="He left.")
        assert "0 other readers wait for it, which is the most" in told(app)
    app = open_page(controls.TEXT_PAGE.path, text="He left.")
    assert "wait for it" not in told(app)
    assert "is made of at layer" in words(app)
