"""What people write about factors: a reader's own, over what stands beside the bundle.

A reader's own live in the session and in the reader's browser
(:mod:`tfactors.app.frame.kept_notes`), and nowhere else until they are downloaded; what stands
beside the bundle is shown to everybody. Where both speak of a factor, the reader's own counts.
:mod:`tfactors.portrait.notes_file` reads and writes the files.
"""

from dataclasses import replace
from pathlib import Path

import streamlit as st

from tfactors.bundle import Bundle
from tfactors.portrait import notes_file
from tfactors.portrait.notes_file import Note, Notes

_OWN = "notes.own"  # fingerprint of a bundle -> what the reader wrote about it
_SHOWN = "notes.shown"  # fingerprint -> what this run shows: a reader's own over the bundle's


def begin(bundle: Bundle) -> str | None:
    """Take up what there is about a bundle; first thing in every run.

    Returns
    -------
    str or None
        What is wrong or uncertain about the file beside the bundle, in one line.
    """
    st.session_state[_SHOWN] = {}
    return _beside(bundle)[1]


def shown(bundle: Bundle) -> Notes:
    """Return what the pages show of a bundle, put together once a run."""
    known: dict[str, Notes] = st.session_state.setdefault(_SHOWN, {})
    found = known.get(bundle.fingerprint)
    if found is None:
        found = known[bundle.fingerprint] = own(bundle).over(beside(bundle))
    return found


def own(bundle: Bundle) -> Notes:
    """Return what this reader wrote about a bundle."""
    return st.session_state.get(_OWN, {}).get(bundle.fingerprint, Notes())


def beside(bundle: Bundle) -> Notes:
    """Return what stands beside the bundle for everybody; empty where the file is unusable."""
    return _beside(bundle)[0]


def write(bundle: Bundle, factor: int, note: Note) -> list[str]:
    """Keep a reader's note; one that is empty is taken back. For callbacks.

    Returns
    -------
    list of str
        What was too long and is cut, a sentence each.
    """
    given, cut = Note(notes_file.cleaned(note.label), notes_file.cleaned(note.note)), []
    for what, longest in (("label", notes_file.LONGEST_LABEL), ("note", notes_file.LONGEST_NOTE)):
        cut += _cut_sentences(what, getattr(given, what), longest)
    note = Note(given.label[: notes_file.LONGEST_LABEL], given.note[: notes_file.LONGEST_NOTE])
    mine = own(bundle)
    others = {at: kept for at, kept in mine.notes.items() if at != factor}
    _keep(bundle, replace(mine, notes=others if note == Note() else others | {factor: note}))
    return cut


def put_on_lists(bundle: Bundle, factor: int, names: list[str]) -> list[str]:
    """Put a factor on the lists with these names and take it off all others. For callbacks.

    Returns
    -------
    list of str
        What was too long or too much and is left out, a sentence each.
    """
    wanted = list(
        dict.fromkeys(
            notes_file.cleaned(name)[: notes_file.LONGEST_NAME] for name in names if name.strip()
        )
    )
    left_out = [
        said
        for name in names
        for said in _cut_sentences("list's name", name, notes_file.LONGEST_NAME)
    ]
    lists = dict(own(bundle).over(beside(bundle)).lists)
    for name in {*lists, *wanted}:
        members = [at for at in lists.get(name, ()) if at != factor]
        if name in wanted and len(members) < notes_file.MOST_LISTED:
            members.append(factor)
        elif name in wanted:
            left_out.append(
                f"The list “{name}” is full: {notes_file.MOST_LISTED:,} factors are the most."
            )
        lists[name] = tuple(sorted(members))
    known = beside(bundle).lists
    mine = {name: members for name, members in lists.items() if members != known.get(name)}
    mine = {name: members for name, members in mine.items() if members or name in known}
    if len(mine) > notes_file.MOST_LISTS:
        left_out.append(
            f"There are {notes_file.MOST_LISTS} lists, which is the most: no new one was made."
        )
    _keep(bundle, replace(own(bundle), lists=dict(list(mine.items())[: notes_file.MOST_LISTS])))
    return left_out


def add(bundle: Bundle, found: Notes) -> None:
    """Take over what a reader wrote earlier; what the session has of the same stays."""
    _keep(bundle, own(bundle).over(found))


def load(bundle: Bundle, text: str | bytes, name: str = notes_file.FILE) -> Notes:
    """Take over a file of a reader's; what it says replaces what the session has of the same.

    ``name`` is what the file is called where something is wrong with it.

    Raises
    ------
    InputError
        The file is not one of ours, or is about another bundle.
    """
    given = notes_file.read(text, bundle.title, bundle.n_factors, bundle.fingerprint, name)
    _keep(bundle, given.over(own(bundle)))
    return given


def _keep(bundle: Bundle, notes: Notes) -> None:
    # A new dictionary, so that a run that still draws keeps the old one whole.
    kept = dict(st.session_state.get(_OWN, {}))
    st.session_state[_OWN] = kept | {bundle.fingerprint: notes}


def _beside(bundle: Bundle) -> tuple[Notes, str | None]:
    path = bundle.path / notes_file.FILE
    try:
        stat = path.stat()
    except OSError:
        return Notes(), None
    stamp = (stat.st_mtime_ns, stat.st_size)
    return _read_file(str(path), stamp, bundle.title, bundle.n_factors, bundle.fingerprint)


@st.cache_resource(max_entries=4, show_spinner=False)
def _read_file(
    path: str, stamp: tuple[int, int], title: str, factors: int, fingerprint: str
) -> tuple[Notes, str | None]:
    return notes_file.read_file(Path(path), title, factors, fingerprint)


def _cut_sentences(what: str, text: str, longest: int) -> list[str]:
    """Return that a text is cut, where it is."""
    if len(text) <= longest:
        return []
    return [f"The {what} has {len(text):,} characters; the first {longest:,} are kept."]
