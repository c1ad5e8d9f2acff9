"""Files of labels, and what a browser kept of them: notes, or one line."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from fuzzing import answer, fuzzed, mutated_file
from hypothesis import given

from tfactors.app.frame import kept_notes, notes
from tfactors.portrait import notes_file
from tfactors.portrait.notes_file import Note, Notes

FINGERPRINT = "a" * 64
MADE = Notes({3: Note("three", "a note"), 5: Note("five", "")}, {"odd": (3, 5)})
VALID = json.loads(notes_file.to_json(MADE, "mine", FINGERPRINT))
KEPT = {"fingerprint": FINGERPRINT, "entries": kept_notes.entries_of(MADE)}


def check(found: Notes) -> None:
    """All that is read fits the bundle and can be written, and read as the same again."""
    assert all(0 <= factor < 40 for factor in found.notes)
    assert all(0 <= factor < 40 for members in found.lists.values() for factor in members)
    assert all(len(note.label) <= notes_file.LONGEST_LABEL for note in found.notes.values())
    text = notes_file.to_json(found, "mine", FINGERPRINT)
    text.encode()
    assert notes_file.read(text, "mine", 40, FINGERPRINT) == found


@fuzzed()
@given(mutated_file(VALID))
def test_a_file_of_labels_that_is_nearly_right(content: bytes) -> None:
    found = answer(notes_file.read, content, "mine", 40, FINGERPRINT)
    if found is not None:
        check(found)


@fuzzed()
@given(mutated_file(KEPT))
def test_what_a_browser_kept(content: bytes) -> None:
    st.session_state.clear()
    bundle = SimpleNamespace(
        fingerprint=FINGERPRINT, title="mine", n_factors=40, path=Path("no such folder")
    )
    answer(kept_notes.take_over, bundle, content.decode("utf-8", "replace"))
    check(notes.own(bundle))


@pytest.fixture(autouse=True)
def _no_session() -> None:
    st.session_state.clear()
