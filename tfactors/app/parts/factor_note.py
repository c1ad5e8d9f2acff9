"""What people wrote about one factor: the fields to write it in, and the note that is shown.

A reader's label, note and lists come out as text only, on every page of this session;
:mod:`tfactors.app.frame.notes` says where they live.
"""

from typing import Any

import streamlit as st

from tfactors.app.frame import notes, shell, url_state
from tfactors.app.parts import sidebar_section
from tfactors.bundle import Bundle
from tfactors.display.text import as_html
from tfactors.portrait.notes_file import Note

STAYS_HERE = (
    "What you write is kept in this browser, for this bundle: nobody else sees it, and it is there "
    "when you come back. Download it on the page *Labels* to share it, or to keep it elsewhere."
)


def sidebar(bundle: Bundle, factor: int) -> None:
    """Draw the fields in which a reader labels a factor."""
    section = sidebar_section.folded_section("label", "Your label", ":material/edit:")
    if not section.open:
        return
    note = notes.shown(bundle).notes.get(factor, Note())
    lists = notes.shown(bundle).lists
    listed_on = [name for name, members in lists.items() if factor in members]
    with section:
        keys = [f"own_{name}_{factor}" for name in ("label", "note", "lists")]
        starts = _starting_values(keys, note, listed_on)
        label = st.text_input(
            f"Label of factor {factor:,}",
            key=keys[0],
            placeholder="what it stands for",
            help=STAYS_HERE,
            on_change=_write_note,
            args=(bundle, factor, keys),
            **starts.get("label", {}),
        )
        text = st.text_area(
            "Note",
            height=90,
            key=keys[1],
            on_change=_write_note,
            args=(bundle, factor, keys),
            **starts.get("note", {}),
        )
        chosen = st.multiselect(
            "On the lists",
            sorted(lists),
            accept_new_options=True,
            key=keys[2],
            placeholder="a list, or a new name",
            max_selections=10,
            on_change=_write_lists,
            args=(bundle, factor, keys[2]),
            **starts.get("lists", {}),
        )
    if starts and (label, text, {*chosen}) != (note.label, note.note, {*listed_on}):
        notes.write(bundle, factor, Note(label or "", text or ""))
        notes.put_on_lists(bundle, factor, [str(name) for name in chosen])
        st.rerun()


def _starting_values(keys: list[str], note: Note, listed_on: list[str]) -> dict[str, Any]:
    """Give the fields what is known, unless that is what they show.

    A page that stays open while the server restarts hands the new session what stands in its
    fields, which nobody else knows. So in the first run of a session the fields are given nothing:
    what is known is returned, as what they begin with where the browser has nothing for them.
    """
    if not shell.has_drawn() and not any(key in st.session_state for key in keys):
        return {
            "label": {"value": note.label},
            "note": {"value": note.note},
            "lists": {"default": listed_on},
        }
    for key, value in zip(keys, (note.label, note.note, listed_on), strict=True):
        if st.session_state.get(key) != value:
            st.session_state[key] = value
    return {}


def _write_note(bundle: Bundle, factor: int, keys: list[str]) -> None:
    label, note = (str(st.session_state.get(key) or "") for key in keys[:2])
    url_state.replace_notices(notes.write(bundle, factor, Note(label, note)))


def _write_lists(bundle: Bundle, factor: int, key: str) -> None:
    names = [str(name) for name in st.session_state[key]]
    url_state.replace_notices(notes.put_on_lists(bundle, factor, names))


def show(bundle: Bundle, factor: int) -> None:
    """Draw the note on a factor, where there is one."""
    note = notes.shown(bundle).notes.get(factor, Note()).note
    if note:
        lines = "<br>".join(as_html(line) for line in note.splitlines())
        st.html(f'<p class="tf-note"><bdi>{lines}</bdi></p>')
