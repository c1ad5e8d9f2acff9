"""Tables that people bring become rows of texts by column, whatever program saved them.

A table of labelled senses, of labels, of a reader's answers: all come through :func:`read_table`.
Spreadsheets save the same table in many ways, and all of them are the same table here: UTF-8 with
or without a byte-order mark, UTF-16 as Excel's "Unicode text", columns parted by tabs, commas or
semicolons, quotes or none, lines that end in ``\\r\\n``, ``\\n`` or ``\\r``, empty lines at the
end. What could be read in two ways that differ is refused in one line. Tables of documents, which
may be larger than memory, are read by `tfactors.text.tables`; what parts the columns is one rule.

Quotes are ambiguous between tabs: Excel puts a field in quotes that holds some, and a program that
knows no quoting writes them as they stand. Such a table is read in the way that its quotes look
like, and in the other one if a row does not fit.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tfactors.encodings import encoding_of
from tfactors.errors import InputError

T = TypeVar("T")
Rows = list[list[str]]

# Signs with which a formula begins.
FORMULAS = ("=", "+", "-", "@")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# Excel's own way to say what parts the columns: a line before the header.
_TOLD = re.compile(r"""("?)sep=([^"\r\n])\1\2*\s*""", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
# How the files of spreadsheets themselves begin: .xlsx and .ods, and the older .xls.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# What may stand around a column's name unseen: blanks of all kinds, and marks without a width.
BLANK = " \t\r\n\xa0\u200b\u2060\ufeff"
_WHOLE = re.compile(r"([0-9]{1,9})(?:[.,]0)?")
# csv refuses fields above 128 KiB unless told otherwise, and a field here may be a document.
csv.field_size_limit(2**31 - 1)


class RowError(InputError):
    """A row that cannot be used; whoever reads the table adds its name and the row's number."""


def read_table(
    source: Path | bytes,
    name: str,
    columns: Sequence[str],
    convert: Callable[[Mapping[str, str], int], T],
    optional: Sequence[str] = (),
) -> list[T]:
    """Return what every row of a table becomes.

    Parameters
    ----------
    source : Path or bytes
        The file, or what is in it.
    name : str
        What the table is called where something is wrong with it.
    columns, optional : sequence of str
        The columns that have to be there, and those that may be; all others are passed over.
    convert : callable
        Is given the row, a text for each of these columns ("" where there is none), and its number
        counted from 1; raises RowError where it cannot be used.

    Raises
    ------
    InputError
        One line: the file cannot be read or is no table, lacks a column or has it twice, holds no
        rows, or a row of it does not fit.
    """
    text = decoded(_bytes_of(source, name), name)
    wrong: _WrongRow | None = None
    for header, rows in _readings(text, name, [*columns, *optional]):
        try:
            places = _places(header, name, columns, optional)
            found = _converted(header, rows, [*columns, *optional], places, convert)
        except _WrongRow as error:  # of two readings, the one that gets further is the right one
            wrong = error if wrong is None or error.number > wrong.number else wrong
            continue
        if not found:
            raise InputError(f"{name}: holds no rows")
        return found
    raise InputError(f"{name}: row {wrong.number:,}{wrong.said}" if wrong else name)


def decoded(content: bytes, name: str) -> str:
    """Return the text of a file: UTF-8, or UTF-16 and UTF-32 with their mark, which is left out.

    Raises
    ------
    InputError
        It is in another encoding, or no text; names the byte.

    Examples
    --------
    >>> decoded("naïve".encode("utf-16"), "a.tsv"), decoded("naïve".encode("utf-8-sig"), "a.tsv")
    ('naïve', 'naïve')
    """
    if content.startswith(_WORKBOOKS):
        raise InputError(f"{name}: a workbook, and no text; save it in Excel as “CSV UTF-8”")
    mark, encoding = encoding_of(content)
    encoding = encoding or "utf-8"
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        at = len(mark) + error.start
        raise InputError(
            f"{name}: not {encoding.upper()} text: 0x{content[at]:02x} at byte {at:,}; save it as "
            "UTF-8 (in Excel: “CSV UTF-8”)"
        ) from None
    if (at := text.find("\0")) >= 0:
        raise InputError(f"{name}: no text file: a NUL at character {at:,}; save it as UTF-8 text")
    return text.removeprefix("\ufeff")  # of a file that was joined from two, or marked twice


def told_delimiter(line: str) -> str | None:
    r"""Return what parts the columns by a line that says only that; None for any other line.

    >>> told_delimiter("sep=;\r\n"), told_delimiter("SEP=\t"), told_delimiter("sep,step")
    (';', '\t', None)
    """
    told = _TOLD.fullmatch(line)
    return told[2] if told else None


def delimiter_of(header: str, wanted: Sequence[str]) -> str:
    r"""Return what parts the names of the columns in the first line of a table.

    It is what finds most of those wanted, then what makes most names, then a comma.

    >>> delimiter_of("id, say;text\n", ["text"]), delimiter_of("text", ["text"])
    (';', ',')
    """

    def found(delimiter: str) -> tuple[int, int]:
        fields = next(csv.reader([header], delimiter=delimiter), [])
        names = {field.strip(BLANK + '"').casefold() for field in fields}
        return len(names & {name.casefold() for name in wanted}), len(fields)

    return max(DELIMITERS, key=found)


def guarded(text: str) -> str:
    """Return a cell of a table for spreadsheets: with an apostrophe where they would run it.

    >>> guarded("=1+1"), guarded("'=1+1"), guarded("'tis")
    ("'=1+1", "''=1+1", "'tis")
    """
    return f"'{text}" if text.lstrip("' \t\r\n\xa0")[:1] in FORMULAS else text


def unguarded(text: str) -> str:
    """Return a cell without the apostrophe of :func:`guarded`.

    >>> unguarded("'=1+1"), unguarded("''=1+1"), unguarded("'tis")
    ('=1+1', "'=1+1", "'tis")
    """
    return text[1:] if text[:1] == "'" and guarded(text[1:]) == text else text


def whole_number(text: str) -> int | None:
    """Return the whole number of a cell, None where it holds none.

    A column with a gap leaves pandas and some spreadsheets as 3.0, which is a 3. What could be
    thousands is no number here.

    >>> [whole_number(text) for text in (" 3 ", "3.0", "3,0", "3,000", "-3", "3e0", "9" * 5000)]
    [3, 3, 3, None, None, None, None]
    """
    found = _WHOLE.fullmatch(text.strip(BLANK))
    return int(found[1]) if found else None


def _bytes_of(source: Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from error


class _WrongRow(Exception):
    """The first row that does not fit, and what is said of it behind its number."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(said)
        self.number, self.said = number, said


def _readings(text: str, name: str, wanted: Sequence[str]) -> list[tuple[list[str], Rows]]:
    """Return the ways in which a table may be read, the likelier first: its header, its rows."""
    first, _, rest = _LINE_END.sub("\n", text.lstrip("\r\n"), count=1).partition("\n")
    given = told_delimiter(first)
    if given:
        text = rest
    delimiter = given or delimiter_of(first, wanted)
    if delimiter != "\t":
        return [_split(text, name, delimiter, quoted=True)]
    raw = _split(text, name, delimiter, quoted=False)
    if any(field[:1] == '"' for field in raw[0]):  # the names are in quotes: the writer quotes
        return [_split(text, name, delimiter, quoted=True)]
    try:
        unquoted = _split(text, name, delimiter, quoted=True)
    except InputError:
        return [raw]
    if unquoted == raw:
        return [raw]
    return [unquoted, raw] if _looks_quoted(raw, unquoted) else [raw, unquoted]


def _split(text: str, name: str, delimiter: str, quoted: bool) -> tuple[list[str], Rows]:
    """Return the names of the columns and the rows, those left out that are empty throughout."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=quoted,
    )
    try:
        rows = [row for row in reader if any(field.strip() for field in row)]
    except csv.Error as error:
        raise InputError(
            f"{name}: line {reader.line_num:,} is no row of a table parted by "
            f"{DELIMITERS.get(delimiter, repr(delimiter))}: {error}"
        ) from None
    header = [field.strip(BLANK) for field in rows[0]] if rows else []
    return header, rows[1:]


def _looks_quoted(raw: tuple[list[str], Rows], unquoted: tuple[list[str], Rows]) -> bool:
    """Whether quotes between tabs are around fields: each field with one is quoted as a whole.

    Where fields hold tabs or new lines, only the unquoted reading has rows of one length.
    """
    columns = len(raw[0])
    if any(len(row) != columns for row in raw[1]):
        return all(len(row) == columns for row in unquoted[1])
    marked = [field for row in raw[1] for field in row if '"' in field]
    return all(
        len(field) > 1 and field[0] == field[-1] == '"' and '"' not in field[1:-1].replace('""', "")
        for field in marked
    )


def _places(
    header: Sequence[str], name: str, columns: Sequence[str], optional: Sequence[str]
) -> dict[str, int]:
    """Return where each column stands; raise InputError unless all needed do, and none twice.

    A name is a column's whatever its case, unless another one is written as the column is.
    """
    expected = f"expected {', '.join(columns)}, separated by tabs, commas or semicolons"
    if not any(header):
        raise InputError(f"{name}: holds no rows; {expected}")
    places = {}
    for column in [*columns, *optional]:
        exact = [at for at, field in enumerate(header) if field == column]
        alike = [at for at, field in enumerate(header) if field.casefold() == column]
        found = exact or alike
        if len(found) > 1:
            raise InputError(
                f"{name}: column '{column}' is there {len(found)} times; leave one, and rename the "
                "others"
            )
        if found:
            places[column] = found[0]
        elif column in columns:
            has = ", ".join(field[:40] for field in header[:20])
            raise InputError(f"{name}: column '{column}' is missing; it has {has}; {expected}")
    return places


def _converted(
    header: Sequence[str],
    rows: Rows,
    wanted: Sequence[str],
    places: Mapping[str, int],
    convert: Callable[[Mapping[str, str], int], T],
) -> list[T]:
    """Return what the rows become; raises _WrongRow at the first that does not fit."""
    converted = []
    for number, row in enumerate(rows, start=1):
        if any(field.strip() for field in row[len(header) :]):
            raise _WrongRow(
                number,
                f" has {len(row)} values; expected its {len(header)} columns (a value that holds "
                "the separator has to be in quotes)",
            )
        values = {
            column: row[places[column]] if places.get(column, len(row)) < len(row) else ""
            for column in wanted
        }
        try:
            converted.append(convert(values, number))
        except RowError as error:
            raise _WrongRow(number, str(error)) from None
    return converted
