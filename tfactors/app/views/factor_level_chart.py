"""The chart of the rule of levels: importance over the layers, and the depth where low ends.

In go a factor's importance and the band of all factors, out comes a chart in the look of
`tfactors.app.parts.charts`. Layers lie on a line here, not in boxes, so that a threshold can fall
between two of them.
"""

from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from tfactors.app.parts import charts


def importance(
    band: pd.DataFrame, values: np.ndarray, low_until: float, level: str, **shown: Any
) -> Any:
    """Draw importance by layer; layers up to ``low_until`` are shaded, the peak is marked.

    ``values`` (L,) is in the order of ``band["layer"]``.
    """
    frame = pd.DataFrame({"layer": band["layer"], "importance": values, "level": level or "low"})
    frame["peak"] = frame.index == int(np.argmax(values))
    first = float(frame["layer"].min())
    rule = pd.DataFrame(
        {"from": [first], "to": [max(low_until, first)], "what": ["low up to here"]}
    )
    return charts.draw(_importance(), {"curve": frame, "rule": rule}, **shown)


@cache
def _importance() -> str:
    axis = alt.Axis(labelAngle=0, grid=False, tickMinStep=1, format="d")
    base = alt.Chart(alt.NamedData("curve")).encode(
        x=alt.X("layer:Q", title="layer", axis=axis),
        y=alt.Y("importance:Q", title="importance"),
        color=alt.Color("level:N", scale=alt.Scale(domain=charts.LEVELS), legend=None),
        tooltip=[alt.Tooltip("layer:Q"), alt.Tooltip("importance:Q", format=".3f")],
    )
    rule = alt.Chart(alt.NamedData("rule"))
    shade = rule.mark_rect(color=charts.GREY, opacity=0.12).encode(x="from:Q", x2="to:Q")
    edge = rule.mark_rule(color=charts.GREY, strokeDash=[4, 4]).encode(x="to:Q")
    words = rule.mark_text(align="left", dx=5, color=charts.WORDS, fontSize=12).encode(
        x="to:Q", y=alt.value(10), text="what:N"
    )
    points = base.mark_point(filled=True, opacity=1).encode(
        size=alt.condition("datum.peak", alt.value(210), alt.value(60))
    )
    return charts.form(alt.layer(shade, edge, words, base.mark_line(strokeWidth=2.5), points), 260)
