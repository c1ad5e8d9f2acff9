"""The charts of one factor: its importance over the layers, and how strong its activations are.

The band of all factors is three numbers a layer, so that a chart costs the same for 500 factors and
for 16,384.
"""

from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from tfactors.app.parts.charts import (
    GREY,
    chart_form,
    draw_chart,
    larger_where,
    layer_axis,
    level_colour,
)


def importance_curve(
    band: pd.DataFrame, values: np.ndarray, layer: int, level: str, **options: Any
) -> Any:
    """Draw one factor's importance over the layers, before the band of all factors.

    A click on a point selects its layer under the name ``pick``.

    Parameters
    ----------
    band
        Columns layer, low, middle and high: quantiles of all factors.
    values
        Importance, (L,), in the order of ``band["layer"]``.
    layer
        The layer to mark.
    level
        Gives the colour.
    options
        As of :func:`tfactors.app.parts.charts.draw_chart`.
    """
    frame = pd.DataFrame({"layer": band["layer"], "importance": values})
    frame["here"] = frame["layer"] == layer
    frame["level"] = level or "low"
    tables = {"curve": frame, "band": band}
    return draw_chart(_importance_curve(), tables, selection_mode="pick", **options)


@cache
def _importance_curve() -> str:
    x = layer_axis()
    pick = alt.selection_point(name="pick", fields=["layer"], on="click", empty=False)
    tip = [alt.Tooltip("layer:O"), alt.Tooltip("importance:Q", format=".3f")]
    base = alt.Chart(alt.NamedData("curve")).encode(x=x, y=alt.Y("importance:Q", title=None))
    line = base.mark_line(strokeWidth=2.5).encode(color=level_colour())
    points = base.mark_point(filled=True, opacity=1).encode(
        color=level_colour(), size=larger_where("here"), tooltip=tip
    )
    # A larger, invisible point on top of each, so that a finger can hit it.
    target = base.mark_point(size=700, opacity=0.001, filled=True, cursor="pointer")
    here = base.transform_filter("datum.here").mark_rule(strokeDash=[3, 3], color=GREY)
    parts = [*band_of_all_factors(x), here.encode(y=alt.Y()), line, points]
    return chart_form(alt.layer(*parts, target.encode(tooltip=tip).add_params(pick)), 200)


def band_of_all_factors(x: alt.X) -> list[alt.Chart]:
    """Return the area that holds 90% of all factors, and their median, of the table ``band``."""
    chart = alt.Chart(alt.NamedData("band")).encode(x=x)
    tip = [
        alt.Tooltip("layer:O"),
        alt.Tooltip("high:Q", format=".3f", title="95% of factors are below"),
        alt.Tooltip("middle:Q", format=".3f", title="median"),
        alt.Tooltip("low:Q", format=".3f", title="5% of factors are below"),
    ]
    return [
        chart.mark_area(color=GREY, opacity=0.18).encode(y="low:Q", y2="high:Q", tooltip=tip),
        chart.mark_line(color=GREY, strokeWidth=1, strokeDash=[4, 3]).encode(y="middle:Q"),
    ]


def activation_histogram(
    counts: np.ndarray, edges: np.ndarray, shown_from: float | None, level: str, **options: Any
) -> Any:
    """Draw how many tokens activate a factor how strongly; both axes are logarithmic.

    Parameters
    ----------
    counts
        Tokens, (bins,).
    edges
        The bins' ends, (bins + 1,).
    shown_from
        The smallest activation among the listed examples, which is marked.
    level
        Gives the colour.
    options
        As of :func:`tfactors.app.parts.charts.draw_chart`.
    """
    frame = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "tokens": counts})
    frame = frame[frame["tokens"] > 0]
    # The first bin may begin at 0, which a logarithmic axis does not have.
    smallest = float(frame["to"].min()) / 2
    frame["from"] = frame["from"].clip(lower=smallest)
    frame["level"] = level or "low"
    line = [shown_from] if shown_from is not None and shown_from > smallest else []
    tables = {"bins": frame, "line": pd.DataFrame({"from": np.array(line, float)})}
    return draw_chart(_activation_histogram(), tables, **options)


@cache
def _activation_histogram() -> str:
    x = alt.X(
        "from:Q",
        title="activation",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(grid=False, format="~g", tickCount=6),
    )
    y = alt.Y(
        "tokens:Q",
        title="tokens",
        scale=alt.Scale(type="log", domainMin=0.7),
        axis=alt.Axis(format="~s", tickCount=4, grid=False),
    )
    tip = [
        alt.Tooltip("from:Q", format=".3~g"),
        alt.Tooltip("to:Q", format=".3~g"),
        alt.Tooltip("tokens:Q", format=","),
    ]
    bars = alt.Chart(alt.NamedData("bins")).mark_rect(opacity=0.75)
    bars = bars.encode(x=x, x2="to:Q", y=y, y2=alt.datum(0.7), color=level_colour(), tooltip=tip)
    line = alt.Chart(alt.NamedData("line")).encode(x=x)
    return chart_form(alt.layer(bars, line.mark_rule(strokeDash=[3, 3], color=GREY)), 200)
