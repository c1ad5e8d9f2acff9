"""What a gallery says of a bundle without opening it: its manifest in a few facts.

Turns the folders of bundles into entries, from their manifests alone: a bundle on the hub need not
be fetched, and one that cannot be read is listed with what is wrong with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tfactors.bundle import BundleError
from tfactors.bundle.manifest import Manifest, read_manifest
from tfactors.bundle.summary import coding_in_words


@dataclass(frozen=True)
class Entry:
    """A bundle in the gallery.

    Attributes
    ----------
    name : str
        By which a link names it.
    title : str
        What it calls itself; its name where that cannot be read.
    about : Manifest or None
        None where it cannot be read.
    wrong : str
        Why it cannot be read, in one line; "" where it can.
    """

    name: str
    title: str
    about: Manifest | None = None
    wrong: str = ""

    @classmethod
    def of(cls, name: str, folder: Path) -> "Entry":
        """Read what the manifest of a folder says."""
        try:
            about = Manifest.of(read_manifest(folder))
        except BundleError as error:
            return cls(name, name, wrong=str(error))
        return cls(name, about.title or name, about)

    @property
    def licences(self) -> list[str]:
        """The licence of each source of texts, each once; "not stated" where it says nothing."""
        sources = self.about.corpus.sources if self.about else ()
        return list(dict.fromkeys(source.licence or "not stated" for source in sources))

    @property
    def megabytes(self) -> float:
        """What its tables take, in millions of bytes."""
        files = self.about.files if self.about else {}
        return sum(seal.bytes for seal in files.values()) / 1e6

    def says(self, query: str) -> bool:
        """Return whether every word of a query stands in its title, name, model, texts, licences.

        >>> Entry("mine", "BERT on letters").says("letter bert"), Entry("mine", "BERT").says("gpt")
        (True, False)
        """
        parts = [self.name, self.title, *self.licences]
        if self.about:
            parts += [self.about.model.name]
            parts += [source.title or source.name for source in self.about.corpus.sources]
        text = " ".join(parts).casefold()
        return all(word in text for word in query.casefold().split())


def table(entries: Iterable[Entry]) -> pd.DataFrame:
    """Return the entries as a table, a row each; of those that cannot be read only why."""
    rows = []
    for entry in entries:
        row: dict[str, object] = {"name": entry.name, "title": entry.title}
        if about := entry.about:
            row |= {
                "model": about.model.name,
                "layers": ", ".join(map(str, about.model.layers)),
                "factors": about.dictionary.factors,
                "coding": coding_in_words(about),
                "tokens": about.corpus.tokens,
                "documents": about.corpus.documents,
                "l0": about.metrics.l0,
                "explained_variance": about.metrics.explained_variance,
                **{f"{level}_factors": count for level, count in about.metrics.levels.items()},
                "licences": "; ".join(entry.licences),
                "megabytes": round(entry.megabytes, 1),
                "created": about.created.at,
                "manifest_sha256": about.manifest_sha256,
            }
        rows.append(row | {"wrong": entry.wrong})
    return pd.DataFrame(rows)
