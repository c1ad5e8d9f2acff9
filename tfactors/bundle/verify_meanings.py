"""Whether what a search by meaning asks can be true, row by row."""

from __future__ import annotations

import numpy as np

from tfactors.bundle.format import MANIFEST, BundleError
from tfactors.bundle.verify_rows import OpenTables, Part
from tfactors.describe.meanings import NAME


def check_meanings(tables: OpenTables) -> None:
    """A factor has vectors of its name and of examples at its peak layer, all of one length."""
    about = tables.about.meanings
    if about is None:
        raise BundleError(
            f"{MANIFEST}: 'meanings' does not say what meanings.parquet was made with; rebuild the "
            "bundle"
        )
    peak = np.concatenate([part["peak_layer"] for part in tables.parts("factors.parquet")])
    width, used = -(-about.width // 8), about.width % 8 or 8
    for part in tables.parts("meanings.parquet"):
        at_peak = part["layer"] == peak[part["factor"]]
        part.require(at_peak, "layer", "is not the peak layer of factor {factor}")
        _require_example(tables, part)
        part.require(part.lengths("bits") == width, "bits", f"is not {width:,} bytes long")
        last = part.array("bits").flatten().to_numpy().reshape(len(part), width)[:, -1]
        unused = last & (0xFF >> used)
        part.require(unused == 0, "bits", f"has bits set beyond its {about.width:,}")


def _require_example(tables: OpenTables, part: Part) -> None:
    known = tables.top_examples.find(part)[0] >= 0
    part.require(
        known | (part["rank"] == NAME),
        "rank",
        "is neither -1 nor an example of factor {factor} at layer {layer}",
    )
