"""The file of labels, notes and lists that people write about factors.

Turns JSON (a file from a reader, or ``labels.json`` beside the bundle's manifest) into plain texts
by factor. All of it is text and stays text: whoever draws it escapes it.

A file is about the bundle whose fingerprint it holds; the title beside it is for people. Files from
before there was one, and those written by hand, have the title alone: they are read where it fits,
and the pages say that another bundle may have the same.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from msgspec import Meta

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


def read(
    text: str | bytes, title: str, factors: int, fingerprint: str = "", name: str = FILE
) -> Notes:
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
    name : str
        What the file is called where something is wrong with it.

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
        notes = {
            _factor(at, factors): _cleaned_note(at, note) for at, note in content.labels.items()
        }
        lists = {
            _list_name(called): tuple(sorted({_factor(str(at), factors) for at in members}))
            for called, members in content.lists.items()
        }
        if len(notes) < len(content.labels):  # 3 and 03
            raise FieldError("a factor is there twice; leave one of its labels")
        if len(lists) < len(content.lists):
            raise FieldError("two lists have the same name; rename one")
    except FieldError as error:
        raise InputError(f"{name}: {error}") from None
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


def read_file(path: Path, title: str, factors: int, fingerprint: str) -> tuple[Notes, str | None]:
    """Return what stands in the file beside a bundle, and what is wrong or uncertain about it."""
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            return Notes(), f"{FILE}: {size:,} bytes, and {MOST_BYTES:,} is the most"
        found = read(path.read_bytes(), title, factors, fingerprint)
        return found, None if found.bound else f"{FILE}: {UNBOUND}"
    except FileNotFoundError:
        return Notes(), None
    except InputError as error:
        return Notes(), str(error)
    except OSError as error:
        return Notes(), f"{FILE}: cannot be read ({error.strerror})"


def cleaned(text: str) -> str:
    """Return text without blanks around it and without letters that would act on a page."""
    return boxed(text).strip()


def _factor(at: str, factors: int) -> int:
    if not (at.isascii() and at.isdigit() and len(at) < 10 and int(at) < factors):
        raise FieldError(f"“{at[:20]}” is no factor of this bundle: they are 0 to {factors - 1:,}")
    return int(at)


def _cleaned_note(at: str, note: Note) -> Note:
    """Return a note cleaned, if it is not too long then."""
    whole = Note(cleaned(note.label), cleaned(note.note))
    for what, longest in (("label", LONGEST_LABEL), ("note", LONGEST_NOTE)):
        length = len(getattr(whole, what))
        if length > longest:
            raise FieldError(
                f"the {what} of factor {at} has {length:,} characters, and {longest:,} is the most"
            )
    return whole


def _list_name(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise FieldError(f"a list's name has 1 to {LONGEST_NAME} characters")
    return cleaned(name)
