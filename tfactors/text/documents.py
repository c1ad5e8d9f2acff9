"""Turns text files into documents, one at a time: one document a file or a row.

A `.txt` or `.md` file is one document, a row of a `.jsonl`, `.csv` or `.parquet` file is one
document (read row by row, never the whole file), a folder is all such files below it in the order
of their names. Each of them but Parquet may be gzipped (`.txt.gz`). A document keeps its text as it
was written, except that the lines of hard-wrapped text are joined, so that a newline in
`Document.text` always ends a paragraph, a heading or a list item and never cuts a sentence.
"""

import codecs
import csv
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tfactors.errors import InputError

SUFFIXES = (".txt", ".md", ".jsonl", ".csv", ".parquet", ".tokens")
DEFAULT_COLUMN = "text"
HELD_OUT_SHARE = 0.05
# Characters of an article of WikiText, as in 2021.
SHORTEST_ARTICLE = 2000
# Hard-wrapped text is about this wide; wider lines are one paragraph each, narrower ones a list.
WRAP_WIDTHS = range(40, 101)
# csv refuses fields above 128 KiB unless told otherwise, and a field here is a whole document.
csv.field_size_limit(2**31 - 1)


class CorpusError(InputError):
    """A text source that cannot be read; the message says which, where and what to do."""


@dataclass(frozen=True)
class Source:
    """Where texts come from, as the manifest, the README and the dashboard name it."""

    name: str
    title: str
    licence: str
    attribution: str


@dataclass(frozen=True)
class Document:
    """One text with its title, the unit that no window crosses and that is held out whole."""

    source: str
    title: str
    text: str
    year: int | None = None

    @property
    def held_out(self) -> bool:
        """Whether the document is kept for evaluation: about 5 % are, decided by their text.

        The SHA-256 of "held out" and the text decides, so that neither the order of the documents
        nor what else is in the corpus moves a document to the other side, and copies stay together.
        """
        digest = hashlib.sha256(("held out" + self.text).encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < HELD_OUT_SHARE * 2**64


def read_files(path: Path, column: str | None = None) -> Iterator[Document]:
    """Yield the documents of a file or of all text files below a folder.

    Rows without text are passed over. A row's title is its `title` column if there is one, else
    the file's name and the row's number, counted from 1.

    Raises
    ------
    CorpusError
        There is no such file, its suffix is unknown, it is empty or not UTF-8 text, the column is
        not there, a row is malformed, or no document has any text.
    """
    if not path.exists():
        raise CorpusError(f"{path}: no such file or folder")
    files = _files_below(path) if path.is_dir() else [path]
    any_text = False
    for file in files:
        title = file.relative_to(path).as_posix() if path.is_dir() else file.name
        try:
            for row_title, text in _read_file(file, title, column or DEFAULT_COLUMN):
                if text.strip():
                    any_text = True
                    yield Document(path.name or str(path), row_title, join_wrapped_lines(text))
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CorpusError(f"{file}: cannot be read: {reason}") from error
    if not any_text:
        if path.is_dir():
            raise CorpusError(f"{path}: no text below this folder in {_or(SUFFIXES)} files")
        raise CorpusError(f"{path}: the file is empty; a text is needed")


def replace_surrogates(text: str) -> str:
    r"""Return the text with U+FFFD for each lone surrogate, as JSON's ``\ud800`` makes one."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def join_wrapped_lines(text: str) -> str:
    r"""Return the text with hard-wrapped lines joined, so that a newline ends a paragraph.

    A newline is a wrap if the next line's first word would not have fitted on the line, as the
    width of nine lines in ten tells; text of long lines or of short ones only is left alone.

    Examples
    --------
    >>> join_wrapped_lines("It was the best of times, it was the worst\nof times.\n\nThe end.")
    'It was the best of times, it was the worst of times.\n\nThe end.'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    followed = sorted(len(line) for line, following in pairwise(lines) if line and following)
    width = followed[-1 - len(followed) // 10] if followed else 0
    if width not in WRAP_WIDTHS:
        return text
    pieces = [lines[0]]
    for line, following in pairwise(lines):
        first_word = following.split(" ", 1)[0]
        full_line = len(line) + 1 + len(first_word) > 0.9 * width
        wrapped = line and first_word and full_line and not _LIST_ITEM.match(following)
        pieces += [" " if wrapped else "\n", following]
    return "".join(pieces)


_ARTICLE = re.compile(r" = ([^=]+) = *$")
_LIST_ITEM = re.compile(r"[-*+#>|•]|\d+[.)] ")


def _files_below(folder: Path) -> list[Path]:
    """Return all readable files below a folder in the order of their names, but hidden ones."""
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and _suffix(Path(name)) in SUFFIXES:
                files.append(Path(root, name))
    return sorted(files, key=lambda file: file.relative_to(folder).parts)


def _suffix(path: Path) -> str:
    """Return the suffix that says how to read a file: that of `a.csv` for `a.csv.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return "" if name.endswith(".parquet") and name != path.name.lower() else Path(name).suffix


def _read_file(path: Path, title: str, column: str) -> Iterator[tuple[str, str]]:
    """Return title and text of each document of a file."""
    suffix = _suffix(path)
    if suffix == ".parquet":
        return _read_parquet(path, title, column)
    if suffix == ".csv":
        return _read_csv(path, title, column)
    if suffix == ".jsonl":
        return _read_jsonl(path, title, column)
    if suffix == ".tokens":
        return articles(_lines(path), title)
    if suffix in (".txt", ".md"):
        return iter([(title, "".join(_lines(path)))])
    kind = f"suffix {path.suffix!r}" if path.suffix else "a file name without a suffix"
    raise CorpusError(f"{path}: {kind} is unknown; expected {_or(SUFFIXES)}, or a folder of them")


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, with the byte where it turns out to be something else."""
    offset = 0
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as stream:
        for line in stream:
            start = len(codecs.BOM_UTF8) if not offset and line.startswith(codecs.BOM_UTF8) else 0
            if (nul := line.find(b"\0")) >= 0:
                raise CorpusError(
                    f"{path}: not a text file: a NUL byte at byte {offset + nul:,}; "
                    "UTF-8 text is needed"
                )
            try:
                yield line[start:].decode()
            except UnicodeDecodeError as error:
                at = offset + start + error.start
                raise CorpusError(
                    f"{path}: not UTF-8 text: 0x{line[start + error.start]:02x} at byte {at:,}; "
                    "save it as UTF-8"
                ) from error
            offset += len(line)


def articles(lines: Iterable[str], title: str) -> Iterator[tuple[str, str]]:
    """Yield title and text of the articles in the lines of WikiText, parted as in 2021.

    A line `` = Title = `` begins an article; what stands before the first one is called ``title``.
    Short articles are left out.
    """
    article: list[str] = []
    for line in lines:
        if heading := _ARTICLE.match(line):
            if sum(map(len, article)) > SHORTEST_ARTICLE:
                yield title, "".join(article)
            title, article = heading[1], []
        article.append(line)
    if sum(map(len, article)) > SHORTEST_ARTICLE:
        yield title, "".join(article)


def _read_jsonl(path: Path, title: str, column: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_lines(path), 1):
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}: line {number:,} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{path}: line {number:,} is not an object such as {{{column!r}: …}}")
        if column not in row:
            raise no_column(path, column, list(row), f"line {number:,} has")
        yield row_text(path, title, number, row[column], row.get("title"), column)


def _read_csv(path: Path, title: str, column: str) -> Iterator[tuple[str, str]]:
    rows = csv.DictReader(_lines(path), strict=True)
    try:
        if rows.fieldnames is not None and column not in rows.fieldnames:
            raise no_column(path, column, list(rows.fieldnames))
        for number, row in enumerate(rows, 1):
            yield row_text(path, title, number, row[column], row.get("title"), column)
    except csv.Error as error:
        raise CorpusError(f"{path}: line {rows.reader.line_num:,} is not CSV: {error}") from error


def _read_parquet(path: Path, title: str, column: str) -> Iterator[tuple[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise no_column(path, column, names)
            columns = list(dict.fromkeys([column, *(["title"] if "title" in names else [])]))
            number = 0
            for batch in file.iter_batches(batch_size=32, columns=columns):
                titles = batch["title"].to_pylist() if "title" in columns else [None] * len(batch)
                for text, row_title in zip(batch[column].to_pylist(), titles, strict=True):
                    number += 1
                    yield row_text(path, title, number, text, row_title, column)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise CorpusError(f"{path}: not a readable Parquet file: {reason}") from error


def row_text(
    path: Path | str, title: str, number: int, text: Any, row_title: Any, column: str
) -> tuple[str, str]:
    """Return a row's title, its own or the source's with the number, and its text, checked."""
    if text is not None and not isinstance(text, str):
        raise CorpusError(
            f"{path}: row {number:,}: column {column!r} holds {type(text).__name__}, not text"
        )
    named = row_title if isinstance(row_title, str) and column != "title" else ""
    named = " ".join(replace_surrogates(named).split())
    return named or f"{title}, row {number}", replace_surrogates(text or "")


def no_column(
    path: Path | str, column: str, names: list[str], holder: str = "it has"
) -> CorpusError:
    """Return the error of a table without the column that was asked for."""
    there = ", ".join(map(str, names[:20])) + (", …" if len(names) > 20 else "") or "none"
    return CorpusError(f"{path}: no column {column!r}; {holder} {there}; name one with --column")


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
