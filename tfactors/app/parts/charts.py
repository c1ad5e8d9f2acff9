"""The one place where a page's chart is made: its form, its colours, and its way onto the page.

Turns an Altair chart on named data into a form (JSON), and a form with its tables into a chart on
the page. Altair takes 50 ms to make a form, so it is made once and kept; a run of the page only
adds the tables. Colours are left to Streamlit's theme, whose first three are the levels low, mid
and high. The modules called ``…_charts`` say what is drawn, in functions named by what they draw.
"""

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

LEVELS = ["low", "mid", "high"]
GREY = "#8A9099"  # lines that are seen on both backgrounds, 3 to 1 at least
# Words need more contrast than any grey has on both: each has a partner for the dark background.
WORDS = "#5F646B"
INK = "#22262B"
GROUND = "#FDFCFA"  # of the page, around words that stand on marks
_ON_DARK = {WORDS: "#A9AFB6", INK: "#E8E5DF", GROUND: "#15181C"}
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]


def chart_form(chart: Any, height: int) -> str:
    """Turn an Altair chart on named data into JSON in our look, to be kept.

    Parameters
    ----------
    chart
        An Altair chart whose data are all :class:`altair.NamedData`.
    height
        Its height in pixels.
    """
    spec = chart.properties(height=height).to_dict(validate=False)
    words = {"labelColor": WORDS, "titleColor": WORDS}
    spec["config"] = spec.get("config", {}) | {"axis": words, "legend": words}
    return json.dumps(spec)


def draw_chart(form: str, tables: dict[str, pd.DataFrame], **options: Any) -> Any:
    """Draw a form with its tables, and return Streamlit's event.

    Parameters
    ----------
    form
        What :func:`chart_form` returned.
    tables
        The data by the names that the form gives them.
    options
        Passed on to ``st.vega_lite_chart``: ``alt``, its words for readers who cannot see it, and
        for a selection ``key`` and ``selection_mode``.
    """
    if st.context.theme.type == "dark":
        for light, dark in _ON_DARK.items():
            form = form.replace(light, dark)
    spec = json.loads(form) | {"datasets": tables}
    options.setdefault("height", spec["height"])  # kept free until the chart stands there
    if "key" in options:
        options["on_select"] = options.get("on_select", "rerun")
    else:
        options.pop("selection_mode", None)
    return st.vega_lite_chart(spec, **options)


def level_colour(legend: alt.Legend | None = None) -> alt.Color:
    """Return the colours of the levels, read from the column ``level``."""
    return alt.Color("level:N", scale=alt.Scale(domain=LEVELS), legend=legend)


def layer_axis() -> alt.X:
    """Return the axis of layers, a box each, read from the column ``layer``."""
    return alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, grid=False))


def larger_where(column: str) -> Any:
    """Return the size of points, larger where a column of truth values holds."""
    return alt.condition(f"datum.{column}", alt.value(210), alt.value(60))


def line_legend() -> alt.Legend:
    """Return a legend of lines below a chart, in as many columns as it has room for."""
    columns, longest = alt.ExprRef("width < 600 ? 2 : 3"), alt.ExprRef("min(210, width / 2 - 45)")
    return alt.Legend(
        orient="bottom", columns=columns, labelLimit=longest, symbolType="stroke", symbolSize=400
    )


def legend_height(lines: int) -> int:
    """Return how many pixels a :func:`line_legend` of so many lines takes."""
    return 22 * ((lines + 1) // 2)


def line_dashes(names: Sequence[str]) -> alt.Scale:
    """Return a dash for each line.

    No two of twelve lines share both dash and colour, of which there are eight, and neighbours
    never share a dash.
    """
    dashes = [_DASHES[(i + i // 8) % len(_DASHES)] for i in range(len(names))]
    return alt.Scale(domain=list(names), range=dashes)
