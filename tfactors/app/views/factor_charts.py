"""The charts of the Factor page alone: what decides, what context keeps, and in which decades."""

from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from tfactors.app.parts.charts import (
    GREY,
    INK,
    WORDS,
    chart_form,
    draw_chart,
    larger_where,
    level_colour,
)

_NEAR = 0.1  # of the axis of shares: words of two lines nearer than this would overlap


def importance_and_low(
    band: pd.DataFrame, values: np.ndarray, low_until: float, level: str, **options: Any
) -> Any:
    """Draw importance by layer; layers up to ``low_until`` are shaded, the peak is marked.

    Layers lie on a line here, not in boxes, so that the threshold can fall between two of them.
    ``values`` (L,) is in the order of ``band["layer"]``.
    """
    frame = pd.DataFrame({"layer": band["layer"], "importance": values, "level": level or "low"})
    frame["peak"] = frame.index == int(np.argmax(values))
    first = float(frame["layer"].min())
    rule = pd.DataFrame(
        {"from": [first], "to": [max(low_until, first)], "what": ["low up to here"]}
    )
    return draw_chart(_importance_and_low(), {"curve": frame, "rule": rule}, **options)


@cache
def _importance_and_low() -> str:
    axis = alt.Axis(labelAngle=0, grid=False, tickMinStep=1, format="d")
    base = alt.Chart(alt.NamedData("curve")).encode(
        x=alt.X("layer:Q", title="layer", axis=axis),
        y=alt.Y("importance:Q", title="importance"),
        color=level_colour(),
        tooltip=[alt.Tooltip("layer:Q"), alt.Tooltip("importance:Q", format=".3f")],
    )
    rule = alt.Chart(alt.NamedData("rule"))
    shade = rule.mark_rect(color=GREY, opacity=0.12).encode(x="from:Q", x2="to:Q")
    edge = rule.mark_rule(color=GREY, strokeDash=[4, 4]).encode(x="to:Q")
    words = rule.mark_text(align="left", dx=5, color=WORDS, fontSize=12).encode(
        x="to:Q", y=alt.value(10), text="what:N"
    )
    points = base.mark_point(filled=True, opacity=1).encode(size=larger_where("peak"))
    return chart_form(alt.layer(shade, edge, words, base.mark_line(strokeWidth=2.5), points), 260)


def retention_curve(
    radii: pd.DataFrame, sentence: float, high_below: float | None, level: str, **options: Any
) -> Any:
    """Draw the share of activation that is left, by tokens of context.

    Parameters
    ----------
    radii
        Columns radius, in tokens, and retained.
    sentence
        What the word's own sentence keeps.
    high_below
        The threshold of that, if there is one.
    level
        Gives the colour.
    options
        As of :func:`tfactors.app.parts.charts.draw_chart`.
    """
    frame = radii[["radius", "retained"]].copy()
    frame["level"] = level or "low"
    what = ["its own sentence", "reach: 80%", "high: sentence below this"]
    rules = pd.DataFrame({"retained": [sentence, 0.8, high_below], "what": what})
    rules = rules.dropna().sort_values("retained", ascending=False, ignore_index=True)
    # Words stand above their line, below it where the line above is too near.
    rules["below"] = (rules["retained"].shift(1, fill_value=9) - rules["retained"] < _NEAR) * 1
    return draw_chart(_retention_curve(), {"kept": frame, "rules": rules}, **options)


@cache
def _retention_curve() -> str:
    y = alt.Y("retained:Q", title="kept", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    base = alt.Chart(alt.NamedData("kept")).encode(
        x=alt.X("radius:O", title="tokens of context", axis=alt.Axis(labelAngle=0)),
        y=y,
        color=level_colour(),
        tooltip=[alt.Tooltip("radius:O"), alt.Tooltip("retained:Q", format=".0%")],
    )
    rules = alt.Chart(alt.NamedData("rules")).encode(y=y)
    words = rules.encode(text="what:N", x=alt.value(0))
    parts = [
        rules.mark_rule(strokeDash=[4, 4], color=GREY),
        base.mark_line(strokeWidth=2.5),
        base.mark_point(filled=True, size=70, opacity=1),
        *(
            words.transform_filter(f"datum.below == {below}").mark_text(
                align="left", dx=4, dy=9 if below else -9, color=WORDS, fontSize=12
            )
            for below in (0, 1)
        ),
    ]
    return chart_form(alt.layer(*parts), 260)


_LEVEL_OF_PART = {"word": "low", "sentence": "mid", "window": "high"}
_NARROW = 0.1  # of the bar: words would not fit above a part that is smaller


def deciding_parts(parts: dict[str, float], **options: Any) -> Any:
    """Draw one bar cut into parts that sum to 1, each in the colour of the level it stands for.

    Parameters
    ----------
    parts
        The shares of word, sentence, window and rest; the rest is grey.
    options
        As of :func:`tfactors.app.parts.charts.draw_chart`.
    """
    share = np.array(list(parts.values()))
    ends = np.cumsum(share)
    frame = pd.DataFrame({"part": list(parts), "share": share, "from": ends - share, "to": ends})
    frame["middle"] = (frame["from"] + frame["to"]) / 2
    frame["level"] = frame["part"].map(_LEVEL_OF_PART)
    labels = [f"{part} {value:.0%}" for part, value in parts.items()]
    frame["label"] = np.where(share >= _NARROW, labels, "")
    return draw_chart(_deciding_parts(), {"parts": frame}, **options)


@cache
def _deciding_parts() -> str:
    scale = alt.Scale(domain=[0, 1], nice=False)
    x = alt.X("from:Q", scale=scale, axis=None)  # the parts tell their numbers
    base = alt.Chart(alt.NamedData("parts")).encode(
        x=x, tooltip=[alt.Tooltip("part:N"), alt.Tooltip("share:Q", format=".1%")]
    )
    bars = base.mark_rect().encode(x2="to:Q", y=alt.value(22), y2=alt.value(52))
    named = bars.transform_filter("datum.level != null").encode(color=level_colour())
    rest = bars.transform_filter("datum.level == null").mark_rect(color=GREY, opacity=0.35)
    words = base.mark_text(color=WORDS, fontSize=12).encode(
        x=alt.X("middle:Q", scale=scale), y=alt.value(10), text="label:N"
    )
    return chart_form(alt.layer(named, rest, words), 56)


def decade_bars(frame: pd.DataFrame, level: str, **options: Any) -> Any:
    """Draw shares by decade; ``frame`` has decade, observed and expected."""
    return draw_chart(_decade_bars(), {"decades": frame.assign(level=level or "low")}, **options)


@cache
def _decade_bars() -> str:
    base = alt.Chart(alt.NamedData("decades")).encode(
        x=alt.X("decade:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        tooltip=[
            alt.Tooltip("decade:O"),
            alt.Tooltip("observed:Q", format=".1%", title="of the examples"),
            alt.Tooltip("expected:Q", format=".1%", title="of the corpus"),
        ],
    )
    y = alt.Y("observed:Q", title="share", axis=alt.Axis(format="%"))
    bars = base.mark_bar(opacity=0.8).encode(y=y, color=level_colour())
    ticks = base.mark_tick(color=INK, thickness=2).encode(y="expected:Q")
    return chart_form(alt.layer(bars, ticks), 220)
