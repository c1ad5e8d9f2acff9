"""One Parquet file of a bundle: opened once, read by row group.

Turns the name of a table into Arrow tables of the rows that are wanted, from the row groups that
hold them, found by the smallest and largest key that each carries. What Arrow says about a damaged
file leaves here as one line of ours.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfactors.bundle.format import LAYOUTS, BundleError, table_kind, table_schema

# Row groups of text in memory, of some 80 kB each: a page asks for the same ones twice, and readers
# for those of others.
GROUPS_KEPT = 128


class TableFile:
    """One Parquet file of a bundle, opened once, read by row group, shared between threads.

    Raises BundleError when the file is missing, damaged, or holds other columns than it should.
    """

    def __init__(self, folder: Path, name: str, width: int) -> None:
        self.name = name
        self.kind = table_kind(name)
        self._bounds: dict[int, tuple[Any, Any] | None] = {}
        self._kept: OrderedDict[tuple[int, tuple[str, ...]], pa.Table] = OrderedDict()
        self._found: tuple[int | str, pa.Table] | None = None
        self._lock = threading.Lock()  # an open Parquet file serves one reader at a time
        with naming(name):
            # Not mapped into memory, where what was read once would count for ever.
            self._file = pq.ParquetFile(folder / name, page_checksum_verification=True)
            found = self._file.schema_arrow.remove_metadata()
        expected = table_schema(self.kind, width, found.names)
        if not found.equals(expected):
            raise BundleError(f"{name}: {_difference(found, expected)}; rebuild the bundle")
        self._key = found.names.index(LAYOUTS[self.kind].keys[0])
        self.rows = self._file.metadata.num_rows
        self.groups = self._file.metadata.num_row_groups

    @cached_property
    def group_rows(self) -> list[int]:
        """Rows of each row group."""
        return [self._file.metadata.row_group(group).num_rows for group in range(self.groups)]

    @cached_property
    def group_bytes(self) -> list[int]:
        """Bytes of each row group before compression."""
        metadata = self._file.metadata
        return [metadata.row_group(group).total_byte_size for group in range(self.groups)]

    def bounds(self, group: int) -> tuple[Any, Any] | None:
        """Smallest and largest first key of a row group; None where a word is too long."""
        if group not in self._bounds:
            with naming(self.name):
                s = self._file.metadata.row_group(group).column(self._key).statistics
            self._bounds[group] = (s.min, s.max) if s is not None and s.has_min_max else None
        return self._bounds[group]

    def groups_with(self, value: int | str) -> list[int]:
        """Return the row groups in which a row may have this first key, ascending.

        The rows are sorted by it, so that a few groups need to be asked: in a file that was just
        opened that takes a tenth of the time of reading the bounds of all.
        """
        low, high = 0, self.groups  # no group before low reaches the value
        while low < high:
            middle = (low + high) // 2
            # Where the bounds of a group are not known, those before it are asked.
            asked = next((at for at in range(middle, low - 1, -1) if self.bounds(at)), None)
            here = None if asked is None else self.bounds(asked)
            if asked is not None and here is not None and here[1] < value:
                low = asked + 1
            else:
                high = middle
        found = []
        for group in range(low, self.groups):
            here = self.bounds(group)
            if here is not None and here[0] > value:
                break
            if here is None or value <= here[1]:
                found.append(group)
        return found

    def read(self) -> pa.Table:
        """Return the whole file."""
        return self.read_groups(range(self.groups))

    def read_groups(self, groups: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """Return these row groups in the order given, or some columns of them."""
        wanted = None if columns is None else list(columns)
        with self._lock, naming(self.name):
            return self._file.read_row_groups(list(groups), wanted, use_threads=False)

    def recent(self, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Return columns of row groups in the order given; those read last are kept in memory."""
        keys = [(group, tuple(columns)) for group in groups]
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
        for key in keys:
            if key not in found:
                found[key] = self.read_groups([key[0]], columns)
        with self._lock:
            for key in keys:
                self._kept[key] = found[key]
                self._kept.move_to_end(key)
            while len(self._kept) > GROUPS_KEPT:
                self._kept.popitem(last=False)
        return pa.concat_tables([found[key] for key in keys])

    def where(self, value: int | str) -> pa.Table:
        """Return the rows whose first sorting key is this value.

        Those found last are kept: a page asks for the same ones once a layer.
        """
        found = self._found
        if found is not None and found[0] == value:
            return found[1]
        table = self.read_groups(self.groups_with(value))
        key = table.column(LAYOUTS[self.kind].keys[0])
        table = table.filter(pc.equal(key, pa.scalar(value, key.type)))
        self._found = value, table
        return table


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a table of few rows as a frame; a pool of threads would cost more than it saves."""
    return table.to_pandas(use_threads=False)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say in one line of ours what Arrow or the system says about a file."""
    try:
        yield
    except FileNotFoundError as error:
        raise BundleError(f"{name}: missing; restore or rebuild the bundle") from error
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[:1]
        raise BundleError(
            f"{name}: damaged or not readable ({''.join(reason)}); restore or rebuild the bundle"
        ) from error


def _difference(found: pa.Schema, expected: pa.Schema) -> str:
    """Say in which column a file differs from its schema."""
    for field in expected:
        if field.name not in found.names:
            return f"column '{field.name}' is missing"
        if not found.field(field.name).equals(field):
            return f"column '{field.name}' is {found.field(field.name).type}, not {field.type}"
    return f"columns {', '.join(found.names)}; expected {', '.join(expected.names)}"
