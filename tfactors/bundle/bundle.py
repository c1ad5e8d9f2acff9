"""A bundle: everything the dashboard shows, read from a folder of Parquet files.

Opens what `tfactors build` wrote, here or on the hub. :mod:`tfactors.bundle.format` says what the
files hold, :mod:`tfactors.bundle.reading` reads them, :mod:`tfactors.bundle.writing` writes them,
:mod:`tfactors.bundle.verify` checks them. Nothing here imports torch.
"""

from collections.abc import Callable
from pathlib import Path

from tfactors.bundle.factor import Factor
from tfactors.bundle.manifest import read_manifest
from tfactors.bundle.reading import BundleReader


class Bundle(BundleReader):
    """A bundle of transformer factors on disk; docs/reference/bundle describes its files.

    Open one with :meth:`open`. The constructor takes a folder and a manifest, for a build that
    reads what it has written so far. Threads may share a bundle. It keeps in memory the tables of
    factors and documents and the dictionary, once asked for; treat what it returns as read-only.
    Every reading method raises BundleError, never an error of Arrow.
    """

    @classmethod
    def open(cls, path: str | Path) -> "Bundle":
        """Open a bundle, reading only its manifest.

        Parameters
        ----------
        path : str or Path
            A folder, or ``hf:owner/name``: a repository of the Hugging Face hub, which is fetched
            once, and every file of it checked.

        Raises
        ------
        BundleError
            It is no bundle, or one of another version; says what to do.
        """
        from tfactors.bundle.hub import bundle_folder

        folder = bundle_folder(path)
        return cls(folder, read_manifest(folder))

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r}: {self.n_factors:,} factors, layers {self.layers})"

    def _repr_html_(self) -> str:
        from tfactors.display import notebook

        corpus = self.about.corpus
        titles = "; ".join(source.title or source.name for source in corpus.sources)
        rows = [
            ("model", f"{self.about.model.name}, layers {', '.join(map(str, self.layers))}"),
            ("text", f"{titles}: {corpus.tokens:,} tokens"),
            ("factors", f"{self.n_factors:,}"),
            ("folder", str(self.path)),
        ]
        return notebook.framed(self.title, notebook.table(rows))

    def factor(self, number: int) -> Factor:
        """Return one factor, which shows itself in a notebook: its examples and its curve."""
        self._check(number, None)
        return Factor(self, int(number))

    def verify(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Check every file against the manifest and every row against what it means.

        Parameters
        ----------
        progress : callable, optional
            Is given the file, the steps that are done and all steps, before each and at the end.

        Raises
        ------
        BundleError
            Names the file, column and row of the first thing that is wrong.
        """
        from tfactors.bundle.verify import verify

        verify(self.path, progress)
