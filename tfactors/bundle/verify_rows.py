"""A table read part by part for checking, with the checks that all tables share.

Turns an open file into its rows, some row groups at a time, that have passed these checks: rows
ascend by the keys of the table, row groups are cut where the reader expects it, no number is NaN or
infinite, no list holds a gap, factors and layers are ones the bundle has. :class:`Part` turns a row
that is wrong into a BundleError that names it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfactors import ragged
from tfactors.bundle.format import CONTEXTS, LAYOUTS, BundleError
from tfactors.bundle.manifest import Manifest
from tfactors.bundle.table import TableFile
from tfactors.bundle.writing import first_disorder, last_key
from tfactors.text.words import LONGEST_WORD

# Uncompressed bytes held at once: a large bundle is checked in the memory of a small one.
_PART_BYTES = 32 << 20


class Part:
    """Some consecutive rows of one table."""

    def __init__(self, name: str, table: pa.Table, first_row: int) -> None:
        self.name = name
        self.table = table
        self.first_row = first_row
        self._arrays: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, column: str) -> np.ndarray:
        """Return a column of numbers or truths; missing numbers are NaN."""
        if column not in self._arrays:
            self._arrays[column] = self.table.column(column).to_numpy()
        return self._arrays[column]

    def array(self, column: str) -> pa.Array:
        """Return a column as one Arrow array."""
        return self.table.column(column).combine_chunks()

    def lengths(self, column: str) -> np.ndarray:
        """Return the length of each list of a column."""
        return pc.list_value_length(self.array(column)).to_numpy(zero_copy_only=False)

    def require(self, ok: np.ndarray | pa.Array, column: str, problem: str) -> None:
        """Raise unless every row is ``ok``; ``{c}`` in the problem is the value of column c."""
        if isinstance(ok, (pa.Array, pa.ChunkedArray)):
            ok = ok.to_numpy(zero_copy_only=False)
        if not ok.all():
            self.fail(column, int(np.argmin(ok)), problem)

    def fail(self, column: str, row: int, problem: str) -> NoReturn:
        """Raise the error of one row of this part."""
        value = _shown(self.table.column(column)[row])
        for name in self.table.column_names:
            if f"{{{name}}}" in problem:
                problem = problem.replace(f"{{{name}}}", _shown(self.table.column(name)[row]))
        raise BundleError(
            f"{self.name}: column '{column}' row {self.first_row + row:,}: {value} {problem}; "
            "rebuild the bundle"
        )


def parts(file: TableFile, factors: int, layers: Sequence[int]) -> Iterator[Part]:
    """Yield the rows of a file in order, checked as far as the format alone can tell."""
    layout = LAYOUTS[file.kind]
    last: tuple[Any, ...] | None = None
    last_group, first_row = -1, 0
    for groups in _batches(file):
        part = Part(file.name, file.read_groups(groups), first_row)
        row = first_disorder(part.table, layout.keys, last)
        if row is not None:
            part.fail(layout.keys[0], row, f"is out of order: rows ascend by {_all(layout.keys)}")
        _check_numbers(part, file.kind != "imported")
        if "factor" in part.table.column_names:
            inside = (part["factor"] >= 0) & (part["factor"] < factors)
            part.require(inside, "factor", f"is none of the factors 0 to {factors - 1:,}")
        if "layer" in part.table.column_names:
            inside = np.isin(part["layer"], layers)
            part.require(inside, "layer", f"is none of the layers {_all(layers)}")
        if layout.factors:
            last_group = _check_factor_groups(part, file, groups, layout.factors, last_group)
        else:
            _check_group_sizes(file, groups, layout.rows)
        last, first_row = last_key(part.table, layout.keys), first_row + len(part)
        yield part


def _batches(file: TableFile) -> Iterator[list[int]]:
    """Yield runs of row groups of some 32 MB each."""
    batch: list[int] = []
    size = 0
    for group in range(file.groups):
        if not file.group_rows[group]:  # other writers may leave empty ones; they do no harm
            continue
        if batch and size + file.group_bytes[group] > _PART_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(group)
        size += file.group_bytes[group]
    if batch:
        yield batch


def _check_numbers(part: Part, all_finite: bool) -> None:
    """Raise at a gap in a list and, where all have to be finite, at a NaN or an infinity.

    An imported file has its own numbers, also those of dead factors: `check_imported` asks whose.
    """
    for field in part.table.schema:
        values = part.array(field.name)
        row_of = None
        if pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type):
            row_of = pc.list_parent_indices(values)
            values = values.flatten()
            _require_flat(part, field.name, values.is_valid(), row_of, "holds a missing value")
        if all_finite and pa.types.is_floating(values.type):
            finite = pc.fill_null(pc.is_finite(values), True)
            _require_flat(part, field.name, finite, row_of, "is not a finite number")


def _require_flat(
    part: Part, column: str, ok: pa.Array, row_of: pa.Array | None, problem: str
) -> None:
    first = pc.index(ok, False).as_py()
    if first >= 0:
        part.fail(column, first if row_of is None else row_of[first].as_py(), problem)


def _check_factor_groups(
    part: Part, file: TableFile, groups: list[int], factors: int, last_group: int
) -> int:
    """Raise unless each row group holds whole factors; the last group of factors seen."""
    stops = np.cumsum([file.group_rows[group] for group in groups])
    firsts = part["factor"][stops - [file.group_rows[group] for group in groups]] // factors
    lasts = part["factor"][stops - 1] // factors
    previous = np.concatenate([[last_group], lasts[:-1]])
    wrong = (firsts != lasts) | (firsts == previous)
    if wrong.any():
        number = groups[int(np.argmax(wrong))]
        raise BundleError(
            f"{part.name}: row group {number} does not hold {factors} whole factors; "
            "rebuild the bundle"
        )
    return int(lasts[-1])


def _check_group_sizes(file: TableFile, groups: list[int], rows: int) -> None:
    """Raise unless each row group but the last holds so many rows, as window numbers rely on."""
    for group in groups:
        if file.group_rows[group] != rows and group < file.groups - 1:
            raise BundleError(
                f"{file.name}: row group {group} does not hold {rows} rows; rebuild the bundle"
            )


def _shown(value: pa.Scalar) -> str:
    """Return a value as it stands in a message: short, and on one line."""
    shown = f"{value.as_py():g}" if pa.types.is_floating(value.type) and value.is_valid else ""
    shown = shown or repr(value.as_py())
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _all(names: Sequence[object]) -> str:
    return ", ".join(map(str, names))


ROUNDING = 1e-5  # relative: float32 against the same number summed in another order
RANKS = 1 << 15  # more than an int16 rank can be: puts factor and rank into one number


def first_letters(words: pa.Array) -> pa.Array:
    """Return words without what comes after so many letters, which older bundles have in full."""
    return pc.utf8_slice_codeunits(words, 0, LONGEST_WORD)


def ranked_place(part: Part) -> np.ndarray:
    """Return factor and rank of each row as one number, (rows,) int64, ascending as the rows."""
    return part["factor"].astype(np.int64) * RANKS + part["rank"]


def require_kinds(part: Part, kinds: tuple[str, ...]) -> np.ndarray:
    """Raise unless every row is of one of these kinds; the number of each row's kind."""
    found = pc.index_in(part.array("kind"), pa.array(kinds))
    part.require(found.is_valid(), "kind", f"is none of {', '.join(kinds)}")
    return found.to_numpy(zero_copy_only=False)


def require_ranks(part: Part, group: np.ndarray) -> np.ndarray:
    """Raise unless the rows of each group are ranked 0, 1, 2 …; their ranks."""
    first = np.flatnonzero(np.diff(group, prepend=-1))
    rank = ragged.spans(0, np.diff(np.append(first, len(part))))
    part.require(part["rank"] == rank, "rank", "is not one more than the rank before")
    return rank


class TopExamples:
    """The strongest examples of every factor, noted while examples are checked.

    For each layer: factor and rank as one number, ascending, and window, position, activation.
    """

    def __init__(self) -> None:
        self._noted: dict[int, list[tuple[np.ndarray, ...]]] = {}
        self._joined: dict[int, tuple[np.ndarray, ...]] = {}

    def note(self, layer: int, part: Part) -> None:
        """Keep what contexts are held against."""
        top = part["rank"] < CONTEXTS
        place = ranked_place(part)[top]
        columns = [part[name][top] for name in ("window", "position", "activation")]
        self._noted.setdefault(layer, []).append((place, *columns))

    def find(self, part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return window (-1 where there is no such example), position, activation of each row."""
        window = np.full(len(part), -1, np.int32)
        position, activation = np.zeros(len(part), np.int16), np.zeros(len(part), np.float32)
        wanted = ranked_place(part)
        for layer in np.unique(part["layer"]).tolist():
            if layer not in self._noted:
                continue
            if layer not in self._joined:
                noted = zip(*self._noted[layer], strict=True)
                self._joined[layer] = tuple(map(np.concatenate, noted))
            place, *columns = self._joined[layer]
            at = np.searchsorted(place, wanted).clip(max=len(place) - 1)
            found = (part["layer"] == layer) & (place[at] == wanted)
            window[found], position[found], activation[found] = (c[at[found]] for c in columns)
        return window, position, activation


class OpenTables:
    """The tables of a bundle, and what those that are checked already say of the others."""

    # The corpus: where each window begins among all tokens, (windows + 1,); its distinct words; the
    # number of the word of each token. The factors: their largest activation, (m, layers).
    offsets: np.ndarray
    vocabulary: pa.Array
    word_of_token: np.ndarray
    maximum: np.ndarray

    def __init__(self, folder: Path, about: Manifest) -> None:
        self.folder = folder
        self.about = about
        self.layers = list(self.about.model.layers)
        self.factors = self.about.dictionary.factors
        self.shape = (self.factors, len(self.layers))
        # Examples taken over from the 2021 website: ranks, curves off pictures, listed levels.
        self.published = self.about.coding.method == "published"
        self.top_examples = TopExamples()

    def parts(self, name: str) -> Iterator[Part]:
        """Yield the rows of a table in order, checked as far as the format alone can tell."""
        file = TableFile(self.folder, name, self.about.model.width)
        expected = self.about.files[name].rows
        if file.rows != expected:
            raise BundleError(f"{name}: {file.rows:,} rows, and the manifest says {expected}")
        return parts(file, self.factors, self.layers)

    def atoms(self) -> np.ndarray:
        """Return the dictionary, (m, d) float32."""
        file = TableFile(self.folder, "dictionary.parquet", self.about.model.width)
        atoms = file.read().column("atom").combine_chunks()
        return atoms.flatten().to_numpy().reshape(self.factors, -1)
