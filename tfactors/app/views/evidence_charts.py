"""The chart of a table of evidence, as the table says: a line a series, with error bars.

Turns a table's rows and what its file says of its columns into one chart. The form depends on the
file, so it is made anew each time and not kept.
"""

from typing import Any

import altair as alt
import pandas as pd

from tfactors.app.parts.charts import (
    GREY,
    chart_form,
    draw_chart,
    legend_height,
    line_dashes,
    line_legend,
)
from tfactors.bundle.evidence import Chart, Column

_FORMATS = {"count": ",d", "share": ".1%", "number": ".3f", "small": ".1e", "text": ""}
_MOST_TIPS = 10


def table_chart(
    frame: pd.DataFrame, chart: Chart, columns: dict[str, Column], **options: Any
) -> Any:
    """Draw the chart of a table; ``columns`` are all of the table's, by name."""
    x, y = columns[chart.x], columns[chart.y]
    base: Any = alt.Chart(alt.NamedData("rows")).encode(
        x=_across(x, chart.log), tooltip=[_tip(column) for column in columns.values()][:_MOST_TIPS]
    )
    lines = list(dict.fromkeys(frame[chart.series].dropna())) if chart.series else []
    if chart.series:
        base = base.encode(
            color=alt.Color(
                f"{chart.series}:N",
                title=None,
                scale=alt.Scale(domain=lines),
                legend=line_legend(),
            ),
            strokeDash=alt.StrokeDash(f"{chart.series}:N", scale=line_dashes(lines), legend=None),
        )
    vertical = alt.Y(
        f"{y.name}:Q",
        title=y.label,
        scale=alt.Scale(zero=False),
        axis=alt.Axis(format="~%" if y.form == "share" else "~g", tickCount=5),
    )
    marks = [
        base.mark_line(strokeWidth=2.2).encode(y=vertical),
        base.mark_point(filled=True, size=60, opacity=1).encode(y=vertical),
    ]
    if chart.low and chart.high:
        plain = {} if chart.series else {"color": GREY}
        bars = base.mark_rule(opacity=0.6, **plain)
        marks = [bars.encode(y=f"{chart.low}:Q", y2=f"{chart.high}:Q"), *marks]
    form = chart_form(alt.layer(*marks), 320 + legend_height(len(lines)))
    return draw_chart(form, {"rows": frame.dropna(subset=[x.name, y.name])}, **options)


def _across(x: Column, log: bool) -> alt.X:
    if x.form == "text":
        axis = alt.Axis(labelAngle=0, grid=False)
        return alt.X(f"{x.name}:O", title=x.label, scale=alt.Undefined, axis=axis, sort=None)
    scale = alt.Scale(type="log", nice=False) if log else alt.Undefined
    axis = alt.Axis(grid=False, format="~g" if x.form != "share" else "~%", tickCount=6)
    return alt.X(f"{x.name}:Q", title=x.label, scale=scale, axis=axis, sort=None)


def _tip(column: Column) -> alt.Tooltip:
    if column.form == "text":
        return alt.Tooltip(f"{column.name}:N", title=column.label)
    return alt.Tooltip(f"{column.name}:Q", title=column.label, format=_FORMATS[column.form])
