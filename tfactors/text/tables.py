"""Turns the rows of a table into documents: of each row its title and its text, one at a time.

CSV and TSV with any of the usual separators, JSON Lines, JSON, Parquet and Arrow, each of them
packed or not. Only JSON that is not a row a line is read whole.
"""

import csv
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

from tfactors.tables import BLANK, delimiter_of, told_delimiter
from tfactors.text.lines import PACKED, CorpusError, lines, opened, parted_at_returns

Rows = Iterator[tuple[str, str]]

# csv refuses fields above 128 KiB unless told otherwise, and a field here is a whole document.
csv.field_size_limit(2**31 - 1)


class NoColumnError(CorpusError):
    """A table without the column of texts: perhaps no table of texts at all."""


def read_table(path: Path, title: str, column: str) -> Rows:
    """Return title and text of each row of a table, told by its suffix.

    Raises
    ------
    NoColumnError
        There is no such column, or no rows that could have one.
    CorpusError
        A row is malformed, holds something else than text, or the column is there twice.
    """
    return READERS[suffix_of(path)](path, title, column)


def suffix_of(path: Path) -> str:
    """Return the suffix that says how to read a file: that of `a.csv` for `a.csv.gz`."""
    name = path.name.lower()
    for packing in PACKED:
        name = name.removesuffix(packing)
    return Path(name).suffix


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


def replace_surrogates(text: str) -> str:
    r"""Return the text with U+FFFD for each lone surrogate, as JSON's ``\ud800`` makes one."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def no_column(
    path: Path | str, column: str, names: list[str], holder: str = "it has"
) -> NoColumnError:
    """Return the error of a table without the column that was asked for."""
    there = ", ".join(str(name)[:40] for name in names[:20]) + (", …" if len(names) > 20 else "")
    there = there or "none"
    return NoColumnError(f"{path}: no column {column!r}; {holder} {there}; name one with --column")


def _check_once(path: Path, column: str, names: list[str]) -> None:
    """Raise where the column is missing, or there twice so that nobody knows which is meant."""
    if column not in names:
        raise no_column(path, column, names)
    if names.count(column) > 1:
        raise _twice(path, column, names.count(column))


def _twice(path: Path, column: str, times: int) -> CorpusError:
    return CorpusError(
        f"{path}: column {column!r} is there {times} times; rename all but one, or name another "
        "with --column"
    )


# --- separated values ---------------------------------------------------------------------------


def _read_separated(path: Path, title: str, column: str) -> Rows:
    """Yield the rows of a CSV or TSV file."""
    separator, quoted = _dialect(path, column)
    rows = _records(path, separator, quoted)
    names = [name.strip(BLANK) for name in next(rows, (0, []))[1]]
    if not names:
        return
    _check_once(path, column, names)
    at = names.index(column)
    title_at = names.index("title") if names.count("title") == 1 else -1
    for number, (line, cells) in enumerate(rows, 1):
        if any(cells[len(names) :]):
            raise CorpusError(
                f"{path}: line {line:,} has {len(cells)} cells, and the header has {len(names)}; "
                f"put text with the separator {separator!r} in it between quotes"
            )
        text = cells[at] if at < len(cells) else None
        row_title = cells[title_at] if 0 <= title_at < len(cells) else None
        yield row_text(path, title, number, text, row_title, column)


def _records(path: Path, separator: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each record, empty ones left out."""
    read = parted_at_returns(lines(path))
    first = next(read, "")
    before = [] if told_delimiter(first) else [first]
    reader = csv.reader(
        chain(before, read),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        yield from ((reader.line_num + 1 - len(before), cells) for cells in reader if cells)
    except csv.Error as error:
        line = reader.line_num + 1 - len(before)
        raise CorpusError(f"{path}: line {line:,} is not CSV: {error}") from error


def _dialect(path: Path, column: str) -> tuple[str, bool]:
    """Return what separates the cells of a table, and whether quotes may enclose one.

    The header decides which separator it is, as of every table (`tfactors.tables.delimiter_of`);
    a file called .tsv is parted by tabs wherever its header has one. Tabs are written with and
    without quotes around cells: where quotes do not fit the whole file, they belong to the text.
    """
    first = next(parted_at_returns(lines(path)), "")
    if told := told_delimiter(first):
        return told, True
    named_so = suffix_of(path) == ".tsv" and ("\t" in first or not first.strip())
    separator = "\t" if named_so else delimiter_of(first, [column])
    return separator, separator != "\t" or _quotes_fit(path)


def _quotes_fit(path: Path) -> bool:
    """Whether the quotes of a tab-separated file enclose cells, and are not part of the text.

    They are part of it where they make no whole records, or join lines that each have as many
    cells as the header.
    """

    def sizes(quoted: bool) -> Counter[int]:
        return Counter(len(cells) for _, cells in _records(path, "\t", quoted))

    try:
        quoted = sizes(True)
    except CorpusError:
        return False
    plain = sizes(False)
    whole_lines = len(plain) == 1 and min(plain) > 1
    return quoted.total() == plain.total() or not whole_lines


# --- JSON ---------------------------------------------------------------------------------------


def _read_json_lines(path: Path, title: str, column: str) -> Rows:
    """Return the rows of a file with one a line; of a list of rows, if it is that after all."""
    first = next((line for line in lines(path) if line.strip()), "")
    if first.lstrip()[:1] == "[":
        with suppress(ValueError, RecursionError):
            return _rows_of_json(path, title, column, _parsed(path, column, "".join(lines(path))))
    return _rows_of_json_lines(path, title, column)


def _parsed(path: Path, column: str, text: str) -> Any:
    """Return what JSON says; CorpusError where a row says its text twice."""

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs) and (times := sum(key == column for key, _ in pairs)) > 1:
            raise _twice(path, column, times)
        return row

    return json.loads(text, object_pairs_hook=object_of)


def _rows_of_json_lines(path: Path, title: str, column: str) -> Rows:
    for number, line in enumerate(lines(path), 1):
        if line.isspace():
            continue
        try:
            row = _parsed(path, column, line)
        except CorpusError:
            raise
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}: line {number:,} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{path}: line {number:,} is not an object such as {{{column!r}: …}}")
        if column not in row:
            raise no_column(path, column, list(row), f"line {number:,} has")
        yield row_text(path, title, number, row[column], row.get("title"), column)


def _read_json(path: Path, title: str, column: str) -> Rows:
    """Yield the rows of a JSON file: rows a line, a list of rows or texts, or lists by column."""
    first = next((line for line in lines(path) if line.strip()), "")
    try:
        a_row_a_line = isinstance(_parsed(path, column, first), dict) and _has_more_lines(path)
    except (ValueError, RecursionError):
        a_row_a_line = False
    if a_row_a_line:
        return _rows_of_json_lines(path, title, column)
    try:
        content = _parsed(path, column, "".join(lines(path)) or "[]")
    except CorpusError:
        raise
    except (ValueError, RecursionError) as error:
        raise NoColumnError(f"{path}: not JSON: {error}") from error
    return _rows_of_json(path, title, column, content)


def _has_more_lines(path: Path) -> bool:
    return sum(1 for _, line in zip(range(2), filter(str.strip, lines(path)), strict=False)) > 1


def _rows_of_json(path: Path, title: str, column: str, content: Any) -> Rows:
    for number, row in enumerate(_json_rows(path, column, content), 1):
        if isinstance(row, str):
            row = {column: row}
        if not isinstance(row, dict):
            raise NoColumnError(
                f"{path}: row {number:,} is {type(row).__name__}; expected texts, or objects such "
                f"as {{{column!r}: …}}"
            )
        if column not in row:
            raise no_column(path, column, list(row), f"row {number:,} has")
        yield row_text(path, title, number, row[column], row.get("title"), column)


def _json_rows(path: Path, column: str, content: Any) -> Iterable[Any]:
    """Return the rows of a document of JSON, whichever of the usual ways it writes them."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        raise NoColumnError(f"{path}: {type(content).__name__}; expected a list of rows")
    lists = [rows for rows in content.values() if isinstance(rows, list) and rows]
    tables = [rows for rows in lists if isinstance(rows[0], dict)]
    if column in content:
        values = content[column]
        if isinstance(values, str) and any(column in rows[0] for rows in tables):
            raise CorpusError(
                f"{path}: a text {column!r} and a list of rows with one; leave in it the one that "
                "is meant"
            )
        if isinstance(values, dict):  # as pandas writes a table: a number and a text each
            values = list(values.values())
        return values if isinstance(values, list) else [content]
    if len(lists) == 1 and tables:  # {"data": [rows]}
        return lists[0]
    raise no_column(path, column, list(content))


# --- Parquet and Arrow --------------------------------------------------------------------------


def _read_parquet(path: Path, title: str, column: str) -> Rows:
    import pyarrow.parquet as pq

    def batches(file: IO[bytes]) -> Iterator[Any]:
        with pq.ParquetFile(file) as table:
            _check_once(path, column, table.schema_arrow.names)
            columns = [column, *(["title"] if "title" in table.schema_arrow.names else [])]
            yield from table.iter_batches(batch_size=32, columns=list(dict.fromkeys(columns)))

    return _read_batches(path, title, column, batches, "Parquet")


def _read_arrow(path: Path, title: str, column: str) -> Rows:
    import pyarrow as pa

    def batches(file: IO[bytes]) -> Iterator[Any]:
        if file.read(6) == b"ARROW1":
            table = pa.ipc.open_file(file)
            read = (table.get_batch(number) for number in range(table.num_record_batches))
        else:  # the stream that `datasets` writes
            file.seek(0)
            table = read = pa.ipc.open_stream(file)
        _check_once(path, column, table.schema.names)
        yield from read

    return _read_batches(path, title, column, batches, "Arrow")


def _read_batches(
    path: Path,
    title: str,
    column: str,
    batches: Callable[[IO[bytes]], Iterator[Any]],
    kind: str,
) -> Rows:
    import pyarrow as pa

    number = 0
    try:
        with ExitStack() as stack:
            for batch in batches(_seekable(path, stack)):
                titled = column != "title" and batch.schema.names.count("title") == 1
                titles = _texts_of(batch["title"]) if titled else [None] * len(batch)
                for text, row_title in zip(_texts_of(batch[column]), titles, strict=True):
                    number += 1
                    yield row_text(path, title, number, text, row_title, column)
    except CorpusError:
        raise
    # A size or a letter that is damaged is met in Python, where Arrow reads from a file of Python.
    except (pa.ArrowException, ValueError, MemoryError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error).strip() else "damaged"
        raise CorpusError(f"{path}: not a readable {kind} file: {reason}") from error


def _texts_of(values: Any) -> list[Any]:
    """Return the values of a column, checked first: Arrow believes a file where they end."""
    values.validate(full=True)
    return list(values.to_pylist())


def _seekable(path: Path, stack: ExitStack) -> IO[bytes]:
    """Return the bytes of a file that is read from its end; what is packed goes to disk first."""
    packed = stack.enter_context(opened(path))
    if path.suffix.lower() not in PACKED:
        return packed
    whole: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    shutil.copyfileobj(packed, whole, 1 << 20)
    whole.seek(0)
    return whole


READERS: dict[str, Callable[[Path, str, str], Rows]] = {
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".csv": _read_separated,
    ".tsv": _read_separated,
    ".feather": _read_arrow,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
}
