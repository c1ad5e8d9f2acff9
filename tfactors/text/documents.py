"""Turns text files into documents, one at a time: one document a file or a row.

A `.txt` or `.md` file is one document, a row of a table (`tfactors.text.tables`) is one document, a
folder is all such files below it in the order of their names. Each of them may be packed by gzip,
Zstandard, bzip2 or xz (`.txt.gz`). A document keeps its text as it was written, except that the
lines of hard-wrapped prose are joined (`tfactors.text.wrapped_lines`), so that a newline in
`Document.text` ends a paragraph, a heading or a list item and cuts no sentence.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tfactors.text.lines import PACKED, UNREADABLE, CorpusError, lines
from tfactors.text.tables import (
    READERS,
    NoColumnError,
    read_table,
    replace_surrogates,
    suffix_of,
)
from tfactors.text.wrapped_lines import join_wrapped_lines

SUFFIXES = (".txt", ".md", *READERS, ".tokens")
DEFAULT_COLUMN = "text"
HELD_OUT_SHARE = 0.05
# Characters of an article of WikiText, as in 2021.
SHORTEST_ARTICLE = 2000


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


def read_files(
    path: Path, column: str | None = None, left_out: Counter[str] | None = None
) -> Iterator[Document]:
    """Yield the documents of a file or of all text files below a folder.

    Rows without text are passed over. A row's title is its `title` column if there is one, else
    the file's name and the row's number, counted from 1.

    Parameters
    ----------
    path : Path
        The file or the folder.
    column : str, optional
        The column of a table that holds the text; default ``text``.
    left_out : Counter, optional
        Is told how many files of a folder are not read, by what they are.

    Raises
    ------
    CorpusError
        There is no such file, its suffix is unknown, it is empty or no text, the column is not
        there, a row is malformed, or no document has any text.
    """
    if not is_there(path):
        raise CorpusError(f"{str(path)[:200]}: no such file or folder")
    left_out = Counter() if left_out is None else left_out
    column = column or DEFAULT_COLUMN
    files, others = _files_below(path) if path.is_dir() else ([path], Counter())
    left_out.update(others)
    any_text, without_column = False, None
    for file in files:
        title, rows = file.relative_to(path).as_posix() if path.is_dir() else file.name, 0
        try:
            for row_title, text in _read_file(file, replace_surrogates(title), column):
                rows += 1
                if text.strip():
                    any_text = True
                    yield Document(source_name(path), row_title, join_wrapped_lines(text))
        except NoColumnError as error:
            if rows or not path.is_dir():
                raise
            without_column = without_column or error
            left_out[f"{suffix_of(file)} without a column {column!r}"] += 1
        except UNREADABLE as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CorpusError(f"{file}: cannot be read: {reason}") from error
    if not any_text:
        if without_column:
            raise without_column
        if path.is_dir():
            raise CorpusError(f"{path}: no text below this folder in {_or(SUFFIXES)} files")
        if rows and suffix_of(path) in READERS:
            raise CorpusError(f"{path}: no row of it has any text in the column {column!r}")
        raise CorpusError(f"{path}: the file is empty; a text is needed")


def source_name(path: Path) -> str:
    """Return what a file or a folder is called as a source of documents.

    Bytes of its name that are not UTF-8 are shown as U+FFFD.
    """
    return replace_surrogates(path.name or str(path))


def left_out_line(path: str | Path, left_out: Counter[str]) -> str:
    """Return the line that tells which files of a folder were not read, "" if all were.

    >>> left_out_line("letters", Counter({".pdf": 2, ".png": 1}))
    'letters: 3 files left out (2 .pdf, 1 .png)'
    """
    if not left_out:
        return ""
    commonest = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in commonest)
    number = left_out.total()
    return f"{path}: {number:,} file{'s' if number > 1 else ''} left out ({kinds})"


def _files_below(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Return the files to read below a folder, and how many others of which suffix there are.

    They come in the order of their names. Hidden files and folders are passed over, and so is what
    a saved data set keeps beside its rows. A link to a folder elsewhere is followed, once.
    """
    files, left_out = [], Counter[str]()
    top, entered = folder.resolve(), set[Path]()
    for root, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        if (here := Path(root).resolve()) in entered:
            folders.clear()
            continue
        entered.add(here)
        if log := next((name for name in folders if name in _LOGS), None):
            raise CorpusError(
                f"{root}: a table of {_LOGS[log]}, whose files keep rows that were deleted; write "
                "it out as plain Parquet, and give that"
            )
        rows = _rows_of_saved_dataset(Path(root))
        if lacking := sorted((rows or set()) - {*names, *folders}):
            raise CorpusError(
                f"{root}: {lacking[0]} is missing of the data set that was saved there; get it "
                "again"
            )
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and not _leads_back(Path(root, name), top)
        ]
        for name in names:
            file = Path(root, name)
            if name.startswith(".") or (rows is not None and name not in rows):
                continue
            if file.exists() and not file.is_file():
                left_out["no ordinary file"] += 1
            elif suffix_of(file) in SUFFIXES:
                files.append(file)
            else:
                left_out[_kind(file) or "without a suffix"] += 1
    return sorted(files, key=lambda file: file.relative_to(folder).parts), left_out


# Folders in which a table keeps which of its rows still count.
_LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}


def _refuse(error: OSError) -> None:
    """Raise for a folder that cannot be entered, of which nobody knows what it holds."""
    raise CorpusError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _leads_back(folder: Path, top: Path) -> bool:
    """Whether a folder is a link into the one that is read, or to one that holds it."""
    if not folder.is_symlink():
        return False
    target = folder.resolve()
    return target.is_relative_to(top) or top.is_relative_to(target)


def _kind(file: Path) -> str:
    """Return the end of a file's name that says what it is, with what packs it: `.tar.gz`."""
    last = file.suffix.lower()
    return suffix_of(file) + last if last in PACKED else last


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; the system refuses some names with an error."""
    try:
        return path.exists()
    except OSError:
        return False


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder is what `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""
    return _rows_of_saved_dataset(folder) is not None


def _rows_of_saved_dataset(folder: Path) -> set[str] | None:
    """Return the files and folders with the rows of a saved data set; None of other folders.

    >>> _rows_of_saved_dataset(Path("no such folder"))
    """
    try:
        splits = folder / "dataset_dict.json"
        if splits.is_file():  # a folder for each split lies below
            return set(map(str, json.loads(splits.read_text(encoding="utf-8"))["splits"]))
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return {str(file["filename"]) for file in state["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _read_file(path: Path, title: str, column: str) -> Iterator[tuple[str, str]]:
    """Return title and text of each document of a file."""
    suffix = suffix_of(path)
    if suffix in READERS:
        return read_table(path, title, column)
    if suffix == ".tokens":
        return articles(lines(path), title)
    if suffix in (".txt", ".md"):
        return iter([(title, "".join(lines(path)))])
    kind = f"suffix {_kind(path)!r}" if path.suffix else "a file name without a suffix"
    expected = f"expected {_or(SUFFIXES)}, or a folder of them"
    if _kind(path) in PACKED:
        raise CorpusError(
            f"{path}: its name does not say what is packed in it; call it such as "
            f"{path.stem}.txt{path.suffix}, {expected}"
        )
    if _ARCHIVE.search(_kind(path)):
        raise CorpusError(f"{path}: an archive; unpack it, and give the folder; {expected}")
    raise CorpusError(f"{path}: {kind} is unknown; {expected}")


_ARCHIVE = re.compile(r"^\.(zip|7z|rar|tar|tgz|tbz2?|txz)\b")


_ARTICLE = re.compile(r" = ([^=]+) = *$")


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


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
