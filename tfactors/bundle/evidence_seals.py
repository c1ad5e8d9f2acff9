"""The seals of evidence: what `tfactors evaluate` wrote, known by its SHA-256.

    BUNDLE/evidence/seals.json        the SHA-256 of every other file of the folder, and of itself

The manifest seals what was built; evidence is measured after that, so it has seals of its own. A
file gets its seal when it is written and never later: whoever seals what lies there would bless a
damaged file as well. Only where there are no seals at all, as in bundles from before there were
any, :func:`seal_all` takes the files as they are.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfactors.bundle.validation import FieldError, parse_json, quoted, typed
from tfactors.errors import InputError
from tfactors.files import file_sha256, replacing

FILE = "seals.json"
FORMAT, VERSION = "tfactors-evidence-seals", 1
MOST_BYTES = 100_000


def read_seals(folder: Path) -> dict[str, str] | None:
    """Return the SHA-256 by the name of each sealed file, or None where there are no seals.

    Raises
    ------
    InputError
        The file of seals cannot be read or has changed since it was written.
    """
    path = folder / FILE
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _wrong(FILE, f"more than {MOST_BYTES:,} bytes")
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _wrong(FILE, f"cannot be read ({error.strerror})") from error
    try:
        given = parse_json(raw)
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise FieldError(f'expected an object with "format": "{FORMAT}"')
        if given.get("version") != VERSION:
            found = quoted(given.get("version"))
            raise FieldError(f"version {found}, and this tfactors reads {VERSION}; upgrade it")
        seals = typed(given.get("files"), dict[str, str])
    except FieldError as error:
        raise _wrong(FILE, str(error)) from None
    if raw != _written(seals):
        raise _wrong(FILE, "changed since it was written")
    return seals


def check_seals(folder: Path, names: Sequence[str]) -> None:
    """Raise InputError unless the files that are there are those that were sealed.

    Without seals nothing is checked.
    """
    seals = read_seals(folder)
    for name in [] if seals is None else sorted({*names, *seals}):
        check_seal(folder, name, seals or {})


def check_seal(folder: Path, name: str, seals: dict[str, str]) -> None:
    """Raise InputError unless a file is the one that was sealed, or neither is there."""
    present, sealed = (folder / name).is_file(), seals.get(name)
    if present and sealed is None:
        raise _wrong(name, f"has no seal in {FILE}")
    if sealed is not None and not present:
        raise _wrong(name, f"missing, and {FILE} has its seal")
    if sealed is not None and file_sha256(folder / name) != sealed:
        raise _wrong(name, "changed since it was written (its SHA-256 is not that of its seal)")


def write_sealed(folder: Path, name: str, content: str, names: Sequence[str]) -> None:
    """Write a file whole or not at all, and seal it; one that is as it should be is left alone.

    Parameters
    ----------
    folder : Path
        Where; made when it is not there.
    name : str
        The file.
    content : str
        What it holds.
    names : sequence of str
        All files that the folder may hold, which are sealed as they are where no seals are yet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seal_all(folder, names)
    known, sha256 = _known(folder), hashlib.sha256(content.encode()).hexdigest()
    path = folder / name
    if known.get(name) == sha256 and path.is_file() and file_sha256(path) == sha256:
        return
    # A file that is being replaced has no seal, so that one that was cut short is known by that.
    if known.pop(name, None):
        _write(folder, known)
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode())
    _write(folder, known | {name: sha256})


def seal_all(folder: Path, names: Sequence[str]) -> None:
    """Seal the files of a folder that has no seals as they are; with seals nothing is done."""
    present = [name for name in names if (folder / name).is_file()]
    if present and not (folder / FILE).exists():
        _write(folder, {name: file_sha256(folder / name) for name in present})


def _known(folder: Path) -> dict[str, str]:
    """Return the seals that hold; none where the file of seals is damaged."""
    try:
        return read_seals(folder) or {}
    except InputError:
        return {}


def _write(folder: Path, seals: dict[str, str]) -> None:
    with replacing(folder / FILE) as path:
        path.write_bytes(_written(seals))


def _written(seals: dict[str, str]) -> bytes:
    """Return the one way in which seals are written, with their own, so that any change shows."""
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    content["files"] = dict(sorted(seals.items()))
    content["seals_sha256"] = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return (json.dumps(content, indent=2) + "\n").encode()


def _wrong(name: str, what: str) -> InputError:
    return InputError(f"evidence/{name}: {what}; restore it, or run 'tfactors evaluate' again")
