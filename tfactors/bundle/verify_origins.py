"""Whether what factors are made from, and what they go into, can be true, row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfactors.bundle.format import SCHEMAS, SOURCE_KINDS, SOURCES, BundleError, table_kind
from tfactors.bundle.verify_rows import (
    OpenTables,
    Part,
    first_letters,
    require_kinds,
    require_ranks,
)
from tfactors.bundle.writing import turned_round


def check_origins(tables: OpenTables) -> None:
    """A factor is made from factors and words of a layer below its peak, largest share first."""
    peak = np.concatenate([part["peak_layer"] for part in tables.parts("factors.parquet")])
    folded = {word.casefold() for word in tables.vocabulary.to_pylist()}
    names = first_letters(pa.array(sorted(folded), pa.string()))
    longest = int(np.diff(tables.offsets).max(initial=0))
    for part in tables.parts("origins.parquet"):
        of_factor = require_kinds(part, SOURCE_KINDS) == SOURCE_KINDS.index("factor")
        rank = require_ranks(part, part["factor"])
        part.require(rank <= SOURCES, "rank", f"is above {SOURCES}")
        below = part["layer"] < peak[part["factor"]]
        part.require(below, "layer", "is not below the peak layer of factor {factor}")
        _require_source(part, of_factor, tables.factors)
        blank = pc.equal(part.array("word"), "").to_numpy(zero_copy_only=False)
        part.require(blank | ~of_factor, "word", "is a word, and the source is a factor")
        known = pc.is_in(first_letters(part.array("word")), names).to_numpy(zero_copy_only=False)
        part.require(known | of_factor, "word", "does not occur, casefolded, in the windows")
        _require_numbers(part, rank, longest)
        keys = part.table.select(["factor", "source", "word"]).to_pandas()
        part.require(~keys.duplicated().to_numpy(), "source", "is in this factor's list already")


def check_feeds(tables: OpenTables) -> None:
    """What factors go into are the rows of origins.parquet that are of other factors."""
    origins, feeds = (_whole(tables, f"{name}.parquet") for name in ("origins", "feeds"))
    if not turned_round(origins).equals(feeds):
        raise BundleError(
            "feeds.parquet: its rows are not those of origins.parquet; rebuild the bundle"
        )


def _whole(tables: OpenTables, name: str) -> pd.DataFrame:
    empty = SCHEMAS[table_kind(name)].empty_table()
    parts = [part.table for part in tables.parts(name)] if name in tables.about.files else []
    return pa.concat_tables([empty, *parts]).to_pandas()


def _require_source(part: Part, of_factor: np.ndarray, factors: int) -> None:
    source = part["source"]
    known = (source >= 0) & (source < factors)
    part.require(known | ~of_factor, "source", f"is none of the factors 0 to {factors - 1:,}")
    part.require((source == -1) | of_factor, "source", "is not -1, and the source is a word")


def _require_numbers(part: Part, rank: np.ndarray, longest: int) -> None:
    """Raise unless shares fall, places are inside a window, and counts go with one another."""
    near = np.abs(part["offset"].astype(np.int32)) < longest
    part.require(near, "offset", f"is no place in a window of {longest} tokens")
    size = np.abs(part["share"])
    falls = (rank == 0) | (size <= np.concatenate([[0], size[:-1]]))
    part.require(falls, "share", "is larger than the one ranked before")
    part.require(part["spread"] >= 0, "spread", "is negative")
    part.require((part["there"] > 0) & (part["there"] <= 1), "there", "is no share above 0")
    part.require((part["before"] >= 0) & (part["before"] <= 1), "before", "is no share")
    part.require(part["found"] > 0, "found", "is not above 0")
    part.require(part["found"] <= part["examples"], "found", "is more than {examples} examples")
