"""Files that are whole or not there: written to a temporary name, renamed, known by their hash.

And files that only stand for another one, or unpack to far more than they should: known by their
first bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, and put the file in place when it is whole.

    An error or an interruption before that leaves what was there, and nothing beside it.

    Parameters
    ----------
    path : Path
        Where the file will be; what was there is replaced.

    Yields
    ------
    Path
        The temporary name, in the same folder.
    """
    temporary = path.with_name(f"part-{path.name}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside another; nothing is left of it unless it is moved away."""
    temporary = Path(tempfile.mkdtemp(prefix=f"part-{folder.name}-", dir=folder.parent))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to write into, and put it in place of an empty one or of none.

    An error or an interruption before that leaves nothing beside it.

    Parameters
    ----------
    folder : Path
        Where the folder will be.

    Yields
    ------
    Path
        The temporary folder, beside it and empty.
    """
    with folder_beside(folder) as temporary:
        yield temporary
        give_usual_rights(temporary)
        if folder.is_dir():
            folder.rmdir()
        os.replace(temporary, folder)


def give_usual_rights(folder: Path) -> None:
    """Let others into a folder as the umask has it: one by tempfile is its maker's alone."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small JSON file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False), "utf-8")


# What packs files is 3 to 30 times smaller than text, and no more than that than weights; what
# unpacks to this many times itself was made to fill a disk or a memory.
MOST_TIMES = 200
LITTLE = 256_000_000  # bytes that any file may unpack to


def unpacks_too_far(packed: int, unpacked: int) -> bool:
    """Return whether so many bytes are too many for a packed file of some size.

    >>> unpacks_too_far(1_000, 200_000_000), unpacks_too_far(2_000_000, 500_000_000)
    (False, True)
    """
    return unpacked > LITTLE and unpacked > MOST_TIMES * packed


# --- what stands in place of a file --------------------------------------------------------------

_LFS = b"version https://git-lfs.github.com/spec/"
_WEB_PAGES = (b"<!doctype", b"<html", b"<?xml")


def stands_for_another(file: Path) -> str | None:
    """Return what a file is that only stands for one that was not fetched; None where it is none.

    >>> stands_for_another(Path(__file__)) is None
    True
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(400)
    except OSError:
        return None
    if not start.startswith(_LFS):
        return None
    sizes = [line[5:] for line in start.decode("ascii", "replace").splitlines() if "size" in line]
    of = f" of {int(sizes[0]):,} bytes" if sizes and sizes[0].isdigit() else ""
    return (
        f"{file.name} is a pointer that Git LFS left in place of the file{of}; run 'git lfs pull' "
        "in its folder, or get it again"
    )


def odd_path(file: Path) -> str | None:
    r"""Return what is wrong with a path that only Python opens; None with any other.

    >>> odd_path(Path("models/\udcff.safetensors")), odd_path(Path("models/été.safetensors"))
    ('its path has the byte 0xff, which is not UTF-8; rename it', None)
    """
    odd = next((letter for letter in str(file) if "\ud800" <= letter <= "\udfff"), None)
    if odd is None:
        return None
    return f"its path has the byte 0x{ord(odd) & 0xFF:02x}, which is not UTF-8; rename it"


def instead_of_content(file: Path) -> str | None:
    """Return what a file holds in place of its content; None where its first bytes do not tell."""
    if odd := odd_path(file):
        return odd
    if pointer := stands_for_another(file):
        return pointer
    try:
        with file.open("rb") as stream:
            start = stream.read(40)
    except OSError:
        return None
    if not start:
        return "empty; get it again"
    if start.lstrip().lower().startswith(_WEB_PAGES):
        return "a web page and not the file that it links to; get it again"
    return None
