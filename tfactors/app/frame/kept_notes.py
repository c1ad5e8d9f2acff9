"""What a reader wrote about factors and their basket, kept in the browser in which it was done.

Turns a reader's notes and lists into entries of the browser's own storage, and the entries that lie
there from an earlier visit into notes again: after a reload, a lost connection, or a restart of the
server. They never leave that browser but for this session. Each stands under the fingerprint of the
bundle that it is about, one entry a label and one a list, so that two tabs in which different
factors are labelled do not undo each other's.

The browser speaks first: it hands over what it has, and writes nothing before the session has taken
that over. A session is known by a number of its own, because after a restart of the server an open
page goes on with a new session, which knows nothing.
"""

import json
import secrets
from dataclasses import asdict
from functools import partial
from typing import Any

import streamlit as st

from tfactors.app.frame import basket, notes
from tfactors.bundle import Bundle
from tfactors.errors import InputError
from tfactors.portrait import notes_file
from tfactors.portrait.notes_file import Notes

# A browser has 5 MB for all of a site, and one message to the server at most 5 MB.
MOST_KEPT = 500_000
NOT_KEPT = (
    "This browser does not keep your labels ({why}): they are gone when you close or reload the "
    "page. Download them on the page Labels."
)

_KEY = "kept_notes"
_SESSION = "kept_notes.session"  # a number by which the browser knows this session
_TAKEN = "kept_notes.taken"  # fingerprints of the bundles whose entries were taken over
_WRONG = "kept_notes.wrong"  # why the browser keeps nothing, "" where it does

# Ours from the first letter to the last: what a reader wrote comes in as data and stays text.
_KEEP = """
export default ({ data, setTriggerValue }) => {
  const { session, fingerprint, entries, taken } = data;
  const prefix = `tfactors:${fingerprint}:`;
  const known = (window.tfactorsKept ??= {});
  try {
    const storage = window.localStorage;
    if (known.session !== session || known.fingerprint !== fingerprint) {
      const stored = {};
      for (let at = 0; at < storage.length; at++) {
        const name = storage.key(at);
        if (name.startsWith(prefix)) stored[name.slice(prefix.length)] = storage.getItem(name);
      }
      const waits = Object.keys(stored).length > 0;
      Object.assign(known, { session, fingerprint, waits, written: {} });
      if (waits) {
        setTriggerValue("stored", JSON.stringify({ fingerprint, entries: stored }));
        return;
      }
    }
    if (entries === null || (known.waits && !taken)) return;
    known.waits = false;
    for (const name of Object.keys(known.written))
      if (!(name in entries)) storage.removeItem(prefix + name);
    for (const [name, value] of Object.entries(entries))
      if (known.written[name] !== value) storage.setItem(prefix + name, value);
    known.written = entries;
  } catch (error) {
    if (Object.keys(entries ?? {}).length && known.failed !== session) {
      known.failed = session;
      setTriggerValue("failed", String(error.name));
    }
  }
};
"""


def draw(bundle: Bundle) -> None:
    """Draw the part of the page that keeps notes; it has nothing to see."""
    entries = entries_of(notes.own(bundle)) | basket.kept_entries(bundle)
    size = sum(len((name + value).encode()) for name, value in entries.items())
    if size > MOST_KEPT:
        st.session_state[_WRONG] = f"they take {size:,} bytes, and {MOST_KEPT:,} is the most"
    session = st.session_state.setdefault(_SESSION, secrets.token_hex(8))
    keep = st.components.v2.component("tfactors_kept_notes", js=_KEEP)
    with st.container(key="kept"):
        keep(
            key=_KEY,
            data={
                "session": session,
                "fingerprint": bundle.fingerprint,
                "entries": entries if size <= MOST_KEPT else None,
                "taken": bundle.fingerprint in st.session_state.get(_TAKEN, ()),
            },
            on_stored_change=partial(_take_stored, bundle),
            on_failed_change=_note_failure,
        )


def notice(bundle: Bundle) -> str | None:
    """Return that the browser keeps nothing, and why, where that is so and there is something."""
    why = st.session_state.get(_WRONG)
    return NOT_KEPT.format(why=why) if why and notes.own(bundle) != Notes() else None


def entries_of(own: Notes) -> dict[str, str]:
    """Return what is kept of a reader's notes: JSON by the name of each entry.

    >>> entries_of(Notes({3: notes_file.Note("three", "")}, {"odd": (3, 5)}))
    {'label:3': '{"label": "three", "note": ""}', 'list:odd': '[3, 5]'}
    """
    labels = {f"label:{at}": asdict(note) for at, note in own.notes.items()}
    lists = {f"list:{name}": list(members) for name, members in own.lists.items()}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in (labels | lists).items()}


def take_over(bundle: Bundle, text: str) -> None:
    """Take over what the browser kept of a bundle; what this session has of the same stays.

    An entry that cannot be read, as one of a newer tfactors, is passed over, and stays where it is.
    """
    try:
        given = json.loads(text)
        if given["fingerprint"] != bundle.fingerprint:
            return
        entries = [(str(name), str(value)) for name, value in given["entries"].items()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return
    stored = Notes()
    for name, value in entries:
        if name == "basket:":
            basket.take_kept(bundle, value)
            continue
        stored = (_read(bundle, name, value) or Notes()).over(stored)
    notes.add(bundle, stored)
    taken = st.session_state.get(_TAKEN, ())
    st.session_state[_TAKEN] = {*taken, bundle.fingerprint}


def _read(bundle: Bundle, name: str, value: str) -> Notes | None:
    """Return one entry as notes, checked as a file of labels is."""
    kind, _, about = name.partition(":")
    content: dict[str, Any] = {"format": notes_file.FORMAT, "version": notes_file.VERSION}
    try:
        content |= {"labels" if kind == "label" else "lists": {about: json.loads(value)}}
        content |= {"bundle": bundle.title, "manifest_sha256": bundle.fingerprint}
        return notes_file.read(
            json.dumps(content), bundle.title, bundle.n_factors, bundle.fingerprint
        )
    except (InputError, ValueError, RecursionError):
        return None


def _take_stored(bundle: Bundle) -> None:
    take_over(bundle, str(st.session_state[_KEY]["stored"]))


def _note_failure() -> None:
    name = str(st.session_state[_KEY]["failed"])
    full = "its storage is full" if name == "QuotaExceededError" else "its storage is closed to us"
    st.session_state[_WRONG] = full
