"""Labels, notes and lists on the pages: where they are written, shown, taken along and loaded.

In go a reader's texts, out they come as text only, on every page of this session; see
:mod:`tfactors.app.frame.notes` for where they live.
"""

import html

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, notes, shell, url_state
from tfactors.app.frame.notes import Note
from tfactors.app.parts import definitions, downloads, factor_table, sidebar_section
from tfactors.bundle import Bundle
from tfactors.errors import InputError

_KEPT = (
    "What you write stays in this browser session: nobody else sees it, and it is gone when you "
    "close the page. Download it on the page *Labels* to keep it or to share it."
)


def sidebar(bundle: Bundle, factor: int) -> None:
    """Draw the fields in which a reader labels a factor."""
    own = sidebar_section.folded_section("label", "Your label", ":material/edit:")
    if not own.open:
        return
    note = notes.shown(bundle).notes.get(factor, Note())
    lists = notes.shown(bundle).lists
    mine = [name for name, members in lists.items() if factor in members]
    with own:
        keys = [
            _field(name, factor, value)
            for name, value in (("label", note.label), ("note", note.note), ("lists", mine))
        ]
        st.text_input(
            f"Label of factor {factor:,}",
            max_chars=notes.LONGEST_LABEL,
            key=keys[0],
            placeholder="what it stands for",
            help=_KEPT,
            on_change=_write,
            args=(bundle, factor, keys),
        )
        st.text_area(
            "Note",
            max_chars=notes.LONGEST_NOTE,
            height=90,
            key=keys[1],
            on_change=_write,
            args=(bundle, factor, keys),
        )
        st.multiselect(
            "On the lists",
            sorted(lists),
            accept_new_options=True,
            key=keys[2],
            placeholder="a list, or a new name",
            max_selections=10,
            on_change=_put,
            args=(bundle, factor, keys[2]),
        )


def _field(name: str, factor: int, value: object) -> str:
    """Return the key of a field, after giving it what is known, unless that is what it shows."""
    key = f"own_{name}_{factor}"
    if st.session_state.get(key) != value:
        st.session_state[key] = value
    return key


def _write(bundle: Bundle, factor: int, keys: list[str]) -> None:
    label, note = (str(st.session_state.get(key) or "") for key in keys[:2])
    notes.write(bundle, factor, Note(label, note))


def _put(bundle: Bundle, factor: int, key: str) -> None:
    notes.put_on_lists(bundle, factor, [str(name) for name in st.session_state[key]])


def show(bundle: Bundle, factor: int) -> None:
    """Draw the note on a factor, where there is one."""
    note = notes.shown(bundle).notes.get(factor, Note()).note
    if note:
        lines = "<br>".join(html.escape(line) for line in note.splitlines())
        st.html(f'<p class="tf-note"><bdi>{lines}</bdi></p>')


def table(bundle: Bundle) -> None:
    """Draw all labelled factors; a row opens its factor."""
    shown, mine = notes.shown(bundle), notes.own(bundle)
    if not shown.notes:
        st.markdown(
            "No factor has a label yet. Open one, and write what it stands for under *Your label* "
            "in the sidebar."
        )
        return
    factors = pd.Series(sorted(shown.notes), dtype="int64")
    rows = factor_table.factor_rows(bundle, factors.to_numpy())
    rows["own"] = [shown.notes[at].label for at in factors]
    rows["note"] = [shown.notes[at].note for at in factors]
    rows["by"] = ["you" if at in mine.notes else "the bundle" for at in factors]
    columns = {
        "own": st.column_config.TextColumn("Label", width="medium", help=definitions.OWN_LABEL),
        "note": st.column_config.TextColumn("Note", width="medium", help=definitions.NOTE),
        "by": st.column_config.TextColumn("By", width="small", help=definitions.LABELLED_BY),
    }
    factor_table.show(rows, "labelled", f"The {len(rows)} factors with a label.", columns)


def lists(bundle: Bundle) -> None:
    """Draw the list that is chosen, of those there are."""
    known = notes.shown(bundle).lists
    if not known:
        st.markdown("No list yet: put a factor on one under *Your label* in the sidebar.")
        return
    names = sorted(known)
    chosen = str(url_state.get(controls.LIST))
    if chosen and chosen not in known:
        st.caption(f"There is no list “{shell.plain(chosen)}” in this session.")
    chosen = chosen if chosen in known else names[0]
    st.selectbox(
        "List",
        names,
        format_func=lambda name: f"{name} ({len(known[name])})",
        width=320,
        **url_state.widget(controls.LIST, chosen),
    )
    members = pd.Series(known[chosen], dtype="int64").to_numpy()
    if len(members):
        factor_table.show(
            factor_table.factor_rows(bundle, members),
            f"list_{names.index(chosen)}",
            f"The {len(members)} factors of the list “{chosen}”.",
        )
    else:
        st.caption("This list is empty.")


def files(bundle: Bundle) -> None:
    """Draw the download of a reader's labels, and the way back in."""
    mine = notes.own(bundle)
    count = _counted(mine)
    everything = notes.to_json(notes.shown(bundle), bundle.title)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.download_button(
            "Download labels.json",
            everything,
            notes.FILE,
            "application/json",
            on_click="ignore",
            icon=":material/download:",
            type="primary",
            disabled=not (notes.shown(bundle).notes or notes.shown(bundle).lists),
            help="All that is shown here, yours over the bundle's. Put the file into the bundle's "
            "folder, beside manifest.json, and everybody who opens the bundle sees it.",
        )
        if notes.shown(bundle).notes:
            downloads.show(lambda: _rows(bundle), "labels")
    st.caption(f"Of your own: {count}. {_KEPT}")
    given = st.file_uploader("Load a labels.json", type="json", key="labels_file")
    stamp = (given.file_id, bundle.fingerprint) if given is not None else None
    if given is not None and st.session_state.get("notes.loaded") != stamp:
        st.session_state["notes.loaded"] = stamp
        try:
            found = notes.load(bundle, given.getvalue())
        except InputError as error:
            st.session_state["notes.said"] = (False, str(error))
        else:
            st.session_state["notes.said"] = (True, f"Loaded {_counted(found)}.")
        st.rerun()
    if given is not None and (said := st.session_state.get("notes.said")):
        (st.success if said[0] else st.error)(shell.plain(said[1]))


def _counted(some: notes.Notes) -> str:
    labels, lists = len(some.notes), len(some.lists)
    return f"{labels} label{'s' if labels != 1 else ''} and {lists} list{'s' if lists != 1 else ''}"


def _rows(bundle: Bundle) -> pd.DataFrame:
    shown, mine = notes.shown(bundle), notes.own(bundle)
    return pd.DataFrame(
        [
            (at, note.label, note.note, "you" if at in mine.notes else "the bundle")
            for at, note in sorted(shown.notes.items())
        ],
        columns=["factor", "label", "note", "by"],
    )
