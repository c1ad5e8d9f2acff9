"""Turns the name of a Hugging Face data set into its documents, one row after another.

``NAME[:CONFIG[:SPLIT]]`` names a data set of the hub or a local folder in the same layout. Rows are
streamed, so a corpus of any size needs no room. A row is a document, except in WikiText, whose rows
are lines: there an article is a document. The library `datasets` reads the rows. From version 4 on
it runs no code that a data set brings along.
"""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tfactors.text.documents import DEFAULT_COLUMN, Document, Source, articles
from tfactors.text.lines import CorpusError
from tfactors.text.tables import no_column, row_text
from tfactors.text.wrapped_lines import join_wrapped_lines

# What a corpus is called that is a data set, not a file: `hf:wikitext:wikitext-103-raw-v1`.
PREFIX = "hf:"


@dataclass(frozen=True)
class DatasetName:
    """``NAME[:CONFIG[:SPLIT]]`` taken apart; the split is ``train`` where none is given.

    >>> DatasetName.parse("hf:wikitext:wikitext-2-v1:test")
    DatasetName(name='wikitext', config='wikitext-2-v1', split='test')
    """

    name: str
    config: str
    split: str

    @classmethod
    def parse(cls, spec: str) -> "DatasetName":
        """Take a name apart; CorpusError where it has too many parts or no name."""
        name, *more = spec.removeprefix(PREFIX).split(":")
        if not name or len(more) > 2:
            raise CorpusError(f"{spec.removeprefix(PREFIX)!r}: expected NAME[:CONFIG[:SPLIT]]")
        config, split = [*more, "", ""][:2]
        return cls(name, config, split or "train")

    def __str__(self) -> str:
        return ":".join(part for part in (self.name, self.config, self.split) if part)

    @property
    def holds_lines(self) -> bool:
        """Whether a row is a line of an article, as in WikiText."""
        return "wikitext" in f"{self.name} {self.config}".lower()


def read_dataset(spec: str, column: str | None = None) -> Iterator[Document]:
    """Yield the documents of a data set; its rows' text is in ``column``, ``text`` by default.

    Raises
    ------
    CorpusError
        `datasets` is not installed; there is no such data set, configuration or split, or it
        cannot be reached; the column is not there or holds no text; no row has any text.
    """
    name, any_text = DatasetName.parse(spec), False
    for title, text in _documents(name, column or DEFAULT_COLUMN):
        if text.strip():
            any_text = True
            yield Document(str(name), title, join_wrapped_lines(text))
    if not any_text:
        raise CorpusError(f"{name}: no row has any text in column {column or DEFAULT_COLUMN!r}")


def dataset_source(spec: str) -> Source:
    """Return the name of a data set with the licence that its card states, and its address."""
    name = DatasetName.parse(spec)
    info, folder = _opened(name).info, Path(name.name).expanduser()
    address = "" if folder.is_dir() else f"https://huggingface.co/datasets/{name.name}"
    return Source(
        str(name),
        str(name),
        licence=info.license or _licence(name, folder) or "Licence not stated",
        attribution=info.homepage or address,
    )


def _licence(name: DatasetName, folder: Path) -> str:
    """Return what the card of a data set, its README.md, says of the licence; else nothing."""
    from huggingface_hub import DatasetCard

    try:
        card = DatasetCard.load(folder / "README.md" if folder.is_dir() else name.name)
    except Exception:  # there is no card, or it cannot be read: then it states nothing
        return ""
    stated = card.data.get("license") or []
    return ", ".join([stated] if isinstance(stated, str) else map(str, stated))


def _documents(name: DatasetName, column: str) -> Iterator[tuple[str, str]]:
    """Return title and text of each document."""
    rows = (
        row_text(str(name), str(name), number, row[column], row.get("title"), column)
        for number, row in enumerate(_rows(name, column), 1)
    )
    if name.holds_lines:
        return articles((text.removesuffix("\n") + "\n" for _, text in rows), str(name))
    return rows


def _rows(name: DatasetName, column: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a data set; CorpusError where one cannot be read or lacks the column."""
    rows = iter(_opened(name))
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:  # whatever a broken file or connection makes the library raise
            raise CorpusError(f"{name}: cannot be read: {_reason(error)}") from error
        if column not in row:
            raise no_column(str(name), column, list(row))
        if f"{column}.1" in row:  # as pandas calls the second of one name, which reads CSV here
            raise CorpusError(
                f"{name}: column {column!r} is there twice (also as '{column}.1'); rename one, or "
                "name another with --column"
            )
        yield row


@lru_cache(maxsize=8)
def _opened(name: DatasetName) -> Any:
    """Return a data set that yields its rows each time it is iterated over."""
    try:
        import datasets
    except ImportError as error:
        raise CorpusError(
            f"{name}: data sets need the package datasets; run: pip install 'tfactors[datasets]'"
        ) from error
    datasets.logging.set_verbosity(logging.CRITICAL)  # what goes wrong is told by our errors
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return datasets.load_dataset(
                name.name, name.config or None, split=name.split, streaming=True
            )
    except Exception as error:  # of many kinds, from many libraries
        # What follows tells how to say it in Python.
        reason = _reason(error).partition(" Example of usage")[0]
        hint = "; write NAME:CONFIG" if "Config name is missing" in reason else ""
        raise CorpusError(f"{name}: cannot be opened: {reason}{hint}") from error


def _reason(error: Exception) -> str:
    """Return what an error of a library says, as one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
