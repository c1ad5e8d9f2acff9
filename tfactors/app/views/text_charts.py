"""The charts of a reader's own text: tokens by layers, and factors against λ."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from tfactors.app.frame.controls import MEASURES
from tfactors.app.parts.charts import (
    GREY,
    chart_form,
    draw_chart,
    legend_height,
    line_dashes,
    line_legend,
)
from tfactors.display.passages import from_right


def token_map(cells: pd.DataFrame, title: str, **options: Any) -> Any:
    """Draw tokens by layers; ``cells`` has layer, position, token ("17 left"), value, chosen.

    A click selects position and layer under ``pick``. Tokens of a script that is written from right
    to left stand so.
    """
    form = _token_map(title, from_right("".join(cells["token"])))
    return draw_chart(form, {"cells": cells}, selection_mode="pick", **options)


@lru_cache(8)
def _token_map(title: str, leftwards: bool) -> str:
    pick = alt.selection_point(name="pick", fields=["position", "layer"], on="click", empty=False)
    number = ".0%" if title == MEASURES["explained"] else ".3~g"
    # The number before the token keeps equal tokens apart; readers need not see it.
    label = "substring(datum.label, indexof(datum.label, ' ') + 1)"
    across = alt.Axis(labelExpr=label, labelAngle=-50, labelOverlap=False)
    scale = alt.Scale(reverse=True) if leftwards else alt.Undefined
    base = alt.Chart(alt.NamedData("cells")).encode(
        x=alt.X("token:N", sort=None, title=None, axis=across, scale=scale),
        y=alt.Y("layer:O", sort="descending", title="layer", axis=alt.Axis(grid=False)),
        tooltip=[
            alt.Tooltip("token:N"),
            alt.Tooltip("layer:O"),
            alt.Tooltip("value:Q", format=number, title=title),
        ],
    )
    gradient = alt.Legend(orient="top", title=title, gradientLength=160, format=number)
    cells = base.mark_rect(cursor="pointer").encode(color=alt.Color("value:Q", legend=gradient))
    frame = base.transform_filter("datum.chosen").mark_rect(
        filled=False, strokeWidth=3, stroke="#D9A400"
    )
    return chart_form(alt.layer(cells.add_params(pick), frame), 370)


def penalty_path(rows: pd.DataFrame, order: list[str], penalty: float, **options: Any) -> Any:
    """Draw coefficients against λ; ``rows`` has penalty, activation and name, one of ``order``."""
    tables = {"path": rows, "here": pd.DataFrame({"penalty": [penalty]})}
    return draw_chart(_penalty_path(tuple(order)), tables, **options)


@lru_cache(64)
def _penalty_path(order: tuple[str, ...]) -> str:
    x = _penalty_axis()
    lines = (
        alt.Chart(alt.NamedData("path"))
        .mark_line(strokeWidth=2.2)
        .encode(
            x=x,
            y=alt.Y("activation:Q", title="activation", scale=alt.Scale(type="sqrt")),
            color=alt.Color(
                "name:N", title=None, scale=alt.Scale(domain=list(order)), legend=line_legend()
            ),
            strokeDash=alt.StrokeDash("name:N", scale=line_dashes(order), legend=None),
            tooltip=[
                alt.Tooltip("name:N", title="factor"),
                alt.Tooltip("penalty:Q", format=".3~g"),
                alt.Tooltip("activation:Q", format=".2f"),
            ],
        )
    )
    return chart_form(alt.layer(lines, _line_at_penalty(x)), 300 + legend_height(len(order)))


def fit_curve(rows: pd.DataFrame, column: str, penalty: float, **options: Any) -> Any:
    """Draw ``l0`` or ``explained`` against λ; ``rows`` has penalty and the column."""
    frame = rows[["penalty"]].assign(value=rows[column])
    tables = {"fit": frame, "here": pd.DataFrame({"penalty": [penalty]})}
    return draw_chart(_fit_curve(column), tables, **options)


@lru_cache(2)
def _fit_curve(column: str) -> str:
    share = column == "explained"
    number = ".0%" if share else ".0f"
    scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(type="symlog")
    axis = alt.Axis(format="%" if share else "~s", tickCount=4)
    base = alt.Chart(alt.NamedData("fit")).encode(
        x=_penalty_axis(),
        y=alt.Y("value:Q", title=None, scale=scale, axis=axis),
        tooltip=[
            alt.Tooltip("penalty:Q", format=".3~g", title="λ"),
            alt.Tooltip("value:Q", format=number, title="explained" if share else "active"),
        ],
    )
    marks = [base.mark_line(strokeWidth=2.2), base.mark_point(filled=True, size=28, opacity=1)]
    return chart_form(alt.layer(*marks, _line_at_penalty(_penalty_axis())), 130)


def _penalty_axis() -> alt.X:
    return alt.X(
        "penalty:Q",
        title="λ",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(grid=False, format="~g"),
    )


def _line_at_penalty(x: alt.X) -> alt.Chart:
    rule = alt.Chart(alt.NamedData("here")).mark_rule(strokeDash=[3, 3], color=GREY)
    return rule.encode(x=x)
