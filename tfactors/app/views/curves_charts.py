"""The chart of a few factors' curves over the band of all."""

from functools import lru_cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from tfactors.app.parts.charts import (
    chart_form,
    draw_chart,
    layer_axis,
    legend_height,
    line_dashes,
    line_legend,
)
from tfactors.app.parts.factor_charts import band_of_all_factors


def importance_curves(
    band: pd.DataFrame,
    values: dict[int, np.ndarray],
    names: dict[int, str],
    title: str,
    legend: bool = True,
    **options: Any,
) -> Any:
    """Draw the curves of some factors over the band of all.

    A click on a point selects factor and layer under the name ``pick``.

    Parameters
    ----------
    band
        Columns layer, low, middle and high: quantiles of all factors.
    values
        By factor, (L,), in the order of ``band["layer"]``.
    names
        By factor.
    title
        Of the upright axis.
    legend
        Whether the names stand above; they are on the points' tips as well.
    options
        As of :func:`tfactors.app.parts.charts.draw_chart`.
    """
    layers = band["layer"].to_numpy()
    frame = pd.DataFrame(
        {
            "factor": np.repeat(np.array(list(values), int), len(layers)),
            "layer": np.tile(layers, len(values)),
            "value": np.concatenate([*values.values(), np.empty(0)]),
        }
    )
    frame["name"] = frame["factor"].map(names)
    form = _importance_curves(tuple(names[factor] for factor in values), title, legend)
    return draw_chart(form, {"curves": frame, "band": band}, selection_mode="pick", **options)


@lru_cache(64)
def _importance_curves(order: tuple[str, ...], title: str, legend: bool) -> str:
    x = layer_axis()
    hover = alt.selection_point(fields=["factor"], on="pointerover", empty=False, name="hover")
    pick = alt.selection_point(name="pick", fields=["factor", "layer"], on="click", empty=False)
    base = alt.Chart(alt.NamedData("curves")).encode(
        x=x,
        y=alt.Y("value:Q", title=title),
        color=alt.Color(
            "name:N",
            title=None,
            scale=alt.Scale(domain=list(order)),
            legend=line_legend() if legend else None,
        ),
    )
    line = base.mark_line().encode(
        strokeDash=alt.StrokeDash("name:N", scale=line_dashes(order), legend=None),
        strokeWidth=alt.when(hover).then(alt.value(4.5)).otherwise(alt.value(2.2)),
    )
    points = base.mark_point(filled=True, opacity=1, cursor="pointer").encode(
        size=alt.when(hover).then(alt.value(140)).otherwise(alt.value(75)),
        tooltip=[
            alt.Tooltip("name:N", title="factor"),
            alt.Tooltip("layer:O"),
            alt.Tooltip("value:Q", format=".3f", title=title),
        ],
    )
    parts = [*band_of_all_factors(x), line, points.add_params(hover, pick)]
    return chart_form(alt.layer(*parts), 320 + (legend_height(len(order)) if legend else 0))
