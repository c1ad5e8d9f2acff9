"""A bundle: everything the dashboard shows, read from a folder of Parquet files.

In goes the path of a folder that `tfactors build` wrote; out come small DataFrames, each read from
the row group or two that hold it, so that a page costs the same in a bundle of 500 factors and of
16,384. :mod:`tfactors.bundle_format` says what the files hold and writes them;
:mod:`tfactors.bundle_verification` checks them. Nothing here imports torch.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfactors.bundle_format import (
    FORMAT_VERSION,
    LAYOUTS,
    MANIFEST,
    SCHEMAS,
    BundleError,
    canonical_json,
    example_file,
    expected_schema,
    manifest_checksum,
    table_kind,
    write_dictionary,
    write_manifest,
    write_table,
    write_words,
)

__all__ = [
    "FORMAT_VERSION",
    "SCHEMAS",
    "Bundle",
    "BundleError",
    "example_file",
    "write_dictionary",
    "write_manifest",
    "write_table",
    "write_words",
]


class TableFile:
    """One Parquet file, opened once, read by row group; safe to share between threads."""

    def __init__(self, path: Path, name: str, width: int = 0):
        self.name = name
        self.path = path
        self.kind = table_kind(name)
        self._lock = threading.Lock()
        with _reading(name):
            self._file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        schema = self._file.schema_arrow
        expected = expected_schema(self.kind, width) if width else schema
        if not schema.remove_metadata().equals(expected):
            raise BundleError(f"{name}: holds {_columns(schema)}; expected {_columns(expected)}")
        self.rows = self._file.metadata.num_rows
        self.groups = self._file.metadata.num_row_groups

    @cached_property
    def _bounds(self) -> tuple[list[Any], list[Any]]:
        """Smallest and largest value of the first sorting key in each row group."""
        key = LAYOUTS[self.kind].keys[0]
        column = self._file.schema_arrow.names.index(key)
        lows, highs = [], []
        for group in range(self.groups):
            statistics = self._file.metadata.row_group(group).column(column).statistics
            known = statistics is not None and statistics.has_min_max
            lows.append(statistics.min if known else None)
            highs.append(statistics.max if known else None)
        return lows, highs

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """The whole file."""
        return self.read_groups(list(range(self.groups)), columns)

    def read_groups(self, groups: list[int], columns: list[str] | None = None) -> pa.Table:
        """These row groups, in the order given."""
        with self._lock, _reading(self.name):
            return self._file.read_row_groups(groups, columns=columns, use_threads=False)

    def where(self, value: int | str) -> pa.Table:
        """The rows whose first sorting key equals the value."""
        with _reading(self.name):
            lows, highs = self._bounds
        groups = [
            group
            for group, (low, high) in enumerate(zip(lows, highs, strict=True))
            if low is None or low <= value <= high
        ]
        table = self.read_groups(groups)
        key = table.column(LAYOUTS[self.kind].keys[0])
        return table.filter(pc.equal(key, pa.scalar(value, key.type)))


class Bundle:
    """A bundle of transformer factors on disk; see docs/BUNDLE.md for its files.

    Open one with :meth:`open`. Reading methods are thread-safe, keep at most the factor and
    document tables and the dictionary in memory, and raise BundleError, never an error of Arrow.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]):
        self.path = path
        self.manifest = manifest
        self._files: dict[str, TableFile] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | Path) -> "Bundle":
        """Open the bundle in a folder; reads only its manifest."""
        folder = Path(path)
        return cls(folder, read_manifest(folder))

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r}: {self.n_factors:,} factors, layers {self.layers})"

    @property
    def title(self) -> str:
        """What the bundle calls itself."""
        return self.manifest["title"]

    @property
    def fingerprint(self) -> str:
        """Checksum of the manifest and so of every file: a key for caches."""
        return self.manifest["manifest_sha256"]

    @property
    def layers(self) -> list[int]:
        """The layers that were surveyed, ascending; 0 is the embedding output."""
        return list(self.manifest["model"]["layers"])

    @property
    def blocks(self) -> int:
        """How many transformer blocks the model has."""
        return self.manifest["model"]["blocks"]

    @property
    def n_factors(self) -> int:
        """How many factors the dictionary holds (m)."""
        return self.manifest["dictionary"]["factors"]

    @property
    def width(self) -> int:
        """Length of a hidden state (d)."""
        return self.manifest["model"]["width"]

    @property
    def scale(self) -> dict[int, float]:
        """The number that each layer's hidden states are multiplied by before coding."""
        return {int(layer): scale for layer, scale in self.manifest["coding"]["scale"].items()}

    @property
    def bin_edges(self) -> np.ndarray:
        """Edges of the activation histograms, (bins + 1,)."""
        return np.asarray(self.manifest["histogram"]["edges"], dtype=np.float64)

    @cached_property
    def factors(self) -> pd.DataFrame:
        """One row a factor: label, level, peak layer, retained activation, words."""
        table = self._file("factors.parquet").read()
        frame = table.drop_columns(["words"]).to_pandas()
        frame["reach"] = frame["reach"].astype("Int16")
        frame.insert(frame.columns.get_loc("alive"), "words", table.column("words").to_pylist())
        return frame

    @cached_property
    def documents(self) -> pd.DataFrame:
        """One row a document: source, title, year, held_out, tokens."""
        frame = self._file("documents.parquet").read().to_pandas()
        frame["year"] = frame["year"].astype("Int16")
        return frame

    @cached_property
    def dictionary(self) -> np.ndarray:
        """The atoms, (m, d) float32, rows of unit norm."""
        atoms = self._file("dictionary.parquet").read().column("atom").combine_chunks()
        return atoms.flatten().to_numpy().reshape(-1, self.width)

    def examples(self, factor: int, layer: int, top: int = 200) -> pd.DataFrame:
        """The examples that activate a factor most at a layer, descending.

        Columns factor, layer, rank, window, position, word, activation; at most one row a window.
        """
        self._check_factor(factor)
        self._check_layer(layer)
        frame = self._file(example_file(layer)).where(factor).slice(0, top).to_pandas()
        frame.insert(1, "layer", np.int16(layer))
        return frame

    def importance(self, factor: int | None = None) -> pd.DataFrame:
        """Importance, density and maximum at each layer, of one factor or of all."""
        if factor is None:
            return self._file("importance.parquet").read().to_pandas()
        return self._of_factor("importance.parquet", factor).drop(columns="factor")

    def histogram(self, factor: int, layer: int) -> np.ndarray:
        """How many tokens fall into each bin of :attr:`bin_edges`, (bins,) int32."""
        self._check_layer(layer)
        frame = self._of_factor("histograms.parquet", factor, layer)
        if frame.empty:
            return np.zeros(len(self.bin_edges) - 1, np.int32)
        return frame["counts"].iloc[0]

    def words(self, factor: int, layer: int) -> pd.DataFrame:
        """The words that a factor is active on at a layer: word, count, mean_activation, occurrences."""
        self._check_layer(layer)
        frame = self._of_factor("factor_words.parquet", factor, layer)
        frame = frame.sort_values(["count", "word"], ascending=[False, True], ignore_index=True)
        return frame[["word", "count", "mean_activation", "occurrences"]]

    def word_factors(self, word: str) -> pd.DataFrame:
        """The factors that are active on a word: factor, layer, count, mean_activation, occurrences."""
        return self._file("words.parquet").where(word).to_pandas().drop(columns="word")

    def saliency(self, factor: int, layer: int, rank: int | None = None) -> pd.DataFrame:
        """Stored explanations of a factor's examples at a layer, of all ranks or of one."""
        self._check_layer(layer)
        frame = self._of_factor("saliency.parquet", factor, layer)
        return frame if rank is None else frame[frame["rank"] == rank].reset_index(drop=True)

    def retention(self, factor: int) -> pd.DataFrame:
        """Share of activation left when the context is cut: layer, kind, radius, retained."""
        return self._of_factor("retention.parquet", factor).drop(columns="factor")

    def windows(self, ids: Sequence[int]) -> pd.DataFrame:
        """Windows of text by number, a row each in the order given.

        Columns window, document, start, tokens (list of str), token_ids (int32 array),
        word_starts (bool array).
        """
        wanted = np.asarray(ids, dtype=np.int64)
        file = self._file("windows.parquet")
        if wanted.size and not (0 <= wanted.min() and wanted.max() < file.rows):
            raise BundleError(f"window {_outside(wanted, file.rows)}: windows are 0 to {file.rows - 1:,}")
        size = LAYOUTS["windows"].rows
        groups = np.unique(wanted // size)
        rows = np.searchsorted(groups, wanted // size) * size + wanted % size
        return _window_frame(file.read_groups(groups.tolist()).take(pa.array(rows)))

    def iter_windows(self, batch: int = 1024) -> Iterator[pd.DataFrame]:
        """All windows in order, about ``batch`` at a time, as :meth:`windows` gives them."""
        file = self._file("windows.parquet")
        step = max(1, batch // LAYOUTS["windows"].rows)
        for start in range(0, file.groups, step):
            groups = list(range(start, min(start + step, file.groups)))
            yield _window_frame(file.read_groups(groups))

    def verify(self) -> None:
        """Check every file against the manifest and every row against its meaning.

        Raises BundleError with the file, column and row of the first thing that is wrong.
        """
        from tfactors.bundle_verification import verify

        verify(self.path)

    def _file(self, name: str) -> TableFile:
        with self._lock:
            if name not in self._files:
                self._files[name] = TableFile(self.path / name, name, self.width)
            return self._files[name]

    def _of_factor(self, name: str, factor: int, layer: int | None = None) -> pd.DataFrame:
        self._check_factor(factor)
        table = self._file(name).where(factor)
        if layer is not None:
            table = table.filter(pc.equal(table.column("layer"), pa.scalar(layer, pa.int16())))
        return table.to_pandas()

    def _check_factor(self, factor: int) -> None:
        if not 0 <= factor < self.n_factors:
            raise BundleError(f"factor {factor}: this bundle has factors 0 to {self.n_factors - 1:,}")

    def _check_layer(self, layer: int) -> None:
        if layer not in self.layers:
            known = ", ".join(map(str, self.layers))
            raise BundleError(f"layer {layer}: this bundle has the layers {known}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, checked against its own checksum and this format version."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        what = "has no manifest.json" if folder.is_dir() else "is not a folder"
        raise BundleError(
            f"{folder} {what}; expected a bundle, as 'tfactors build' writes it"
        ) from error
    try:
        manifest = json.loads(raw)
        version = manifest["format_version"]
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{MANIFEST}: not the manifest of a bundle; rebuild it") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{MANIFEST}: format version {version}, and this tfactors reads {FORMAT_VERSION}; "
            f"{'upgrade tfactors' if str(version) > str(FORMAT_VERSION) else 'rebuild the bundle'}"
        )
    intact = raw == canonical_json(manifest)
    if not intact or manifest.get("manifest_sha256") != manifest_checksum(manifest):
        raise BundleError(f"{MANIFEST}: changed since it was written; rebuild or restore it")
    return manifest


class _reading:
    """Turn what Arrow or the system says about a file into one line of ours."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, FileNotFoundError):
            raise BundleError(f"{self.name}: missing; rebuild the bundle") from error
        if isinstance(error, (OSError, pa.ArrowException, UnicodeDecodeError)):
            raise BundleError(
                f"{self.name}: damaged ({str(error).splitlines()[0]}); restore or rebuild the bundle"
            ) from error


def _window_frame(table: pa.Table) -> pd.DataFrame:
    frame = table.drop_columns(["tokens"]).to_pandas()
    frame.insert(3, "tokens", table.column("tokens").to_pylist())
    return frame


def _outside(wanted: np.ndarray, count: int) -> int:
    return int(wanted[(wanted < 0) | (wanted >= count)][0])


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
