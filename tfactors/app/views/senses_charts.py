"""The chart of word senses: how well a word's occurrences separate at each layer, beside chance."""

from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from tfactors.app.parts.charts import (
    chart_form,
    draw_chart,
    larger_where,
    layer_axis,
    line_legend,
)


def silhouette_curve(
    layers: list[int], silhouettes: np.ndarray, chance: list[float], layer: int, **options: Any
) -> Any:
    """Draw silhouettes by layer, of a word's groups and by chance; ``layer`` is marked.

    ``silhouettes`` and ``chance`` are in the order of ``layers``.
    """
    frame = pd.DataFrame(
        {
            "layer": layers * 2,
            "silhouette": [*silhouettes, *chance],
            "what": ["this word"] * len(layers) + ["by chance"] * len(layers),
        }
    )
    frame["here"] = (frame["layer"] == layer) & (frame["what"] == "this word")
    return draw_chart(_silhouette_curve(), {"silhouettes": frame}, **options)


@cache
def _silhouette_curve() -> str:
    lines = ["this word", "by chance"]
    base = alt.Chart(alt.NamedData("silhouettes")).encode(
        x=layer_axis(),
        y=alt.Y("silhouette:Q", title="silhouette", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("what:N", title=None, scale=alt.Scale(domain=lines), legend=line_legend()),
        tooltip=[
            alt.Tooltip("what:N", title="of"),
            alt.Tooltip("layer:O"),
            alt.Tooltip("silhouette:Q", format=".2f"),
        ],
    )
    dash = alt.StrokeDash(
        "what:N", scale=alt.Scale(domain=lines, range=[[1, 0], [5, 4]]), legend=None
    )
    points = base.mark_point(filled=True, opacity=1).encode(size=larger_where("here"))
    return chart_form(alt.layer(base.mark_line().encode(strokeDash=dash), points), 230)
