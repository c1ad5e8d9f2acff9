"""Turns a table of labelled senses into occurrences: a word, where it stands, what it means there.

The file has the columns text, word, offset (characters before the word), label, and document if
there are documents, separated by tabs, commas or semicolons (`tfactors.tables`). One comes with
tfactors; `data/senses.md` says how it was labelled. Every row is checked, and one that cannot be
used is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfactors.tables import RowError, read_table, whole_number
from tfactors.text.windows import normalize_spaces

COLUMNS = ("text", "word", "offset", "label")
SHIPPED = Path(__file__).parents[1] / "data" / "senses.tsv"


@dataclass(frozen=True)
class Occurrence:
    """One row of the table.

    Attributes
    ----------
    text : str
        A passage that holds the word.
    word : str
        In lower case.
    offset : int
        Characters of the text before the word.
    label : str
        What the word means there.
    document : str
        Where the text is from; a name of its own where the table names none.
    """

    text: str
    word: str
    offset: int
    label: str
    document: str


def read_senses(path: Path) -> list[Occurrence]:
    """Return the rows of a table.

    Raises
    ------
    InputError
        The file cannot be read or holds no rows, or names the row and the column that is wrong.
    """
    return read_table(path, str(path), COLUMNS, _occurrence, optional=("document",))


def _occurrence(row: Mapping[str, str], number: int) -> Occurrence:
    """Return a row, checked; rows are numbered from 1."""

    def wrong(column: str, problem: str) -> RowError:
        return RowError(f", column '{column}': {problem}")

    for column in COLUMNS:
        if not row[column].strip():
            raise wrong(column, "is empty")
    text, word, given = row["text"], row["word"].strip(), row["offset"].strip()
    offset = whole_number(given)
    if offset is None:
        raise wrong("offset", f"{given[:20]!r} is not a number of characters, counted from 0")
    passage = text[offset : offset + len(word)]
    if passage.casefold() != word.casefold():
        raise wrong("offset", f"{offset} is not where {word[:40]!r} stands, but {passage[:40]!r}")
    document = row["document"].strip() or f"row {number}"
    return Occurrence(text, word.casefold(), offset, row["label"].strip(), document)


def position_of(occurrence: Occurrence, tokens: list[str]) -> int:
    """Return the first token of the word, among `tfactors.text.windows.tokenize`'s."""
    head = occurrence.text[: occurrence.offset]
    at = len(normalize_spaces(head + "|")) - 1 if head.strip() else 0
    return int(np.searchsorted(np.cumsum([len(token) for token in tokens]), at, side="right"))
