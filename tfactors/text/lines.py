"""Turns a file of text into its lines, whatever packs it and whichever encoding its mark tells.

UTF-8 is read as it is, UTF-16 and UTF-32 where a byte-order mark says so, and UTF-16 without one
where it shows (`tfactors.encodings`). A file may be packed by gzip (``.gz``), Zstandard (``.zst``),
bzip2 (``.bz2``) or xz (``.xz``). What is no text is refused by the name of what it is.
"""

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tfactors.encodings import HEAD, encoding_of
from tfactors.errors import InputError
from tfactors.files import MOST_TIMES, stands_for_another, unpacks_too_far

PACKED = (".gz", ".zst", ".bz2", ".xz")
# What reading a file raises that is damaged, cut, or may not be read.
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)
_NO_TEXT = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a zip archive (also .docx, .xlsx, .epub)",
    b"\xd0\xcf\x11\xe0": "an old Office file (.doc, .xls)",
    b"{\\rtf": "an RTF file",
    b"\x1f\x8b": "packed by gzip without .gz at the end of its name",
    b"\x28\xb5\x2f\xfd": "packed by Zstandard without .zst at the end of its name",
    b"BZh": "packed by bzip2 without .bz2 at the end of its name",
    b"\xfd7zXZ": "packed by xz without .xz at the end of its name",
    b"PAR1": "a Parquet file without .parquet at the end of its name",
    b"ARROW1": "an Arrow file without .arrow at the end of its name",
    b"SQLite format 3": "an SQLite database",
}
_BUFFER = 1 << 16  # bytes that are unpacked at a time
MARK = "\ufeff"
# Plain letters of one byte each are no text of UTF-16, whose letters of so many such bytes would
# be Chinese ones drawn blindly.
_BYTES = re.compile(rb"[\t\r\n -~]{64}")


class CorpusError(InputError):
    """A text source that cannot be read; the message says which, where and what to do."""


_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def opened(path: Path) -> IO[bytes]:
    """Return the unpacked bytes of a file, to be read once from its beginning.

    Raises
    ------
    CorpusError
        It is no ordinary file, whose reading might never end, or only stands for another.
    """
    if path.exists() and not path.is_file():
        raise CorpusError(
            f"{path}: no ordinary file (a pipe or a device); write what it gives into a file"
        )
    if pointer := stands_for_another(path):
        raise CorpusError(f"{path}: {pointer}")
    packing = path.suffix.lower()
    if packing not in PACKED:
        return path.open("rb")
    if packing == ".zst":
        import pyarrow as pa

        path.open("rb").close()  # whose errors name the file as others do
        packed: Any = pa.input_stream(path, compression="zstd")
    else:
        packed = _OPENERS[packing](path, "rb")
    return io.BufferedReader(_Unpacked(path, packed), _BUFFER)


class _Unpacked(io.RawIOBase):
    """The bytes of a packed file, as long as they are not absurdly many for its size."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path, self._stream = path, stream
        self._size, self._read = path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        some = self._stream.read(len(buffer))
        buffer[: len(some)] = some
        self._read += len(some)
        if unpacks_too_far(self._size, self._read):
            raise CorpusError(
                f"{self._path}: unpacks to more than {MOST_TIMES} times its {self._size:,} bytes, "
                "as no text does; unpack it yourself if it is meant"
            )
        return len(some)

    def close(self) -> None:
        self._stream.close()
        super().close()


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, without byte-order marks at their beginnings.

    Files that were joined bring their marks along, so not only the first line may have one.

    Raises
    ------
    CorpusError
        The file is no text, or not of the encoding that it begins in; the message
        says at which byte.
    """
    with opened(path) as stream:
        head = stream.read(HEAD)
    _, encoding = encoding_of(head)
    if not encoding:
        _refuse_no_text(path, head)
    with opened(path) as stream:
        in_units = encoding.startswith(("utf-16", "utf-32"))
        read = _lines_of_units(path, stream, encoding) if in_units else _utf8_lines(path, stream)
        for line in read:
            yield line.removeprefix(MARK)


def _refuse_no_text(path: Path, head: bytes) -> None:
    """Raise for the beginning of a file that is known to be something else."""
    for mark, kind in _NO_TEXT.items():
        if head.startswith(mark):
            raise CorpusError(f"{path}: {kind}, not text; give its text in UTF-8")
    if len(head) >= 8 and 0.6 * len(head) < head.count(0) < 0.9 * len(head):
        raise CorpusError(
            f"{path}: UTF-32 text without a byte-order mark, by its NUL bytes; "
            "save it as UTF-8, or with the mark"
        )


def _utf8_lines(path: Path, stream: IO[bytes]) -> Iterator[str]:
    offset = 0
    for line in stream:
        if (nul := line.find(b"\0")) >= 0:
            raise CorpusError(
                f"{path}: not a text file: a NUL byte at byte {offset + nul:,}; "
                "UTF-8 text is needed"
            )
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            at = offset + error.start
            raise CorpusError(
                f"{path}: not UTF-8 text: 0x{line[error.start]:02x} at byte {at:,}; "
                "save it as UTF-8"
            ) from error
        offset += len(line)


def _lines_of_units(path: Path, stream: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield the lines of text whose characters are units of two or four bytes."""
    name = encoding.upper().rpartition("-")[0]
    characters = 0
    try:
        for line in io.TextIOWrapper(stream, encoding, newline=""):
            if (nul := line.find("\0")) >= 0:
                raise CorpusError(
                    f"{path}: not a text file: a NUL as character {characters + nul:,} of what "
                    f"begins as {name}; text is needed"
                )
            if encoding.startswith("utf-16") and _of_single_bytes(line.encode(encoding, "replace")):
                raise CorpusError(
                    f"{path}: begins as {name}, and behind {characters:,} characters text of one "
                    "byte a letter was added to it; save all of it as UTF-8"
                )
            characters += len(line)
            yield line
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: not the {name} text that it begins as: {error.reason} after "
            f"{characters:,} characters; save it as UTF-8"
        ) from error


def _of_single_bytes(line: bytes) -> bool:
    """Return whether a line holds a long run of plain letters that is no ruler of few signs."""
    return any(len(set(run[0])) > 12 for run in _BYTES.finditer(line))


_LINE_END = re.compile(r"\r(?!\n)")


def parted_at_returns(read: Iterator[str]) -> Iterator[str]:
    r"""Yield lines that end at ``\r`` too, as old Mac programs wrote them.

    >>> list(parted_at_returns(iter(["a\rb\r\n", "c\n"])))
    ['a\r', 'b\r\n', 'c\n']
    """
    for line in read:
        yield from io.StringIO(line, newline="") if _LINE_END.search(line) else (line,)
