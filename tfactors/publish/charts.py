"""Curves and maps as SVG inside a page: no script draws them, and they follow the page's theme.

Turns numbers into SVG whose colours are classes of ``site.css``. Vega could draw them too, but a
chart of its own takes ten times the bytes, has colours for one theme, and its links and names need
Vega's runtime; with 2,000 pages of one curve each that decides.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from tfactors.display.notebook import nice_step
from tfactors.display.text import as_html

_WIDTH, _HEIGHT = 420, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 40
_MOST_NUMBERS = 14  # of layers along the axis
MAP_SIDE = 1000


def curve(
    layers: Sequence[int],
    values: np.ndarray,
    band: pd.DataFrame,
    level: str,
    here: int,
    alt: str,
    links: bool = True,
) -> str:
    """Return a factor's importance over the layers; each point leads to its layer on the page.

    Parameters
    ----------
    layers : sequence of int
        The layers.
    values : (L,) float
        The importance at each.
    band : DataFrame
        Columns low, middle and high: quantiles of all factors.
    level : str
        Gives the colour.
    here : int
        The layer whose point is larger.
    alt : str
        What the picture shows, for readers who cannot see it.
    links : bool
        Whether the page has the layers to lead to.
    """
    step = nice_step(max(float(values.max()), float(band["high"].max())) or 1.0, 4)
    highest = step * np.ceil(max(float(values.max()), float(band["high"].max()), step) / step)
    bottom = _HEIGHT - _BOTTOM
    wide = (_WIDTH - _LEFT - _RIGHT) / len(layers)
    x = [_LEFT + wide * (i + 0.5) for i in range(len(layers))]

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * value / highest

    def line(values: Iterable[float]) -> list[str]:
        return [f"{at:.1f},{y(value):.1f}" for at, value in zip(x, values, strict=True)]

    ticks = [(n * step, y(n * step)) for n in range(round(highest / step) + 1)]
    around = " ".join([*line(band["high"]), *reversed(line(band["low"]))])
    points = ""
    for at, layer, value in zip(x, layers, values.tolist(), strict=True):
        said = f"layer {layer}: importance {value:.3f}"
        radius = 6 if layer == here else 4
        dot = (
            f'<circle cx="{at:.1f}" cy="{y(value):.1f}" r="{radius}"><title>{said}</title></circle>'
        )
        points += f'<a href="#layer-{layer}">{dot}</a>' if links else dot
    return (
        f'<svg class="curve tf-{level or "dead"}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" '
        f'aria-label="{as_html(alt)}">{_axes(ticks, x, layers)}'
        f'<polygon class="band" points="{around}"/>'
        f'<polyline class="middle" points="{" ".join(line(band["middle"]))}"/>'
        f'<polyline class="line" points="{" ".join(line(values.tolist()))}"/>{points}</svg>'
    )


def _axes(ticks: list[tuple[float, float]], x: list[float], layers: Sequence[int]) -> str:
    """Return the lines and numbers behind a curve; a tick is a value and its height."""
    grid = "".join(
        f'<path class="grid" d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 7}" y="{at + 4:.1f}" class="end">{value:.10g}</text>'
        for value, at in ticks
    )
    every = -(-len(layers) // _MOST_NUMBERS)
    numbers = "".join(
        f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 17}">{layer}</text>'
        for at, layer in list(zip(x, layers, strict=True))[::every]
    )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return f'{grid}{numbers}<text x="{middle:.0f}" y="{_HEIGHT - 6}">layer</text>'


def spark(shares: Iterable[float], here: int, peak: str) -> str:
    """Return a curve as small bars; ``here`` is the place of the one that is marked."""
    bars = "".join(
        f'<b{" class=tf-here" if at == here else ""} style="--h:{share:.2f}"></b>'
        for at, share in enumerate(shares)
    )
    return (
        f'<span class="tf-spark" role="img" aria-label="importance peaks at {peak}">{bars}</span>'
    )


# Each level has a shape of its own beside its colour: dots, squares, triangles.
_SHAPES = {"low": "h0", "mid": "h0", "high": "m-4 3l4-7 4 7z", "": "h0"}


def placed(x: np.ndarray, y: np.ndarray) -> list[tuple[int, int] | None]:
    """Return places in a square of :data:`MAP_SIDE`, y upwards; None where one is not known."""
    known = np.isfinite(x) & np.isfinite(y)
    sides = []
    for values in (x, -y):
        low, high = values[known].min(initial=np.inf), values[known].max(initial=-np.inf)
        share = (values - low) / ((high - low) or 1.0)
        sides.append(np.where(known, 15 + share * (MAP_SIDE - 30), 0).round().astype(int))
    return [
        (int(a), int(b)) if there else None
        for a, b, there in zip(*sides, known.tolist(), strict=True)
    ]


def dots(
    places: Sequence[tuple[int, int] | None],
    levels: np.ndarray,
    alt: str,
    names: Iterable[tuple[int, int, str]] = (),
) -> str:
    """Return a map: one path a level, a shape of its own at each place, and names over them.

    ``names`` are places and texts, a line break in them where they go on in a second line.
    """
    paths = []
    for level, shape in _SHAPES.items():
        marks = "".join(
            f"M{place[0]} {place[1]}{shape}"
            for place, of in zip(places, levels, strict=True)
            if place is not None and of == level
        )
        if marks:
            paths.append(
                f'<path class="dots tf-{level or "dead"} of-{level or "none"}" d="{marks}"/>'
            )
    return (
        f'<svg class="map" viewBox="0 0 {MAP_SIDE} {MAP_SIDE}" role="img" '
        f'aria-label="{as_html(alt)}">{"".join(paths)}{"".join(_name(*of) for of in names)}</svg>'
    )


def _name(x: int, y: int, text: str) -> str:
    lines = text.split("\n")
    first = y - 13 * (len(lines) - 1)
    spans = "".join(
        f'<tspan x="{x}" y="{first + 26 * at}">{as_html(line)}</tspan>'
        for at, line in enumerate(lines)
    )
    return f'<text class="region">{spans}</text>'
