"""Whether the regions of the map can be true: at every zoom each factor of the map is in one."""

from __future__ import annotations

import numpy as np

from tfactors.bundle.format import REGION_ZOOMS, BundleError
from tfactors.bundle.verify_rows import OpenTables, Part


def check_regions(tables: OpenTables) -> None:
    """Regions are numbered, lie among their factors, and part the map at every zoom."""
    places = _places(tables)
    on_map = np.isfinite(places).all(axis=1)
    seen = np.zeros((REGION_ZOOMS, tables.factors), np.int64)
    before = (-1, -1)
    for part in tables.parts("regions.parquet"):
        known = (part["zoom"] >= 0) & (part["zoom"] < REGION_ZOOMS)
        part.require(known, "zoom", f"is none of the zooms 0 to {REGION_ZOOMS - 1}")
        before = _require_numbered(part, before)
        share = (part["shared"] >= 0) & (part["shared"] <= 1)
        part.require(share, "shared", "is no share")
        part.require(part.lengths("factors") > 0, "factors", "is empty")
        for row, factors in enumerate(part.table.column("factors").to_pylist()):
            members = np.array(factors)
            if not ((members >= 0) & (members < tables.factors)).all():
                part.fail("factors", row, "holds a factor that is not there")
            np.add.at(seen[part["zoom"][row]], members, 1)
            for column, axis in (("x", 0), ("y", 1)):
                inside = places[members, axis]
                if not np.nanmin(inside) <= part[column][row] <= np.nanmax(inside):
                    part.fail(column, row, "is not among the factors of the region")
    for zoom, factor in np.argwhere(seen != on_map)[:1].tolist():
        raise BundleError(
            f"regions.parquet: factor {factor} is in {seen[zoom, factor]} regions of zoom {zoom}; "
            f"expected {int(on_map[factor])}; rebuild the bundle"
        )


def _places(tables: OpenTables) -> np.ndarray:
    """Return where each factor lies on the map, (m, 2), NaN where it has no place."""
    places = np.full((tables.factors, 2), np.nan)
    for part in tables.parts("factors.parquet"):
        for axis, name in enumerate(("map_x", "map_y")):
            if name in part.table.column_names:
                places[part["factor"], axis] = part[name]
    return places


def _require_numbered(part: Part, before: tuple[int, int]) -> tuple[int, int]:
    """Raise unless regions of a zoom are numbered from 0; return the last one."""
    for row, (zoom, region) in enumerate(zip(part["zoom"], part["region"], strict=True)):
        if region != (before[1] + 1 if zoom == before[0] else 0):
            part.fail("region", row, "is not one more than the region before")
        before = (int(zoom), int(region))
    return before
