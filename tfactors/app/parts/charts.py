"""The charts, in one look: Altair, coloured by Streamlit's theme, each with words for its alt text.

In go small tables, out come charts on the page. A chart's form is made by Altair once and kept as
JSON, because making it takes 50 ms; a run of the page only adds the tables, by name. Colours are
left to the theme (the first three are the levels low, mid and high). The band of all factors is
three numbers a layer, so that a chart costs the same for 500 factors and for 16,384.
"""

import json
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

LEVELS = ["low", "mid", "high"]
GREY = "#8A9099"  # lines that are seen on both backgrounds, 3 to 1 at least
# Words need more than any grey has on both: `draw` puts the second of each pair on the dark ground.
WORDS = "#5F646B"
INK = "#22262B"
_ON_DARK = {WORDS: "#A9AFB6", INK: "#E8E5DF"}
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]
_NEAR = 0.1  # of the axis of shares: words of two lines nearer than this would overlap
_LEVEL_SCALE = alt.Scale(domain=LEVELS)


def curve(band: pd.DataFrame, values: np.ndarray, layer: int, level: str, **shown: Any) -> Any:
    """Draw one factor's importance over the layers, before the band of all factors.

    ``values`` (L,) is in the order of ``band["layer"]``; ``layer`` is marked. A click on a point
    selects its layer under the name ``pick``.
    """
    frame = pd.DataFrame({"layer": band["layer"], "importance": values})
    frame["here"] = frame["layer"] == layer
    frame["level"] = level or "low"
    return draw(_curve(), {"curve": frame, "band": band}, selection_mode="pick", **shown)


@cache
def _curve() -> str:
    x = _layer_axis()
    pick = alt.selection_point(name="pick", fields=["layer"], on="click", empty=False)
    colour = alt.Color("level:N", scale=_LEVEL_SCALE, legend=None)
    tip = [alt.Tooltip("layer:O"), alt.Tooltip("importance:Q", format=".3f")]
    base = alt.Chart(alt.NamedData("curve")).encode(x=x, y=alt.Y("importance:Q", title=None))
    line = base.mark_line(strokeWidth=2.5).encode(color=colour)
    points = base.mark_point(filled=True, opacity=1).encode(
        color=colour,
        size=alt.condition("datum.here", alt.value(210), alt.value(60)),
        tooltip=tip,
    )
    # A larger, invisible point on top of each, so that a finger can hit it.
    target = base.mark_point(size=700, opacity=0.001, filled=True, cursor="pointer")
    here = base.transform_filter("datum.here").mark_rule(strokeDash=[3, 3], color=GREY)
    parts = [*_band(x), here.encode(y=alt.Y()), line, points]
    return form(alt.layer(*parts, target.encode(tooltip=tip).add_params(pick)), 200)


def curves(
    band: pd.DataFrame,
    values: dict[int, np.ndarray],
    names: dict[int, str],
    title: str,
    **shown: Any,
) -> Any:
    """Draw the curves of some factors over the band of all.

    ``values`` and ``names`` are by factor. A click selects factor and layer as ``pick``.
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
    kept = _curves(tuple(names[factor] for factor in values), title)
    return draw(kept, {"curves": frame, "band": band}, selection_mode="pick", **shown)


@lru_cache(64)
def _curves(order: tuple[str, ...], title: str) -> str:
    x = _layer_axis()
    hover = alt.selection_point(fields=["factor"], on="pointerover", empty=False, name="hover")
    pick = alt.selection_point(name="pick", fields=["factor", "layer"], on="click", empty=False)
    colour = alt.Color("name:N", title=None, scale=alt.Scale(domain=list(order)), legend=legend())
    dash = alt.StrokeDash("name:N", scale=dashes(order), legend=None)
    base = alt.Chart(alt.NamedData("curves")).encode(
        x=x, y=alt.Y("value:Q", title=title), color=colour
    )
    line = base.mark_line().encode(
        strokeDash=dash,
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
    rows = (len(order) + 1) // 2  # of the legend
    return form(alt.layer(*_band(x), line, points.add_params(hover, pick)), 320 + 22 * rows)


def histogram(
    counts: np.ndarray, edges: np.ndarray, shown_from: float | None, level: str, **shown: Any
) -> Any:
    """Draw how many tokens activate a factor how strongly; both axes logarithmic.

    ``counts`` (bins,) lie between ``edges`` (bins + 1,). ``shown_from`` marks the smallest
    activation among the listed examples.
    """
    frame = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "tokens": counts})
    frame = frame[frame["tokens"] > 0]
    # The first bin may begin at 0, which a logarithmic axis does not have.
    smallest = float(frame["to"].min()) / 2
    frame["from"] = frame["from"].clip(lower=smallest)
    frame["level"] = level or "low"
    line = [shown_from] if shown_from is not None and shown_from > smallest else []
    tables = {"bins": frame, "line": pd.DataFrame({"from": np.array(line, float)})}
    return draw(_histogram(), tables, **shown)


@cache
def _histogram() -> str:
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
    bars = (
        alt.Chart(alt.NamedData("bins"))
        .mark_rect(opacity=0.75)
        .encode(
            x=x,
            x2="to:Q",
            y=y,
            y2=alt.datum(0.7),
            color=alt.Color("level:N", scale=_LEVEL_SCALE, legend=None),
            tooltip=[
                alt.Tooltip("from:Q", format=".3~g"),
                alt.Tooltip("to:Q", format=".3~g"),
                alt.Tooltip("tokens:Q", format=","),
            ],
        )
    )
    line = alt.Chart(alt.NamedData("line")).encode(x=x)
    return form(alt.layer(bars, line.mark_rule(strokeDash=[3, 3], color=GREY)), 200)


def retention(
    radii: pd.DataFrame, sentence: float, high_below: float | None, level: str, **shown: Any
) -> Any:
    """Draw the share of activation left by tokens of context; ``radii`` has radius, retained.

    ``sentence`` is what the word's own sentence keeps, and ``high_below`` its threshold, if any.
    """
    frame = radii[["radius", "retained"]].copy()
    frame["level"] = level or "low"
    what = ["its own sentence", "reach: 80%", "high: sentence below this"]
    rules = pd.DataFrame({"retained": [sentence, 0.8, high_below], "what": what})
    rules = rules.dropna().sort_values("retained", ascending=False, ignore_index=True)
    # Words stand above their line, below it where the line above is too near.
    rules["below"] = (rules["retained"].shift(1, fill_value=9) - rules["retained"] < _NEAR) * 1
    return draw(_retention(), {"kept": frame, "rules": rules}, **shown)


@cache
def _retention() -> str:
    y = alt.Y("retained:Q", title="kept", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    x = alt.X("radius:O", title="tokens of context", axis=alt.Axis(labelAngle=0))
    base = alt.Chart(alt.NamedData("kept")).encode(
        x=x,
        y=y,
        color=alt.Color("level:N", scale=_LEVEL_SCALE, legend=None),
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
    return form(alt.layer(*parts), 260)


def decades(frame: pd.DataFrame, level: str, **shown: Any) -> Any:
    """Draw shares by decade; ``frame`` has decade, observed, expected."""
    return draw(_decades(), {"decades": frame.assign(level=level or "low")}, **shown)


@cache
def _decades() -> str:
    base = alt.Chart(alt.NamedData("decades")).encode(
        x=alt.X("decade:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        tooltip=[
            alt.Tooltip("decade:O"),
            alt.Tooltip("observed:Q", format=".1%", title="of the examples"),
            alt.Tooltip("expected:Q", format=".1%", title="of the corpus"),
        ],
    )
    y = alt.Y("observed:Q", title="share", axis=alt.Axis(format="%"))
    bars = base.mark_bar(opacity=0.8).encode(
        y=y, color=alt.Color("level:N", scale=_LEVEL_SCALE, legend=None)
    )
    ticks = base.mark_tick(color=INK, thickness=2).encode(y="expected:Q")
    return form(alt.layer(bars, ticks), 220)


def unclicked(name: str) -> str:
    """Return a key for a chart on which every point can be clicked: another one after each click.

    Until then the key stays, so that the browser only puts other numbers into the chart that it
    has, for which it takes a tenth of the time. Give :func:`clicked` the name as well.
    """
    return f"{name}_{st.session_state.setdefault('charts.clicks', {}).get(name, 0)}"


def clicked(event: Any, key: str, name: str = "") -> dict[str, Any] | None:
    """Return the point that was clicked since the chart with this key was drawn last, or None.

    The browser keeps a selection and sends it along with the next step, be it the Back button;
    a click counts once.
    """
    picked = event["selection"].get("pick") or [None]
    seen = st.session_state.setdefault("charts.seen", {})
    if picked[0] == seen.get(key):
        return None
    seen[key] = picked[0]
    if name and picked[0]:
        clicks = st.session_state["charts.clicks"]
        clicks[name] = clicks.get(name, 0) + 1
    return picked[0]


def dragged(event: Any, key: str) -> tuple[float, ...] | None:
    """Return the area (x0, x1, y0, y1) drawn since the chart with this key was drawn last, or None.

    As with :func:`clicked`, one that is not new counts no more.
    """
    found = event["selection"].get("area") or {}
    ends = (*found.get("x", ()), *found.get("y", ()))
    seen = st.session_state.setdefault("charts.dragged", {})
    if len(ends) != 4 or ends == seen.get(key):
        return None
    seen[key] = ends
    return tuple(float(f"{end:.5g}") for end in ends)


def _layer_axis() -> alt.X:
    return alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, grid=False))


def _band(x: alt.X) -> list[alt.Chart]:
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


def legend() -> alt.Legend:
    """Return a legend of lines below a chart: as many columns as it has room for."""
    columns, longest = alt.ExprRef("width < 600 ? 2 : 3"), alt.ExprRef("min(210, width / 2 - 45)")
    return alt.Legend(
        orient="bottom", columns=columns, labelLimit=longest, symbolType="stroke", symbolSize=400
    )


def dashes(names: Sequence[str]) -> alt.Scale:
    """Return the dashes of lines: no two of twelve share both colour, of which there are eight,
    and dash, and neighbours never share a dash.
    """
    kinds = [_DASHES[(i + i // 8) % len(_DASHES)] for i in range(len(names))]
    return alt.Scale(domain=list(names), range=kinds)


def form(chart: Any, height: int) -> str:
    """Return a chart on named data as JSON, to be kept."""
    made = chart.properties(height=height).to_dict()
    words = {"labelColor": WORDS, "titleColor": WORDS}
    made["config"] = made.get("config", {}) | {"axis": words, "legend": words}
    return json.dumps(made)


def draw(kept: str, tables: dict[str, pd.DataFrame], **shown: Any) -> Any:
    """Draw a form with its tables; ``shown`` has ``alt`` and, for a selection, ``key``."""
    if st.context.theme.type == "dark":
        for light, dark in _ON_DARK.items():
            kept = kept.replace(light, dark)
    spec = json.loads(kept) | {"datasets": tables}
    shown.setdefault("height", spec["height"])  # kept free until the chart stands there
    if "key" in shown:
        shown["on_select"] = shown.get("on_select", "rerun")
    else:
        shown.pop("selection_mode", None)
    return st.vega_lite_chart(spec, **shown)
