"""The map's chart: every factor a dot, by likeness or by what parts the levels.

Turns a table of dots into a chart on which an area can be drawn with the mouse and a dot clicked.
Nothing in it depends on the area, so that dragging costs the same with 500 dots and with 20,000,
which the browser paints on one canvas.
"""

from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from typing import Any
from xml.sax.saxutils import quoteattr

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.parts.charts import (
    GREY,
    GROUND,
    INK,
    LEVELS,
    chart_form,
    draw_chart,
    level_colour,
)

_SHAPES = alt.Scale(domain=LEVELS, range=["circle", "square", "triangle-up"])
_FEW = 3000  # dots that may be large
_LIT = "#E8A200"  # seen on both grounds, and no level has it


@dataclass(frozen=True)
class Seen:
    """What is seen of a map by likeness.

    Attributes
    ----------
    whole : (left, right, bottom, top)
        What it shows at zoom 1.
    start : the same
        What it shows when it is drawn.
    """

    whole: tuple[float, ...]
    start: tuple[float, ...]


@dataclass(frozen=True)
class Over:
    """What a map has beside its dots; a table that is None is not drawn.

    Attributes
    ----------
    area : (x0, x1, y0, y1), optional
        Is outlined.
    rules : DataFrame, optional
        Columns x, end and y: lines along y from x to end, and up at x.
    arrows : DataFrame, optional
        Those of `tfactors.app.views.map_arrows`.
    names : DataFrame, optional
        The names of regions, as `tfactors.portrait.map_names.placed_names` has them, with the
        starts of a narrow map as ``start_narrow``.
    lit : DataFrame, optional
        Columns x and y of the dots that are lit up.
    """

    area: tuple[float, ...] | None = None
    rules: pd.DataFrame | None = None
    arrows: pd.DataFrame | None = None
    names: pd.DataFrame | None = None
    lit: pd.DataFrame | None = None


def dots(
    frame: pd.DataFrame,
    colour: str,
    axes: tuple[str, str] | None,
    seen: Seen | None = None,
    steps: tuple[float, ...] = (),
    over: Over = Over(),
    **options: Any,
) -> Any:
    """Draw the dots; a click selects ``factor`` as ``pick``, a drag x and y as ``area``.

    With ``seen`` the wheel zooms, dragging with Shift moves the map, and both change ``view``.

    ``frame`` has factor, name, words, x, y, level, peak, density, curve, drawn (a ring around that
    dot) and faint; ``colour`` is one of level, peak and density. ``axes`` are the titles of x and
    y, None for axes that mean nothing. ``steps`` are the ticks of x, a logarithmic axis if none.
    """
    dark = st.context.theme.type == "dark"
    few = len(frame) <= _FEW
    box = [over.area] if over.area else []
    tables = {
        "dots": frame,
        "box": pd.DataFrame(box, columns=["x", "x2", "y", "y2"], dtype=float),
        "rules": pd.DataFrame(columns=["x", "end", "y"], dtype=float)
        if over.rules is None
        else over.rules,
    }
    more = {"arrows": over.arrows, "names": over.names, "lit": over.lit}
    tables |= {name: table for name, table in more.items() if table is not None}
    form = _dots(colour, axes, steps, dark, few, seen, tuple(set(more) & set(tables)))
    modes = ["pick", "area", *(["view"] if seen else [])]
    return draw_chart(form, tables, selection_mode=modes, **options)


_DRAWS = "[pointerdown[!event.shiftKey], window:pointerup] > window:pointermove!"
_MOVES = "[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!"


@lru_cache(32)
def _dots(
    colour: str,
    axes: tuple[str, str] | None,
    steps: tuple[float, ...],
    dark: bool,
    few: bool,
    seen: Seen | None,
    more: tuple[str, ...],
) -> str:
    pick = alt.selection_point(name="pick", fields=["factor"], on="click", empty=False)
    area = alt.selection_interval(name="area", encodings=["x", "y"], zoom=False, on=_DRAWS)
    params = [pick, area]
    if seen:
        params.append(_view(seen))
        across = alt.Scale(domain=list(seen.whole[:2]), nice=False, zero=False)
        up = alt.Scale(domain=list(seen.whole[2:]), nice=False, zero=False)
        x, y = alt.X("x:Q", axis=None, scale=across), alt.Y("y:Q", axis=None, scale=up)
    else:
        x, y = _axes(axes, steps)
    base = alt.Chart(alt.NamedData("dots")).encode(x=x, y=y)
    opacity = 0.8 if few else 0.7
    points = base.mark_point(
        filled=True,
        size=34 if few else 12,
        opacity=alt.ExprRef(f"datum.faint ? 0.25 : {0.3 if 'arrows' in more else opacity}"),
        cursor="pointer",
    ).encode(
        color=_colour(colour, dark),
        tooltip=[
            alt.Tooltip("name:N", title="factor"),
            alt.Tooltip("words:N", title="words"),
            alt.Tooltip("level:N"),
            alt.Tooltip("peak:O", title="peaks at layer"),
            alt.Tooltip("curve:N", title="by layer"),
            alt.Tooltip("density:Q", format=".2%"),
        ],
    )
    if colour == "level":
        points = points.encode(shape=alt.Shape("level:N", scale=_SHAPES))
    ring = base.transform_filter("datum.drawn").mark_point(size=330, strokeWidth=3, color=GREY)
    box = alt.Chart(alt.NamedData("box")).mark_rect(
        fill=GREY, fillOpacity=0.1, stroke=GREY, strokeWidth=1.5, strokeDash=[4, 3]
    )
    rules = alt.Chart(alt.NamedData("rules")).mark_rule(strokeDash=[5, 4], color=GREY)
    parts = [
        box.encode(x=x, x2="x2:Q", y=y, y2="y2:Q"),
        rules.encode(x=x),
        rules.encode(x=x, x2="end:Q", y=y),
        *(_lit(x, y, few) if "lit" in more else []),
        points.add_params(*params),
        ring,
        # Last: Vega-Lite fails where the layer of the selections is not before them.
        *(_names(x, y) if "names" in more else []),
        *(_arrows(x, y) if "arrows" in more else []),
    ]
    return chart_form(alt.layer(*parts), 620 if seen else 560)


def _view(seen: Seen) -> Any:
    """Return what the wheel and dragging with Shift change."""
    left, right, low, high = seen.start
    return alt.selection_interval(
        name="view",
        bind="scales",
        encodings=["x", "y"],
        translate=_MOVES,
        value={"x": [left, right], "y": [low, high]},
    )


def _lit(x: alt.X, y: alt.Y, few: bool) -> list[Any]:
    """Return a ring below each dot that is lit up."""
    base = alt.Chart(alt.NamedData("lit")).encode(x=x, y=y)
    return [
        base.mark_point(shape="circle", size=150 if few else 90, color=colour, strokeWidth=width)
        for colour, width in ((INK, 4), (_LIT, 2.5))
    ]


# How many times nearer than the whole map, in the browser; a narrow map has room for fewer names.
_TIMES = "datum.whole / abs(domain('x')[1] - domain('x')[0])"
_START = "(width < 600 ? datum.start_narrow : datum.start)"
_NAMED = f"{_TIMES} >= {_START} && {_TIMES} < datum.stop ? datum.name : ''"


def _names(x: alt.X, y: alt.Y) -> list[Any]:
    """Return the names of regions, each where the map is near enough, on a ground of their own.

    A text that is empty has no place either, so that what lies below it can be clicked.
    """
    base = alt.Chart(alt.NamedData("names")).encode(x=x, y=y)
    options: dict[str, Any] = {
        "text": alt.ExprRef(_NAMED),
        "fontSize": alt.ExprRef("datum.zoom == 0 ? 15 : datum.zoom == 1 ? 13 : 12"),
        "fontWeight": alt.ExprRef("!datum.named ? 400 : datum.zoom == 2 ? 600 : 700"),
        "opacity": alt.ExprRef("datum.named ? 1 : 0.75"),
        "lineHeight": alt.ExprRef("datum.zoom == 0 ? 18 : 15"),
        "lineBreak": "\n",
        "tooltip": None,
    }
    halo = base.mark_text(stroke=GROUND, strokeWidth=5, strokeJoin="round", **options)
    return [halo, base.mark_text(color=INK, **options)]


# Clockwise from upwards, in pixels: the width is only known in the browser.
_ANGLE = (
    "atan2(scale('x', datum.x2) - scale('x', datum.x), "
    "scale('y', datum.y) - scale('y', datum.y2)) * 180 / PI"
)


def _arrows(x: alt.X, y: alt.Y) -> list[Any]:
    """Return lines with heads, solid to the factor and dashed from it."""
    base = alt.Chart(alt.NamedData("arrows"))
    tip = [
        alt.Tooltip("way:N", title="way"),
        alt.Tooltip("name:N", title="factor"),
        alt.Tooltip("share:Q", title="share", format="+.0%"),
    ]
    dash = alt.Scale(domain=["made from", "goes into"], range=[[1, 0], [6, 4]])
    width = alt.Size("size:Q", scale=alt.Scale(range=[1, 4], zero=True), legend=None)
    lines = base.mark_rule(color=INK, opacity=0.85).encode(
        x=x,
        y=y,
        x2="x2:Q",
        y2="y2:Q",
        size=width,
        strokeDash=alt.StrokeDash("way:N", scale=dash, legend=alt.Legend(orient="top", title=None)),
        tooltip=tip,
    )
    heads = base.mark_point(
        shape="triangle-up", filled=True, color=INK, opacity=1, angle=alt.ExprRef(_ANGLE)
    ).encode(x="head_x:Q", y="head_y:Q", size=alt.value(110), tooltip=tip)
    return [lines, heads]


def _axes(axes: tuple[str, str] | None, steps: tuple[float, ...]) -> tuple[alt.X, alt.Y]:
    if axes is None:
        scale = alt.Scale(zero=False, nice=False, padding=12)
        return alt.X("x:Q", axis=None, scale=scale), alt.Y("y:Q", axis=None, scale=scale)
    if not steps:
        many = alt.Scale(type="log", nice=False, padding=12)
        return (
            alt.X("x:Q", title=axes[0], scale=many, axis=alt.Axis(format="~g", grid=False)),
            alt.Y("y:Q", title=axes[1], axis=alt.Axis(format="%"), scale=alt.Scale(zero=True)),
        )
    across = alt.Axis(values=list(steps), format=".2f", grid=False)
    width = min(np.diff(steps)) / 2 if len(steps) > 1 else 0.2
    domain = alt.Scale(domain=[steps[0] - width, steps[-1] + width], nice=False)
    return (
        alt.X("x:Q", title=axes[0], axis=across, scale=domain),
        alt.Y("y:Q", title=axes[1], axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
    )


def _colour(colour: str, dark: bool) -> alt.Color:
    if colour == "level":
        return level_colour(alt.Legend(orient="top", title=None))
    # The end of the scheme that is near the background is left out.
    scheme = alt.SchemeParams(name="viridis", extent=[0.4, 1.0] if dark else [0.0, 0.6])
    if colour == "peak":
        legend = alt.Legend(
            orient="top", title="peaks at layer", gradientLength=180, tickMinStep=1, format="d"
        )
        return alt.Color("peak:Q", scale=alt.Scale(scheme=scheme), legend=legend)
    legend = alt.Legend(
        orient="top", title="density", gradientLength=180, format=".2~%", tickCount=4
    )
    return alt.Color("density:Q", scale=alt.Scale(type="log", scheme=scheme), legend=legend)


# Five stops of viridis, as the map colours numbers.
_VIRIDIS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
_LEVELS = {"low": "#0072B2", "mid": "#00795A", "high": "#A6417F"}
MOST_MARKS = 2000  # that Streamlit draws as SVG
_SIDE = 900  # pixels of the map's width and height
_MARGIN = 20


def map_svg(dots: pd.DataFrame, colour: str) -> str:
    """Return a map as SVG; ``dots`` has x, y, name, level, peak and density, ``colour`` is one of
    the last three.
    """
    ends = [(dots[axis].min(), dots[axis].max()) for axis in ("x", "y")]
    across, up = (
        (dots[axis] - low) / (high - low or 1) * (_SIDE - 2 * _MARGIN) + _MARGIN
        for axis, (low, high) in zip(("x", "y"), ends, strict=True)
    )
    sink = StringIO()
    sink.write(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}" '
        'role="img" aria-label="Map of factors"><rect width="100%" height="100%" fill="#FFFFFF"/>\n'
    )
    radius = 3 if len(dots) <= 3000 else 1.8
    for x, y, fill, name in zip(across, up, _fills(dots, colour), dots["name"], strict=True):
        sink.write(
            f'<circle cx="{x:.1f}" cy="{_SIDE - y:.1f}" r="{radius}" fill="{fill}" '
            f'fill-opacity="0.65" aria-label={quoteattr(str(name))}/>\n'
        )
    sink.write("</svg>\n")
    return sink.getvalue()


def _fills(dots: pd.DataFrame, colour: str) -> list[str]:
    if colour == "level":
        return [_LEVELS.get(level, "#6A6F76") for level in dots["level"]]
    values = dots[colour].to_numpy(float)
    if colour == "density":
        values = np.log(np.maximum(values, 1e-9))
    low, high = values.min(), values.max()
    # As on the page in the light theme, the end of the scheme that is near white is left out.
    share = (values - low) / ((high - low) or 1) * 0.6
    stops = np.linspace(0, 1, len(_VIRIDIS))
    mixed = np.stack([np.interp(share, stops, channel) for channel in _VIRIDIS.T], axis=1)
    return [f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in mixed.round().astype(int)]
