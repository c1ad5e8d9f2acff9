"""The page of labels: every labelled factor, the lists of factors, and the file that holds both."""

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, notes, notes_table, shell, url_state
from tfactors.app.parts import downloads, factor_note, factor_table
from tfactors.bundle import Bundle
from tfactors.errors import InputError
from tfactors.portrait import definitions, notes_file
from tfactors.portrait.notes_file import Notes


def show_labelled_factors(bundle: Bundle) -> None:
    """Draw all labelled factors; a row opens its factor."""
    shown, own_notes = notes.shown(bundle), notes.own(bundle)
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
    rows["by"] = ["you" if at in own_notes.notes else "the bundle" for at in factors]
    columns = {
        "own": st.column_config.TextColumn("Label", width="medium", help=definitions.OWN_LABEL),
        "note": st.column_config.TextColumn("Note", width="medium", help=definitions.NOTE),
        "by": st.column_config.TextColumn("By", width="small", help=definitions.LABELLED_BY),
    }
    factor_table.show(rows, "labelled", f"The {len(rows)} factors with a label.", columns)


def show_lists(bundle: Bundle) -> None:
    """Draw the list that is chosen, of those there are."""
    lists = notes.shown(bundle).lists
    if not lists:
        st.markdown("No list yet: put a factor on one under *Your label* in the sidebar.")
        return
    names = sorted(lists)
    chosen = str(url_state.value_of(controls.LIST))
    if chosen and chosen not in lists:
        st.caption(f"There is no list “{shell.plain_text(chosen)}” in this session.")
    chosen = chosen if chosen in lists else names[0]
    st.selectbox(
        "List",
        names,
        format_func=lambda name: f"{name} ({len(lists[name])})",
        width=320,
        **url_state.widget(controls.LIST, chosen),
    )
    members = pd.Series(lists[chosen], dtype="int64").to_numpy()
    if len(members):
        factor_table.show(
            factor_table.factor_rows(bundle, members),
            f"list_{names.index(chosen)}",
            f"The {len(members)} factors of the list “{chosen}”.",
        )
    else:
        st.caption("This list is empty.")


def show_files(bundle: Bundle) -> None:
    """Draw the download of a reader's labels, and the way back in."""
    count = _count_sentence(notes.own(bundle))
    everything = notes_file.to_json(notes.shown(bundle), bundle.title, bundle.fingerprint)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.download_button(
            "Download labels.json",
            everything,
            notes_file.FILE,
            "application/json",
            on_click="ignore",
            icon=":material/download:",
            type="primary",
            disabled=not (notes.shown(bundle).notes or notes.shown(bundle).lists),
            help="All that is shown here, yours over the bundle's. Put the file into the bundle's "
            "folder, beside manifest.json, and everybody who opens the bundle sees it.",
        )
        if notes.shown(bundle).notes:
            downloads.show(
                lambda: notes_table.rows_of(
                    notes.shown(bundle), notes.own(bundle), bundle.fingerprint
                ),
                "labels",
            )
    st.caption(f"Of your own: {count}. {factor_note.STAYS_HERE}")
    given = st.file_uploader(
        "Load a labels.json, or a table of labels", type=["json", "csv", "tsv"], key="labels_file"
    )
    stamp = (given.file_id, bundle.fingerprint) if given is not None else None
    if given is not None and st.session_state.get("notes.loaded") != stamp:
        st.session_state["notes.loaded"] = stamp
        try:
            is_json = given.name.lower().endswith(".json")
            content = given.getvalue()
            loaded = (
                notes.load(bundle, content, given.name)
                if is_json
                else notes_table.load(bundle, given.name, content)
            )
        except InputError as error:
            st.session_state["notes.said"] = (False, str(error))
        else:
            unbound = "" if loaded.bound else f" The file {notes_file.UNBOUND}."
            sentence = f"Loaded {_count_sentence(loaded)}.{unbound}"
            st.session_state["notes.said"] = (True, sentence)
        st.rerun()
    if given is not None and (said := st.session_state.get("notes.said")):
        (st.success if said[0] else st.error)(shell.plain_text(said[1]))


def _count_sentence(content: Notes) -> str:
    labels, lists = len(content.notes), len(content.lists)
    return f"{labels} label{'s' if labels != 1 else ''} and {lists} list{'s' if lists != 1 else ''}"
