"""Names of the regions of the map, and from which zoom on each has room.

Turns regions into a table of texts. The regions of each zoom have their turn, and within it a name
is shown from the zoom on at which it no longer lies over that of a larger region, whatever else is
shown: nobody has to look for free places while the map moves.
"""

import numpy as np
import pandas as pd

NAMELESS = "no shared pattern"
# From which zoom on the regions of each zoom are named; the last ones to any zoom.
STARTS = (0.0, 1.7, 3.6)
_LETTER = 0.56  # width of a letter, of its height
_LINE = 1.2
_LONGEST_LINE = 16


def font_size(zoom: int) -> int:
    """Return the size of the names of a zoom in pixels."""
    return (15, 13, 12)[zoom]


def in_lines(name: str) -> str:
    """Return a name, in two lines where it is long.

    >>> in_lines("treaty, britain, convention")
    'treaty, britain,\\nconvention'
    """
    if len(name) <= _LONGEST_LINE:
        return name
    blanks = [at for at, letter in enumerate(name) if letter == " "]
    if not blanks:
        return name
    middle = min(blanks, key=lambda at: (abs(2 * at - len(name)), at))
    return f"{name[:middle]}\n{name[middle + 1 :]}"


def names_of(regions: pd.DataFrame) -> list[str]:
    """Return what regions are called."""
    return [name or NAMELESS for name in regions["name"]]


def placed_names(
    regions: pd.DataFrame, whole: tuple[float, ...], width: float, height: float
) -> pd.DataFrame:
    """Return the names with the zooms between which each is shown.

    Parameters
    ----------
    regions : DataFrame
        As `Bundle.regions`.
    whole : (left, right, bottom, top)
        What the map shows at zoom 1.
    width, height : float
        Its size in pixels.

    Returns
    -------
    DataFrame
        Columns zoom, region, name (with a line break), named, x, y, start and stop. A name whose
        ``start`` is not below its ``stop`` is never shown.
    """
    across, up = width / (whole[1] - whole[0]), height / (whole[3] - whole[2])
    rows = regions[["zoom", "region", "x", "y"]].copy()
    rows["named"] = (regions["name"] != "").to_numpy(bool)
    rows["name"] = [in_lines(name) for name in names_of(regions)]
    rows["start"], rows["stop"] = 0.0, np.inf
    for zoom, of_zoom in rows.groupby("zoom"):
        size = font_size(int(zoom))
        # The larger a region, the sooner it has a name; those without one come last.
        order = of_zoom.sort_values(["named", "region"], ascending=[False, True]).index
        lines = [str(rows.at[at, "name"]).split("\n") for at in order]
        wide = np.array([max(map(len, of)) * size * _LETTER + 8 for of in lines])
        tall = np.array([len(of) * size * _LINE + 4 for of in lines])
        x, y = (rows.loc[order, axis].to_numpy(float) for axis in ("x", "y"))
        start = np.full(len(order), STARTS[int(zoom)])
        for at in range(1, len(order)):
            apart_x = (wide[:at] + wide[at]) / 2 / np.maximum(np.abs(x[:at] - x[at]) * across, 1e-9)
            apart_y = (tall[:at] + tall[at]) / 2 / np.maximum(np.abs(y[:at] - y[at]) * up, 1e-9)
            start[at] = max(start[at], np.minimum(apart_x, apart_y).max())
        rows.loc[order, "start"] = start
        if int(zoom) + 1 < len(STARTS):
            rows.loc[order, "stop"] = STARTS[int(zoom) + 1]
    return rows
