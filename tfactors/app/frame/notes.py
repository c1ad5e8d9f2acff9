"""What people write about factors: labels, notes and lists of factors.

Turns JSON (a file from a reader, or ``labels.json`` beside the bundle's manifest) into plain texts
by factor. A reader's own live in the session and in the reader's browser
(:mod:`tfactors.app.frame.kept_notes`), and nowhere else until they are downloaded; what stands
beside the bundle is shown to everybody. Where both speak of a factor, the reader's own counts. All
of it is text and stays text: whoever draws it escapes it.

A file is about the bundle whose fingerprint it holds; the title beside it is for people. Files from
before there was one, and those written by hand, have the title alone: they are read where it fits,
and the pages say that another bundle may have the same.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

import streamlit as st
from msgspec import Meta

from tfactors.bundle import Bundle
from tfactors.bundle.validation import FieldError, parse_json, quoted, typed
from tfactors.errors import InputError
from tfactors.visible import boxed

FILE = "labels.json"
FORMAT, VERSION = "tfactors-labels", 1
LONGEST_LABEL, LONGEST_NOTE, LONGEST_NAME = 80, 2000, 60
MOST_LISTS, MOST_LISTED = 50, 1000
MOST_BYTES = 4_000_000
# What is said of a file that has no fingerprint.
UNBOUND = (
    "names its bundle by the title alone, and another bundle may have the same; check its labels, "
    "and download it from Labels again to bind it to this one"
)

_OWN = "notes.own"  # fingerprint of a bundle -> what the reader wrote about it
_SHOWN = "notes.shown"  # fingerprint -> what this run shows: a reader's own over the bundle's


@dataclass(frozen=True)
class Note:
    """What somebody wrote about a factor: a label of a few words, and a note of some lines."""

    label: str = ""
    note: str = ""


@dataclass(frozen=True)
class Notes:
    """All that somebody wrote about the factors of a bundle.

    Attributes
    ----------
    notes : mapping of Note
        By factor what was written about it.
    lists : mapping of tuples of int
        By name the factors that were put together, ascending.
    bound : bool
        Whether the fingerprint says that they are about the bundle, or its title alone.
    """

    notes: Mapping[int, Note] = field(default_factory=dict)
    lists: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bound: bool = field(default=True, compare=False)

    def over(self, other: "Notes") -> "Notes":
        """Return these notes and lists, with what ``other`` has beside them."""
        return Notes({**other.notes, **self.notes}, {**other.lists, **self.lists})


# What a file may hold beside format, version and bundle; numbers of factors are text in its labels.
_Labelled = Annotated[Note, Meta(description='{"label": a text, "note": a text}')]
_Number = Annotated[int, Meta(description="the number of a factor")]
_Members = Annotated[
    tuple[_Number, ...],
    Meta(max_length=MOST_LISTED, description=f"a list of at most {MOST_LISTED:,} factors"),
]
_Lists = Annotated[
    Mapping[str, _Members],
    Meta(max_length=MOST_LISTS, description=f"an object with at most {MOST_LISTS} lists"),
]


@dataclass(frozen=True)
class _Content:
    manifest_sha256: str = ""
    labels: Mapping[str, _Labelled] = field(default_factory=dict)
    lists: _Lists = field(default_factory=dict)


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
    given, cut = Note(_clean(note.label), _clean(note.note)), []
    for what, longest in (("label", LONGEST_LABEL), ("note", LONGEST_NOTE)):
        cut += _cut_sentences(what, getattr(given, what), longest)
    note = Note(given.label[:LONGEST_LABEL], given.note[:LONGEST_NOTE])
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
    wanted = list(dict.fromkeys(_clean(name)[:LONGEST_NAME] for name in names if name.strip()))
    left_out = [
        said for name in names for said in _cut_sentences("list's name", name, LONGEST_NAME)
    ]
    lists = dict(own(bundle).over(beside(bundle)).lists)
    for name in {*lists, *wanted}:
        members = [at for at in lists.get(name, ()) if at != factor]
        if name in wanted and len(members) < MOST_LISTED:
            members.append(factor)
        elif name in wanted:
            left_out.append(f"The list “{name}” is full: {MOST_LISTED:,} factors are the most.")
        lists[name] = tuple(sorted(members))
    known = beside(bundle).lists
    mine = {name: members for name, members in lists.items() if members != known.get(name)}
    mine = {name: members for name, members in mine.items() if members or name in known}
    if len(mine) > MOST_LISTS:
        left_out.append(f"There are {MOST_LISTS} lists, which is the most: no new one was made.")
    _keep(bundle, replace(own(bundle), lists=dict(list(mine.items())[:MOST_LISTS])))
    return left_out


def add(bundle: Bundle, found: Notes) -> None:
    """Take over what a reader wrote earlier; what the session has of the same stays."""
    _keep(bundle, own(bundle).over(found))


def load(bundle: Bundle, text: str | bytes) -> Notes:
    """Take over a file of a reader's; what it says replaces what the session has of the same.

    Raises
    ------
    InputError
        The file is not one of ours, or is about another bundle.
    """
    given = read(text, bundle.title, bundle.n_factors, bundle.fingerprint)
    _keep(bundle, given.over(own(bundle)))
    return given


def read(text: str | bytes, title: str, factors: int, fingerprint: str = "") -> Notes:
    """Return the content of a file of labels.

    Parameters
    ----------
    text : str or bytes
        What is in the file.
    title : str
        Of the bundle that it has to be about.
    factors : int
        How many factors that has.
    fingerprint : str
        Of the bundle. Where it or that of the file is not known, the titles have to be the same.

    Raises
    ------
    InputError
        One line: what was found, what was expected.
    """
    try:
        if len(text) > MOST_BYTES:
            raise FieldError(f"{len(text):,} bytes, and {MOST_BYTES:,} is the most")
        given = parse_json(text)
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise FieldError(f'expected an object with "format": "{FORMAT}"')
        if given.get("version") != VERSION:
            raise FieldError(
                f"version {quoted(given.get('version'))}, and this tfactors reads version "
                f"{VERSION}; upgrade tfactors"
            )
        content = typed(given, _Content)
        written_for, about = content.manifest_sha256, str(given.get("bundle"))[:60]
        bound = bool(written_for and fingerprint)
        if bound and written_for != fingerprint:
            raise FieldError(
                f"written about the bundle with manifest_sha256 {quoted(written_for[:12])}…, "
                f"“{about}”, and this is {quoted(fingerprint[:12])}…, “{title[:60]}”: its factors "
                "are others"
            )
        if not bound and given.get("bundle") != title:
            raise FieldError(
                f"written about the bundle “{about}”, and this is “{title}”: its factors are others"
            )
        notes = {_factor(at, factors): _cleaned(at, note) for at, note in content.labels.items()}
        lists = {
            _list_name(name): tuple(sorted({_factor(str(at), factors) for at in members}))
            for name, members in content.lists.items()
        }
    except FieldError as error:
        raise InputError(f"{FILE}: {error}") from None
    written = {factor: note for factor, note in notes.items() if note != Note()}
    return Notes(written, lists, bound)


def to_json(notes: Notes, title: str, fingerprint: str = "") -> str:
    """Return notes as the JSON that :func:`read` reads, bound to a bundle by its fingerprint.

    >>> made = to_json(Notes({30: Note("left", "")}), "mine")
    >>> read(made, "mine", 31) == Notes({30: Note("left", "")})
    True
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "bundle": title,
        **({"manifest_sha256": fingerprint} if fingerprint else {}),
        "labels": {str(at): asdict(note) for at, note in sorted(notes.notes.items())},
        "lists": {name: list(members) for name, members in sorted(notes.lists.items())},
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _keep(bundle: Bundle, notes: Notes) -> None:
    # A new dictionary, so that a run that still draws keeps the old one whole.
    kept = dict(st.session_state.get(_OWN, {}))
    st.session_state[_OWN] = kept | {bundle.fingerprint: notes}


def _beside(bundle: Bundle) -> tuple[Notes, str | None]:
    path = bundle.path / FILE
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
    if stamp[1] > MOST_BYTES:
        return Notes(), f"{FILE}: {stamp[1]:,} bytes, and {MOST_BYTES:,} is the most"
    try:
        found = read(Path(path).read_bytes(), title, factors, fingerprint)
        return found, None if found.bound else f"{FILE}: {UNBOUND}"
    except InputError as error:
        return Notes(), str(error)
    except OSError as error:
        return Notes(), f"{FILE}: cannot be read ({error.strerror})"


def _cut_sentences(what: str, text: str, longest: int) -> list[str]:
    """Return that a text is cut, where it is."""
    if len(text) <= longest:
        return []
    return [f"The {what} has {len(text):,} characters; the first {longest:,} are kept."]


def _clean(text: str) -> str:
    """Return text without blanks around it and without letters that would act on a page."""
    return boxed(text).strip()


def _factor(at: str, factors: int) -> int:
    if not (at.isascii() and at.isdigit() and len(at) < 10 and int(at) < factors):
        raise FieldError(f"“{at[:20]}” is no factor of this bundle: they are 0 to {factors - 1:,}")
    return int(at)


def _cleaned(at: str, note: Note) -> Note:
    """Return a note cleaned, if it is not too long then."""
    cleaned = Note(_clean(note.label), _clean(note.note))
    for what, longest in (("label", LONGEST_LABEL), ("note", LONGEST_NOTE)):
        length = len(getattr(cleaned, what))
        if length > longest:
            raise FieldError(
                f"the {what} of factor {at} has {length:,} characters, and {longest:,} is the most"
            )
    return cleaned


def _list_name(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise FieldError(f"a list's name has 1 to {LONGEST_NAME} characters")
    return _clean(name)
