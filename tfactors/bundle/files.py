"""The folder of a bundle: what its manifest says, and its files, opened once and checked for size.

Turns a folder and its manifest into what the bundle is about and can do, and into rows of a table
by factor and layer. :mod:`tfactors.bundle.reading` says what those rows are to a reader.
"""

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfactors.bundle.abilities import Abilities
from tfactors.bundle.format import SCHEMAS, BundleError, is_optional, table_kind
from tfactors.bundle.manifest import Manifest
from tfactors.bundle.table import TableFile, frame_of, naming

# Files of examples, one a layer, stay open until they have so many row groups together: where a
# row group lies takes 4 kB, with 16,384 factors 4 MB a layer.
GROUPS_OPEN = 2048


class BundleFiles:
    """A folder with the tables of a bundle. Threads may share it.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : dict
        What its manifest.json holds, as it stands there; :attr:`about` is the same as records.
    """

    def __init__(self, path: str | Path, manifest: dict[str, Any]) -> None:
        self.path = Path(path)
        self.manifest = manifest
        self._files: dict[str, TableFile] = {}
        self._lock = threading.Lock()

    @cached_property
    def about(self) -> Manifest:
        """What the manifest says, as records: ``bundle.about.model.name``.

        Of a build that is not done yet, what it cannot know is blank.
        """
        sealed = "manifest_sha256" in self.manifest
        return Manifest.of(self.manifest) if sealed else Manifest.of_draft(self.manifest)

    @cached_property
    def abilities(self) -> Abilities:
        """What the bundle can do, and how to word what it cannot."""
        return Abilities.of(self.coding_method, self.has, len(self.layers))

    @property
    def title(self) -> str:
        """What the bundle calls itself."""
        return self.about.title

    @property
    def fingerprint(self) -> str:
        """Checksum of the manifest and, through it, of every file: a key for caches."""
        return self.about.manifest_sha256

    @property
    def layers(self) -> list[int]:
        """The layers that were surveyed, ascending; 0 is the embedding output."""
        return list(self.about.model.layers)

    @property
    def blocks(self) -> int:
        """How many transformer blocks the model has."""
        return self.about.model.blocks

    @property
    def width(self) -> int:
        """Length of a hidden state, d."""
        return self.about.model.width

    @property
    def n_factors(self) -> int:
        """How many factors the dictionary holds, m."""
        return self.about.dictionary.factors

    @property
    def scale(self) -> dict[int, float]:
        """The number by which each layer's hidden states are multiplied before coding."""
        return {int(layer): float(s) for layer, s in self.about.coding.scale.items()}

    @property
    def coding_method(self) -> str:
        """How the codes were made: ``solver``, ``encoder`` (an autoencoder's), or ``published``."""
        return self.about.coding.method

    @property
    def bin_edges(self) -> np.ndarray:
        """Edges of the activation histograms, (bins + 1,)."""
        return np.asarray(self.about.histogram.edges, dtype=np.float64)

    def has(self, name: str) -> bool:
        """Whether the bundle holds a file that it might do without."""
        if not is_optional(name):
            return True
        if "files" not in self.manifest:  # of a build that reads what it has written so far
            return (self.path / name).is_file()
        return name in self.about.files

    def _file(self, name: str) -> TableFile:
        with self._lock:
            if name not in self._files:
                if (seal := self.about.files.get(name)) is not None:
                    self._check_size(name, seal.bytes)
                self._files[name] = TableFile(self.path, name, self.width)
            file = self._files[name]
            if table_kind(name) == "examples":
                self._files[name] = self._files.pop(name)  # the last one used stands last
                groups = 0
                for known in [n for n in reversed(self._files) if table_kind(n) == "examples"]:
                    groups += self._files[known].groups
                    if groups > GROUPS_OPEN and known != name:
                        del self._files[known]
            return file

    def _atoms(self, name: str) -> np.ndarray:
        atoms = self._file(name).read().column("atom").combine_chunks()
        return atoms.flatten().to_numpy().reshape(-1, self.width)

    def _check_size(self, name: str, expected: int) -> None:
        """Raise when a file cannot be the one in the manifest, which a reader would not notice."""
        with naming(name):
            size = (self.path / name).stat().st_size
        if size != expected:
            raise BundleError(
                f"{name}: {size:,} bytes, and the manifest says {expected:,}; "
                "restore or rebuild the bundle"
            )

    def _whole(self, name: str) -> pa.Table:
        """An optional table, empty where the bundle has none."""
        return (
            self._file(name).read() if self.has(name) else SCHEMAS[table_kind(name)].empty_table()
        )

    def _of_kind(self, name: str, factor: int, kind: str) -> pd.DataFrame:
        rows = self._rows_of_factor(name, factor)
        rows = rows.filter(pc.equal(rows.column("kind"), kind)).drop_columns(["kind"])
        return frame_of(rows)

    def _of_factor(self, name: str, factor: int, layer: int | None = None) -> pd.DataFrame:
        return frame_of(self._rows_of_factor(name, factor, layer))

    def _rows_of_factor(self, name: str, factor: int, layer: int | None = None) -> pa.Table:
        """Return the rows of a factor at every layer, or those of one without its number."""
        self._check(factor, layer)
        if self.has(name):
            table = self._file(name).where(int(factor))
        else:
            table = SCHEMAS[table_kind(name)].empty_table()
        table = table.drop_columns(["factor"])
        if layer is not None:
            chosen = pc.equal(table.column("layer"), pa.scalar(int(layer), pa.int16()))
            table = table.filter(chosen).drop_columns(["layer"])
        return table

    def _check(self, factor: int, layer: int | None) -> None:
        if not 0 <= factor < self.n_factors:
            last = self.n_factors - 1
            raise BundleError(f"factor {factor}: this bundle has the factors 0 to {last}")
        if layer is not None and layer not in self.layers:
            known = ", ".join(map(str, self.layers))
            raise BundleError(f"layer {layer}: this bundle has the layers {known}")
