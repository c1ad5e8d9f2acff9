"""The drawing of what an activation comes from: circles, squares and diamonds, and lines between.

Turns the tables of :mod:`tfactors.app.views.origins_layout` into a chart. A circle is a factor, a
square a word, a diamond a rest, a triangle the mean state; what raises is a solid line, what lowers
a dashed one of another colour.
"""

from functools import lru_cache
from typing import Any

import altair as alt
import streamlit as st

from tfactors.app.parts.charts import GREY, INK, WORDS, chart_form, draw_chart
from tfactors.app.views.origins_layout import KINDS, NARROW, START, Drawing
from tfactors.display.passages import from_right

_LETTER = 6  # pixels that a letter of a token, written aslant, reaches down
_ABOVE, _UNDER = 0.7, 0.5  # rows over the middle of the highest one, and under that of the lowest
_LOWERS = ("#B85000", "#F0A35E")  # on the light ground and on the dark one
_CIRCLE = ("#1F5FA8", "#7DB7EC")


def row_height(layers: int) -> int:
    """Return the pixels that a layer takes up."""
    return 96 if layers <= 4 else 84 if layers <= 7 else 62


def origins(drawing: Drawing, **options: Any) -> Any:
    """Draw it; a click on a circle selects factor and layer under ``pick``."""
    dark = st.context.theme.type == "dark"
    tables = {
        "tokens": drawing.tokens,
        "rows": drawing.rows,
        "nodes": drawing.nodes,
        "edges": drawing.edges,
    }
    form = _origins(
        len(drawing.tokens),
        len(drawing.rows),
        max(map(len, drawing.tokens["token"])),
        from_right("".join(drawing.tokens["token"])),
        dark,
    )
    return draw_chart(form, tables, selection_mode="pick", **options)


@lru_cache(32)
def _origins(columns: int, layers: int, letters: int, leftwards: bool, dark: bool) -> str:
    height = row_height(layers)
    below = _UNDER + (20 + _LETTER * letters) / height
    # Room for the names of the layers, which are as wide however many columns there are.
    left = START - 0.8 - columns * (0.12 if columns <= NARROW else 0.07)
    across = alt.Scale(domain=[left, columns - 0.3], nice=False, zero=False, reverse=leftwards)
    up = alt.Scale(domain=[-below, layers - 1 + _ABOVE], nice=False, zero=False)
    x, y = (
        alt.X("x:Q", scale=across, axis=None),
        alt.Y("y:Q", scale=up, axis=None),
    )
    parts = [
        *_grid(x, up, left, leftwards),
        _lines(x, y, dark),
        *_marks(x, y, dark),
        *_names(x, y),
    ]
    chart = alt.layer(*parts).properties(usermeta={"embedOptions": {"renderer": "svg"}})
    pixels = height * (layers - 1 + _ABOVE + below)
    return chart_form(chart, round(pixels))


def _grid(x: alt.X, up: alt.Scale, left: float, leftwards: bool) -> list[Any]:
    """Return the names of layers and tokens, and a line under each layer."""
    rows = alt.Chart(alt.NamedData("rows"))
    layer = rows.mark_text(
        align="right" if leftwards else "left", color=WORDS, fontSize=12, fontWeight=600
    ).encode(
        x=alt.XDatum(left + 0.05, type="quantitative", axis=None),
        y=alt.Y("y:Q", scale=up, axis=None),
        text="layer:N",
    )
    line = rows.transform_calculate(y=f"datum.y - {_UNDER}").mark_rule(color=GREY, opacity=0.3)
    tokens = alt.Chart(alt.NamedData("tokens")).mark_text(
        angle=305, align="right", baseline="middle", color=INK, fontSize=12, dy=6
    )
    start = alt.YDatum(-_UNDER, type="quantitative", axis=None)
    return [
        line.encode(y=alt.Y("y:Q", scale=up, axis=None)),
        layer,
        tokens.encode(x=x, y=start, text="token:N"),
    ]


def _lines(x: alt.X, y: alt.Y, dark: bool) -> Any:
    """Return the edges: as thick as what flows over them, dashed where they lower."""
    signs = ["raises it", "lowers it"]
    legend = alt.Legend(orient="top", title=None, symbolType="stroke", symbolSize=500, offset=2)
    return (
        alt.Chart(alt.NamedData("edges"))
        .mark_rule(opacity=0.55, strokeCap="butt")
        .encode(
            x=x,
            y=y,
            x2="x2:Q",
            y2="y2:Q",
            color=alt.Color(
                "sign:N", scale=alt.Scale(domain=signs, range=[GREY, _LOWERS[dark]]), legend=legend
            ),
            strokeDash=alt.StrokeDash(
                "sign:N", scale=alt.Scale(domain=signs, range=[[1, 0], [5, 3]]), legend=legend
            ),
            strokeWidth=alt.StrokeWidth(
                "flow:Q", scale=alt.Scale(domain=[0, 1], range=[0.7, 30]), legend=None
            ),
            tooltip=[
                alt.Tooltip("source:N", title="from"),
                alt.Tooltip("target:N", title="to"),
                alt.Tooltip("share:Q", format="+.1%", title="of its activation"),
                alt.Tooltip("flow:Q", format=".1%", title="of all"),
            ],
        )
    )


def _marks(x: alt.X, y: alt.Y, dark: bool) -> list[Any]:
    """Return the nodes: ends first, factors over them, a ring around the asked one."""
    pick = alt.selection_point(name="pick", fields=["factor", "layer"], on="click", empty=False)
    ends = [kind for kind in KINDS if kind != "factor"]
    shape = alt.Scale(domain=ends, range=["square", "diamond", "triangle-up"])
    size = alt.Size("size:Q", scale=None, legend=None)
    tips = [
        alt.Tooltip("name:N", title="what"),
        alt.Tooltip("token:N", title="at"),
        alt.Tooltip("layer:O"),
        alt.Tooltip("carried:Q", format=".1%", title="carries"),
    ]
    nodes = alt.Chart(alt.NamedData("nodes")).encode(x=x, y=y, size=size)
    active = alt.Tooltip("activation:Q", format=".2f")
    circles = nodes.transform_filter("datum.kind == 'factor'").mark_point(
        filled=True, shape="circle", color=_CIRCLE[dark], opacity=1, cursor="pointer"
    )
    return [
        nodes.transform_filter("datum.kind != 'factor'")
        .mark_point(filled=True, color=WORDS)
        .encode(
            shape=alt.Shape("kind:N", scale=shape, legend=None),
            opacity=alt.Opacity("opacity:Q", scale=None, legend=None),
            tooltip=tips,
        ),
        circles.encode(tooltip=[*tips[:3], active, tips[3]]).add_params(pick),
        alt.Chart(alt.NamedData("nodes"))
        .transform_filter("datum.asked")
        .mark_point(size=1500, strokeWidth=2.5, stroke="#D9A400", filled=False)
        .encode(x=x, y=y),
    ]


def _names(x: alt.X, y: alt.Y) -> list[Any]:
    """Return the names beside the largest factors."""
    base = alt.Chart(alt.NamedData("nodes")).encode(x=x, y=y, text="label:N")
    return [
        base.transform_filter("datum.side == 'right'").mark_text(
            align="left", dx=alt.ExprRef("datum.reach"), color=INK, fontSize=12
        ),
        base.transform_filter("datum.side == 'left'").mark_text(
            align="right", dx=alt.ExprRef("-datum.reach"), color=INK, fontSize=12
        ),
    ]
