"""Writing a bundle: table after table, each whole or not at all, the manifest last.

Turns Arrow tables or DataFrames, or record batches that arrive in order and are never held all at
once, into Parquet files (zstd, page checksums, no timestamps: the same rows give the same bytes)
and the manifest that seals them. A folder without a manifest is not a bundle, so a build that dies
half-way leaves nothing that could be mistaken for one.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfactors.bundle.card import write_card
from tfactors.bundle.format import (
    LAYOUTS,
    MANIFEST,
    BundleError,
    Layout,
    bundle_files,
    is_optional,
    table_kind,
    table_schema,
)
from tfactors.bundle.manifest import (
    FORMAT_VERSION,
    canonical_json,
    check_manifest,
    manifest_checksum,
)
from tfactors.files import file_sha256

_ZSTD_LEVEL = 9


def write_table(
    folder: str | Path,
    name: str,
    rows: pa.Table | pd.DataFrame | Iterable[pa.RecordBatch | pa.Table],
) -> None:
    """Write one file of a bundle, whole or not at all.

    Withdraws the manifest, if the folder has one: what it says about this file no longer holds.

    Parameters
    ----------
    folder : str or Path
        The bundle's folder; made when it is not there.
    name : str
        File name inside it, such as ``factors.parquet`` or ``examples/layer_04.parquet``.
    rows : Table, DataFrame or iterable of RecordBatch
        A table or DataFrame is sorted by the table's keys. Record batches (or small tables) have to
        come in that order, and are never held in memory whole. NaN in a column that may be missing
        is stored as missing.

    Raises
    ------
    BundleError
        A column is missing, unknown, of a type that does not fit, null, or out of order.
    """
    kind = table_kind(name)
    layout = LAYOUTS[kind]
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (Path(folder) / MANIFEST).unlink(missing_ok=True)
    if isinstance(rows, pd.DataFrame):
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    if isinstance(rows, pa.Table):
        ordered = _conform(rows, kind, name).sort_by([(key, "ascending") for key in layout.keys])
        rows = [ordered]
    tables = (_conform(batch, kind, name) for batch in rows)
    first = next(tables, layout.schema.empty_table())
    groups = _row_groups(chain([first], tables), layout, name)
    with (
        _replacing(path) as sink,
        pq.ParquetWriter(sink, first.schema, **_options(layout)) as writer,
    ):
        for group in groups:
            writer.write_table(group, row_group_size=len(group))


def write_dictionary(
    folder: str | Path, dictionary: np.ndarray, name: str = "dictionary.parquet"
) -> None:
    """Write the atoms of a dictionary.

    Parameters
    ----------
    folder : str or Path
        The bundle's folder.
    dictionary : (m, d) float32
        The atoms Φ, rows of unit norm.
    name : str
        ``dictionary.parquet`` or ``second_dictionary.parquet``.
    """
    factors, width = dictionary.shape
    flat = pa.array(np.ascontiguousarray(dictionary, dtype=np.float32).ravel())
    atoms = pa.FixedSizeListArray.from_arrays(flat, width)
    columns = [pa.array(np.arange(factors, dtype=np.int32)), atoms]
    table = pa.Table.from_arrays(columns, schema=table_schema("dictionary", width))
    write_table(folder, name, [table])


def write_imported(folder: str | Path, tensors: dict[str, np.ndarray]) -> None:
    """Write ``imported.parquet``.

    Parameters
    ----------
    folder : str or Path
        The bundle's folder.
    tensors : dict of arrays
        By name tensors of one or two axes; a vector becomes one row.
    """

    def table(name: str, values: np.ndarray) -> pa.Table:
        rows = np.atleast_2d(np.asarray(values, np.float32))
        offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1])
        lists = pa.ListArray.from_arrays(offsets, pa.array(rows.ravel()))
        numbers = np.arange(len(rows), dtype=np.int32)
        return pa.table({"tensor": [name] * len(rows), "row": numbers, "values": lists})

    write_table(folder, "imported.parquet", (table(n, tensors[n]) for n in sorted(tensors)))


def write_baseline(
    folder: str | Path,
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]],
    token_ids: np.ndarray,
    counts: np.ndarray,
    codes: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write ``baseline.parquet`` and ``baseline_tokens.parquet``.

    Parameters
    ----------
    folder : str or Path
        The bundle's folder.
    parts : mapping of pairs
        By name (mean, prior, basis, place) the rows (n, D) int16 and the step (n,) of each.
    token_ids, counts : (T,) int32
        The tokens that have codes, ascending, and how often the text had each.
    codes : pair
        The codes (T, r) int8, and the step (T,) of each.
    """

    def lists(rows: np.ndarray) -> pa.ListArray:
        edges = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1])
        return pa.ListArray.from_arrays(edges, pa.array(np.ascontiguousarray(rows).ravel()))

    def part(name: str) -> pa.Table:
        rows, steps = parts[name]
        numbers = np.arange(len(rows), dtype=np.int32)
        columns = {"part": [name] * len(rows), "row": numbers, "step": steps}
        return pa.table(columns | {"codes": lists(rows)})

    write_table(folder, "baseline.parquet", map(part, sorted(parts)))
    columns = {"token_id": token_ids, "count": counts, "step": codes[1], "codes": lists(codes[0])}
    write_table(folder, "baseline_tokens.parquet", pa.table(columns))


def write_words(folder: str | Path, words: pa.Table | pd.DataFrame) -> None:
    """Write the word index in both orders: ``words.parquet`` and ``factor_words.parquet``.

    Parameters
    ----------
    folder : str or Path
        The bundle's folder.
    words : Table or DataFrame
        Columns word, factor, layer, count, mean_activation and occurrences; rows in any order.
    """
    write_table(folder, "words.parquet", words)
    write_table(folder, "factor_words.parquet", words)


def write_origins(folder: str | Path, origins: pd.DataFrame) -> None:
    """Write what factors are made from in both orders: ``origins.parquet`` and ``feeds.parquet``.

    Parameters
    ----------
    folder : str or Path
        The bundle's folder.
    origins : DataFrame
        The columns of origins.parquet; rows in any order.
    """
    write_table(folder, "origins.parquet", origins)
    write_table(folder, "feeds.parquet", turned_round(origins))


def turned_round(origins: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of feeds.parquet: those of origins.parquet of factors, by their source.

    A factor that is made from itself does not feed itself. The largest share comes first, of equal
    ones that of the first factor.
    """
    others = (origins["kind"] == "factor") & (origins["source"] != origins["factor"])
    rows = origins[others].rename(columns={"factor": "target", "source": "factor"})
    rows = rows.assign(size=-rows["share"].abs()).sort_values(["factor", "size", "target"])
    rows["rank"] = rows.groupby("factor").cumcount().astype(np.int16)
    return rows[LAYOUTS["feeds"].schema.names].reset_index(drop=True)


def write_manifest(folder: str | Path, manifest: dict[str, Any]) -> None:
    """Write ``README.md`` and then, atomically, ``manifest.json``, which makes the folder a bundle.

    Adds ``format_version``, ``files`` (name: rows, bytes, sha256) and ``manifest_sha256``.

    Parameters
    ----------
    folder : str or Path
        The bundle's folder.
    manifest : dict
        What :class:`tfactors.bundle.manifest.Manifest` names, and whatever else is to be kept.

    Raises
    ------
    BundleError
        A table has not been written yet, or the manifest lacks a field or holds a NaN.
    """
    folder = Path(folder)
    try:
        written = canonical_json(manifest)
    except (ValueError, TypeError) as error:
        raise BundleError(f"{MANIFEST}: {error}; JSON has no place for it") from error
    about = check_manifest(json.loads(written))  # as a reader will find it
    files = {}
    for name in bundle_files(about.model.layers):
        path = folder / name
        if not path.is_file() and is_optional(name):
            continue
        if not path.is_file():
            raise BundleError(f"{name}: not written yet; write every table before the manifest")
        rows = pq.read_metadata(path).num_rows
        files[name] = {"rows": rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
    added = ("format_version", "files", "manifest_sha256")
    content: dict[str, Any] = {"format_version": FORMAT_VERSION}
    content |= {key: value for key, value in manifest.items() if key not in added}
    content["files"] = files
    content["manifest_sha256"] = manifest_checksum(content)
    write_card(folder, about)
    with _replacing(folder / MANIFEST) as sink:
        sink.write(canonical_json(content))


class _replacing:
    """Write a file under a temporary name and give it its own only when it is safely on disk."""

    def __init__(self, path: Path):
        self.path = path
        self.temporary = path.with_name(path.name + ".part")

    def __enter__(self) -> IO[bytes]:
        self.file = open(self.temporary, "wb")
        return self.file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.file.close()
            self.temporary.unlink()
            return
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self.temporary, self.path)
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # or the new name may be lost with the power
        finally:
            os.close(descriptor)


def _conform(batch: pa.RecordBatch | pa.Table, kind: str, name: str) -> pa.Table:
    """Return the batch in the schema of its file, NaN as missing where that may be."""
    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    layout = LAYOUTS[kind]
    left_out = set(layout.optional_columns).difference(table.column_names)
    schema = pa.schema([field for field in layout.schema if field.name not in left_out])
    if sorted(table.column_names) != sorted(schema.names):
        given, expected = ", ".join(table.column_names), ", ".join(schema.names)
        raise BundleError(f"{name}: given the columns {given}; expected {expected}")
    if kind in ("dictionary", "second_dictionary") and pa.types.is_fixed_size_list(
        table.schema.field("atom").type
    ):
        schema = table_schema(kind, table.schema.field("atom").type.list_size)
    columns = [_column(table.column(field.name), field, name) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(column: pa.ChunkedArray, field: pa.Field, name: str) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type) and (field.nullable or pa.types.is_integer(field.type)):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    try:
        # A whole number must fit; a double becomes the nearest float.
        column = column.cast(field.type, safe=not pa.types.is_floating(field.type))
    except pa.ArrowException as error:
        raise BundleError(f"{name}: column '{field.name}': {error}") from error
    if not field.nullable and column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise BundleError(f"{name}: column '{field.name}' row {row:,}: missing value")
    return column


def _row_groups(tables: Iterable[pa.Table], layout: Layout, name: str) -> Iterator[pa.Table]:
    """Cut a sorted stream into row groups: whole factors, or a fixed number of rows."""
    pending: list[pa.Table] = []
    last: tuple[Any, ...] | None = None
    written = 0
    for table in tables:
        last = _check_order(table, layout, name, last, written)
        written += len(table)
        while len(table):
            room = _room(pending, table, layout)
            if room:
                pending.append(table.slice(0, room))
                table = table.slice(room)
            if len(table):
                yield pa.concat_tables(pending).combine_chunks()
                pending = []
    if pending:
        yield pa.concat_tables(pending).combine_chunks()


def _room(pending: list[pa.Table], table: pa.Table, layout: Layout) -> int:
    """Return how many rows of the table belong to the row group that is being filled."""
    if not layout.factors:
        return min(len(table), layout.rows - sum(map(len, pending)))
    group = (pending or [table])[0].column("factor")[0].as_py() // layout.factors
    factors = table.column("factor").to_numpy()
    return int(np.searchsorted(factors, (group + 1) * layout.factors))


def _check_order(
    table: pa.Table, layout: Layout, name: str, last: tuple[Any, ...] | None, written: int
) -> tuple[Any, ...] | None:
    """Raise unless the rows ascend by their keys and follow the ``last`` ones; the new last."""
    if not len(table):
        return last
    row = first_disorder(table, layout.keys, last)
    if row is not None:
        keys = ", ".join(layout.keys)
        raise BundleError(f"{name}: row {written + row:,} does not come after the last by {keys}")
    return last_key(table, layout.keys)


def last_key(table: pa.Table, keys: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the keys of the last row of a table that has one."""
    return tuple(table.column(key)[-1].as_py() for key in keys)


def first_disorder(
    table: pa.Table, keys: tuple[str, ...], last: tuple[Any, ...] | None = None
) -> int | None:
    """Return the first row whose keys are not greater than those of the row before, or None.

    ``last`` are the keys of the row before the table. Words compare as UTF-8 bytes, which is also
    the order of their code points.
    """
    if not len(table):
        return None
    if last is not None and tuple(table.column(key)[0].as_py() for key in keys) <= last:
        return 0
    tied = np.ones(len(table) - 1, bool)
    wrong = np.zeros(len(table) - 1, bool)
    for key in keys:
        column = table.column(key).combine_chunks()
        before, after = column.slice(0, len(table) - 1), column.slice(1)
        wrong |= tied & pc.greater(before, after).to_numpy(zero_copy_only=False)
        tied &= pc.equal(before, after).to_numpy(zero_copy_only=False)
    wrong |= tied
    return int(np.argmax(wrong)) + 1 if wrong.any() else None


def _options(layout: Layout) -> dict[str, Any]:
    """Return the settings of pyarrow's writer for one kind of table."""
    split = {path.split(".")[0] for path in layout.split}
    coded = [
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
        for field in layout.schema
        if field.name not in split
    ]
    return {
        "compression": "zstd",
        "compression_level": _ZSTD_LEVEL,
        "use_dictionary": coded,
        "use_byte_stream_split": list(layout.split) or False,
        "write_statistics": [layout.keys[0]],
        "write_page_checksum": True,
    }
