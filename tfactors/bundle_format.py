"""The files of a bundle: what each holds, in which order, and how it is written.

In go Arrow tables, or record batches that arrive in order; out comes a folder of Parquet files
(zstd, page checksums, no timestamps: the same rows give the same bytes) and, last of all, the
manifest that names each file with its SHA-256. A folder without a manifest is not a bundle, so a
build that dies half-way leaves nothing that could be mistaken for one.

Rows are sorted by the table's keys. In tables keyed by factor a row group holds whole factors (16
in ``examples/``), so that a page of the dashboard reads one row group whatever the bundle's size.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfactors.errors import InputError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"

_ZSTD_LEVEL = 9  # level 3 makes examples/ 4 % larger and saves no time that a build would notice


class BundleError(InputError):
    """A bundle is missing, damaged, or of another version; the message names file, column, row."""


@dataclass(frozen=True)
class Layout:
    """How one kind of table lies in its file.

    ``keys`` are the columns by which rows are sorted (and unique). A row group holds ``factors``
    whole factors (factor // factors is constant in it) where that is set, else ``rows`` rows.
    ``split`` names float columns stored byte by byte (BYTE_STREAM_SPLIT), which zstd packs better;
    ``statistics`` the columns whose minimum and maximum the reader uses to find a row group.
    """

    schema: pa.Schema
    keys: tuple[str, ...]
    factors: int = 0
    rows: int = 1 << 16
    split: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()


def _schema(nullable: str = "", **columns: pa.DataType) -> pa.Schema:
    optional = nullable.split()
    return pa.schema([pa.field(n, t, nullable=n in optional) for n, t in columns.items()])


_i16, _i32, _f32, _str = pa.int16(), pa.int32(), pa.float32(), pa.string()

LAYOUTS: dict[str, Layout] = {
    "dictionary": Layout(
        # The width of the model is part of the type: list<float>[width], see write_dictionary.
        _schema(factor=_i32, atom=pa.list_(_f32)),
        keys=("factor",),
        factors=1024,
        split=("atom.list.element",),
    ),
    "factors": Layout(
        _schema(
            "depth retained_word retained_sentence reach stability",
            factor=_i32, label=_str, level=_str, peak_layer=_i16, depth=_f32,
            retained_word=_f32, retained_sentence=_f32, reach=_i16,
            words=pa.list_(_str), alive=pa.bool_(), stability=_f32,
        ),
        keys=("factor",),
    ),
    "importance": Layout(
        _schema(factor=_i32, layer=_i16, importance=_f32, density=_f32, maximum=_f32),
        keys=("factor", "layer"),
        factors=256,
        statistics=("factor",),
    ),
    "examples": Layout(
        _schema(
            factor=_i32, rank=_i16, window=_i32, position=_i16, word=_str, activation=_f32
        ),
        keys=("factor", "rank"),
        factors=16,
        split=("activation",),
        statistics=("factor",),
    ),
    "histograms": Layout(
        _schema(factor=_i32, layer=_i16, counts=pa.list_(_i32)),
        keys=("factor", "layer"),
        factors=64,
        statistics=("factor",),
    ),
    "saliency": Layout(
        _schema(
            factor=_i32, layer=_i16, rank=_i16, method=_str,
            weights=pa.list_(_f32), score=_f32, samples=_i32, seed=pa.int64(),
        ),
        keys=("factor", "layer", "rank", "method"),
        factors=16,
        split=("weights.list.element",),
        statistics=("factor",),
    ),
    "retention": Layout(
        _schema(factor=_i32, layer=_i16, kind=_str, radius=_i16, retained=_f32),
        keys=("factor", "layer", "kind", "radius"),
        factors=256,
        statistics=("factor",),
    ),
    "windows": Layout(
        _schema(
            window=_i32, document=_i32, start=_i32,
            tokens=pa.list_(_str), token_ids=pa.list_(_i32), word_starts=pa.list_(pa.bool_()),
        ),
        keys=("window",),
        rows=32,
        statistics=("window",),
    ),
    "documents": Layout(
        _schema(
            "year",
            document=_i32, source=_str, title=_str, year=_i16, held_out=pa.bool_(), tokens=_i32,
        ),
        keys=("document",),
    ),
    "words": Layout(
        # occurrences: the word's tokens in the whole corpus, so that count / occurrences is the
        # share of them on which the factor is active.
        _schema(
            word=_str, factor=_i32, layer=_i16, count=_i32, mean_activation=_f32, occurrences=_i32
        ),
        keys=("word", "factor", "layer"),
        rows=8192,
        split=("mean_activation",),
        statistics=("word",),
    ),
    # The rows of words.parquet in the other order, so that "which words does this factor answer
    # to" costs one row group as well.
    "factor_words": Layout(
        _schema(
            factor=_i32, layer=_i16, word=_str, count=_i32, mean_activation=_f32, occurrences=_i32
        ),
        keys=("factor", "layer", "word"),
        factors=16,
        split=("mean_activation",),
        statistics=("factor",),
    ),
}
SCHEMAS: dict[str, pa.Schema] = {name: layout.schema for name, layout in LAYOUTS.items()}


def example_file(layer: int) -> str:
    """The file of one layer's examples, ``examples/layer_04.parquet``."""
    return f"examples/layer_{layer:02d}.parquet"


def bundle_files(layers: Iterable[int]) -> list[str]:
    """Every Parquet file of a bundle over these layers, in a fixed order."""
    names = [f"{name}.parquet" for name in LAYOUTS if name != "examples"]
    return sorted(names + [example_file(layer) for layer in layers])


def table_kind(file_name: str) -> str:
    """The key into LAYOUTS and SCHEMAS for a file of a bundle."""
    kind = "examples" if file_name.startswith("examples/") else file_name.removesuffix(".parquet")
    if kind not in LAYOUTS or not file_name.endswith(".parquet"):
        raise BundleError(f"{file_name}: not a file of a bundle; known: {', '.join(LAYOUTS)}")
    return kind


def expected_schema(kind: str, width: int) -> pa.Schema:
    """The schema of a table in a bundle whose model has hidden states of ``width`` numbers."""
    if kind != "dictionary":
        return SCHEMAS[kind]
    return _schema(factor=_i32, atom=pa.list_(_f32, width))


def write_table(
    folder: str | Path,
    name: str,
    rows: pa.Table | pd.DataFrame | Iterable[pa.RecordBatch | pa.Table],
) -> None:
    """Write one file of a bundle, whole or not at all.

    Parameters
    ----------
    folder : the bundle's folder; made when it is not there.
    name : file name inside it, such as ``factors.parquet`` or ``examples/layer_04.parquet``.
    rows : a table or DataFrame, which is sorted by the table's keys, or an iterable of record
        batches (or small tables) that are already in that order, which is never held in memory
        whole. NaN in a column that may be missing is stored as missing.

    Raises
    ------
    BundleError
        A column is missing, unknown, of a type that does not fit, null or out of order.
    """
    kind = table_kind(name)
    layout = LAYOUTS[kind]
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(rows, pd.DataFrame):
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    if isinstance(rows, pa.Table):
        rows = [rows.sort_by([(key, "ascending") for key in layout.keys])]
    stream = (_conform(batch, kind, name) for batch in rows)
    first = next(stream, None)
    schema = first.schema if first is not None else layout.schema
    temporary = path.with_name(path.name + ".part")
    try:
        with open(temporary, "wb") as sink:
            with pq.ParquetWriter(sink, schema, **_writer_options(layout)) as writer:
                for group in _row_groups(_chain(first, stream), layout, name):
                    writer.write_table(group, row_group_size=len(group))
            _sync(sink)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_dictionary(folder: str | Path, dictionary: np.ndarray) -> None:
    """Write ``dictionary.parquet`` from the atoms, (m, d) float32, rows of unit norm."""
    factors, width = dictionary.shape
    flat = pa.array(np.ascontiguousarray(dictionary, dtype=np.float32).ravel())
    atoms = pa.FixedSizeListArray.from_arrays(flat, width)
    columns = [pa.array(np.arange(factors, dtype=np.int32)), atoms]
    write_table(
        folder,
        "dictionary.parquet",
        [pa.Table.from_arrays(columns, schema=expected_schema("dictionary", width))],
    )


def write_words(folder: str | Path, words: pa.Table | pd.DataFrame) -> None:
    """Write the word index in both orders: ``words.parquet`` and ``factor_words.parquet``.

    ``words`` holds word, factor, layer, count, mean_activation and occurrences.
    """
    write_table(folder, "words.parquet", words)
    write_table(folder, "factor_words.parquet", words)


def write_manifest(folder: str | Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest.json``, last and atomically, which makes the folder a bundle.

    Adds ``format_version``, ``files`` (name: rows, bytes, sha256) and ``manifest_sha256``, the
    checksum of the manifest without that key. The bytes on disk are :func:`canonical_json`, so
    that any change of them, even of a blank, shows.
    """
    folder = Path(folder)
    files = {}
    for name in bundle_files(manifest["model"]["layers"]):
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{name}: not written yet; write every table before the manifest")
        rows = pq.read_metadata(path).num_rows
        files[name] = {"rows": rows, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
    generated = ("format_version", "files", "manifest_sha256")
    content = {"format_version": FORMAT_VERSION}
    content |= {key: value for key, value in manifest.items() if key not in generated}
    content["files"] = files
    content["manifest_sha256"] = manifest_checksum(content)
    temporary = folder / (MANIFEST + ".part")
    with open(temporary, "wb") as sink:
        sink.write(canonical_json(content))
        _sync(sink)
    os.replace(temporary, folder / MANIFEST)
    _sync_folder(folder)


def canonical_json(content: dict[str, Any]) -> bytes:
    """The one serialisation of a manifest: UTF-8, two blanks of indentation, a final newline."""
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def manifest_checksum(manifest: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of the manifest without its key ``manifest_sha256``."""
    content = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(canonical_json(content)).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _conform(batch: pa.RecordBatch | pa.Table, kind: str, name: str) -> pa.Table:
    """The batch in the schema of its file, columns in order, NaN as null where null may be."""
    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    schema = SCHEMAS[kind]
    if set(table.column_names) != set(schema.names):
        given, expected = ", ".join(table.column_names), ", ".join(schema.names)
        raise BundleError(f"{name}: given the columns {given}; expected {expected}")
    if kind == "dictionary" and pa.types.is_fixed_size_list(table.schema.field("atom").type):
        schema = expected_schema(kind, table.schema.field("atom").type.list_size)
    columns = []
    for field in schema:
        column = table.column(field.name)
        if field.nullable and pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        try:
            # Narrowing of whole numbers is checked; float64 to float32 rounds, as meant.
            column = column.cast(field.type, safe=not pa.types.is_floating(field.type))
        except pa.ArrowException as error:
            raise BundleError(f"{name}: column '{field.name}': {error}") from error
        if not field.nullable and column.null_count:
            row = pc.index(pc.is_null(column), True).as_py()
            raise BundleError(f"{name}: column '{field.name}' row {row:,}: missing value")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def _row_groups(tables: Iterator[pa.Table], layout: Layout, name: str) -> Iterator[pa.Table]:
    """Cut a sorted stream into row groups: whole factors, or a fixed number of rows."""
    pending: list[pa.Table] = []
    last_key: tuple[Any, ...] | None = None
    for table in tables:
        last_key = _check_order(table, layout, name, last_key)
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
    """How many rows of the table still belong to the row group that is being filled."""
    if not layout.factors:
        return min(len(table), layout.rows - sum(map(len, pending)))
    group = (pending or [table])[0].column("factor")[0].as_py() // layout.factors
    factors = table.column("factor").to_numpy()
    return int(np.searchsorted(factors, (group + 1) * layout.factors))


def _check_order(
    table: pa.Table, layout: Layout, name: str, last: tuple[Any, ...] | None
) -> tuple[Any, ...] | None:
    """Raise unless the rows ascend strictly by their keys and follow ``last``; the last key."""
    if not len(table):
        return last
    keys = [table.column(key) for key in layout.keys]
    row = first_disorder(keys)
    if row is None and last is not None and tuple(key[0].as_py() for key in keys) <= last:
        row = 0
    if row is not None:
        columns = ", ".join(layout.keys)
        raise BundleError(f"{name}: row {row:,} of a batch is not after the one before by {columns}")
    return tuple(key[-1].as_py() for key in keys)


def first_disorder(keys: list[pa.ChunkedArray]) -> int | None:
    """The first row that does not come strictly after the row before it, or None."""
    count = len(keys[0])
    tied = np.ones(max(count - 1, 0), bool)
    wrong = np.zeros_like(tied)
    for key in keys:
        array = key.combine_chunks()
        before, after = array.slice(0, max(count - 1, 0)), array.slice(min(1, count))
        wrong |= tied & pc.greater(before, after).to_numpy(zero_copy_only=False)
        tied &= pc.equal(before, after).to_numpy(zero_copy_only=False)
    wrong |= tied
    return int(np.argmax(wrong)) + 1 if wrong.any() else None


def _writer_options(layout: Layout) -> dict[str, Any]:
    split = list(layout.split)
    floats = {f.name for f in layout.schema if f.name in split} | {s.split(".")[0] for s in split}
    return {
        "compression": "zstd",
        "compression_level": _ZSTD_LEVEL,
        "use_dictionary": [_leaf(f) for f in layout.schema if f.name not in floats],
        "use_byte_stream_split": split or False,
        "write_statistics": list(layout.statistics),
        "write_page_checksum": True,
    }


def _leaf(field: pa.Field) -> str:
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name


def _chain(first: pa.Table | None, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    if first is not None:
        yield first
        yield from rest


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
