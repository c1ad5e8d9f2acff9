"""The charts, in one look: Altair, coloured by Streamlit's theme, each with words for its alt text.

In go small arrays, out come charts; colours are left to the theme (the first three are the levels
low, mid and high), sizes and axes are set here. A chart of curves draws the band of all factors
from three numbers a layer, so that it costs the same for 500 factors and for 16,384.
"""

import altair as alt
import numpy as np
import pandas as pd

LEVELS = ["low", "mid", "high"]
_GREY = "#8A9099"  # readable on both backgrounds
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]


def curve(
    band: pd.DataFrame, values: np.ndarray, layer: int, level: str, height: int = 200
) -> alt.LayerChart | alt.FacetChart:
    """Return one factor's importance over the layers, before the band of all factors.

    ``values`` (L,) is in the order of ``band["layer"]``. A click on a point selects its layer under
    the name ``pick``.
    """
    frame = pd.DataFrame(
        {"layer": band["layer"], "importance": values, "here": band["layer"] == layer}
    )
    frame["level"] = level or "low"
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, grid=False))
    pick = alt.selection_point(name="pick", fields=["layer"], on="click", empty=False)
    colour = alt.Color("level:N", scale=alt.Scale(domain=LEVELS), legend=None)
    tip = [alt.Tooltip("layer:O"), alt.Tooltip("importance:Q", format=".3f")]
    base = alt.Chart(frame).encode(x=x, y=alt.Y("importance:Q", title=None))
    line = base.mark_line(strokeWidth=2.5).encode(color=colour)
    points = base.mark_point(filled=True, opacity=1).encode(
        color=colour,
        size=alt.condition("datum.here", alt.value(210), alt.value(60)),
        tooltip=tip,
    )
    target = base.mark_point(size=700, opacity=0.001, filled=True).encode(tooltip=tip)
    here = alt.Chart(frame[frame["here"]]).mark_rule(strokeDash=[3, 3], color=_GREY).encode(x=x)
    layers = [*_band(band, x), here, line, points, target.add_params(pick)]
    return alt.layer(*layers).properties(height=height)


def curves(
    band: pd.DataFrame, values: dict[int, np.ndarray], names: dict[int, str], title: str
) -> alt.LayerChart | alt.FacetChart:
    """Return the curves of some factors over the band of all; a click selects factor and layer."""
    layers = band["layer"].to_numpy()
    frame = pd.DataFrame(
        {
            "factor": np.repeat(list(values), len(layers)),
            "layer": np.tile(layers, len(values)),
            "value": np.concatenate([*values.values(), np.empty(0)]),
        }
    )
    order = [names[factor] for factor in values]
    frame["name"] = frame["factor"].map(names)
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, grid=False))
    hover = alt.selection_point(fields=["factor"], on="pointerover", empty=False, name="hover")
    pick = alt.selection_point(name="pick", fields=["factor", "layer"], on="click", empty=False)
    colour = alt.Color("name:N", sort=order, title=None, scale=alt.Scale(domain=order),
                       legend=alt.Legend(orient="bottom", columns=4, labelLimit=260,
                                         symbolType="stroke"))  # fmt: skip
    dash = alt.StrokeDash(
        "name:N",
        scale=alt.Scale(domain=order, range=[_DASHES[i // 4 % 4] for i in range(len(order))]),
        legend=None,
    )
    base = alt.Chart(frame).encode(x=x, y=alt.Y("value:Q", title=title), color=colour)
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
    parts = [*_band(band, x), line, points.add_params(hover, pick)]
    return alt.layer(*parts).properties(height=380)


def histogram(
    counts: np.ndarray, edges: np.ndarray, shown_from: float | None, level: str, height: int = 200
) -> alt.LayerChart | alt.FacetChart:
    """Return how many tokens activate a factor how strongly; both axes logarithmic.

    ``counts`` (bins,) lie between ``edges`` (bins + 1,). ``shown_from`` marks the smallest
    activation among the listed examples.
    """
    used = np.flatnonzero(counts)
    first, last = (used[0], used[-1] + 1) if len(used) else (0, len(counts))
    frame = pd.DataFrame(
        {"from": edges[first:last], "to": edges[first + 1 : last + 1], "tokens": counts[first:last]}
    )
    frame["level"] = level or "low"
    frame = frame[(frame["tokens"] > 0) & (frame["to"] > 0)]
    smallest = frame["to"].min() / 2 if len(frame) else 1.0
    frame["from"] = frame["from"].clip(lower=smallest)
    frame["floor"] = 0.7
    scale = alt.Scale(type="log", nice=False)
    x = alt.X("from:Q", title="activation", scale=scale,
              axis=alt.Axis(grid=False, format="~g", tickCount=6))  # fmt: skip
    y = alt.Y("tokens:Q", title="tokens", scale=alt.Scale(type="log", domainMin=0.7),
              axis=alt.Axis(format="~s", tickCount=4, grid=False))  # fmt: skip
    bars = (
        alt.Chart(frame)
        .mark_rect(stroke=None)
        .encode(
            x=x, x2="to:Q", y=y, y2="floor:Q",
            color=alt.Color("level:N", scale=alt.Scale(domain=LEVELS), legend=None),
            opacity=alt.value(0.75),
            tooltip=[
                alt.Tooltip("from:Q", format=".3~g"),
                alt.Tooltip("to:Q", format=".3~g"),
                alt.Tooltip("tokens:Q", format=","),
            ],
        )
    )  # fmt: skip
    parts: list[alt.Chart] = [bars]
    if shown_from is not None and len(frame) and shown_from > smallest:
        mark = pd.DataFrame({"from": [shown_from]})
        parts.append(
            alt.Chart(mark).mark_rule(strokeDash=[3, 3], color=_GREY, strokeWidth=1.5).encode(x=x)
        )
    return alt.layer(*parts).properties(height=height)


def level_map(
    factors: pd.DataFrame, low_depth: float, sentence_share: float, drawn: int | None
) -> alt.LayerChart | alt.FacetChart:
    """Return every factor by depth and by what its sentence retains, with the thresholds drawn.

    ``factors`` has factor, depth, retained_sentence, level and name. Points are spread a little
    along the depth (there are only as many depths as layers); a click selects under ``pick``.
    """
    frame = factors.copy()
    steps = np.unique(frame["depth"])
    width = float(np.diff(steps).min()) if len(steps) > 1 else 0.2
    spread = (frame["factor"].to_numpy() * 0.618034) % 1 - 0.5
    frame["x"] = frame["depth"] + spread * 0.7 * width
    # The line between two layers stands half-way, so that points spread around one do not cross it.
    above = steps[steps > low_depth]
    below = steps[steps <= low_depth]
    edge = (
        (below[-1] + above[0]) / 2 if len(below) and len(above)
        else (steps[0] - width / 2 if not len(below) else steps[-1] + width / 2)
    )  # fmt: skip
    pick = alt.selection_point(name="pick", fields=["factor"], on="click", empty=False)
    x = alt.X("x:Q", title="depth of the peak layer (0 = embeddings, 1 = last block)",
              scale=alt.Scale(domain=[steps[0] - width / 2, steps[-1] + width / 2], nice=False),
              axis=alt.Axis(values=list(steps), format=".2f", grid=False))  # fmt: skip
    top = max(1.0, float(frame["retained_sentence"].max()))
    y = alt.Y("retained_sentence:Q", title="kept by its own sentence",
              scale=alt.Scale(domain=[min(0.0, float(frame["retained_sentence"].min())), top]),
              axis=alt.Axis(format="%"))  # fmt: skip
    points = (
        alt.Chart(frame)
        .mark_point(filled=True, size=28, opacity=0.55, cursor="pointer")
        .encode(
            x=x, y=y,
            color=alt.Color("level:N", scale=alt.Scale(domain=LEVELS), sort=LEVELS,
                            legend=alt.Legend(orient="top", title=None)),
            shape=alt.Shape("level:N", scale=alt.Scale(
                domain=LEVELS, range=["circle", "square", "triangle-up"]), legend=None),
            tooltip=[alt.Tooltip("name:N", title="factor"), alt.Tooltip("level:N"),
                     alt.Tooltip("depth:Q", format=".2f"),
                     alt.Tooltip("retained_sentence:Q", format=".0%", title="kept by sentence")],
        )
        .add_params(pick)
    )  # fmt: skip
    rules = [
        alt.Chart(pd.DataFrame({"x": [edge]})).mark_rule(strokeDash=[5, 4], color=_GREY)
        .encode(x=x),
        alt.Chart(pd.DataFrame({"x": [edge], "end": [steps[-1] + width / 2],
                                "retained_sentence": [sentence_share]}))
        .mark_rule(strokeDash=[5, 4], color=_GREY).encode(x=x, x2="end:Q", y=y),
    ]  # fmt: skip
    parts = [*rules, points]
    if drawn is not None:
        ring = alt.Chart(frame[frame["factor"] == drawn])
        parts.append(ring.mark_point(size=330, strokeWidth=3, color=_GREY).encode(x=x, y=y))
    return alt.layer(*parts).properties(height=300)


def _band(band: pd.DataFrame, x: alt.X) -> list[alt.Chart]:
    chart = alt.Chart(band).encode(x=x)
    tip = [
        alt.Tooltip("layer:O"),
        *(
            alt.Tooltip(f"{name}:Q", format=".3f", title=words)
            for name, words in (("high", "95 % of factors are below"), ("middle", "median"),
                                ("low", "5 % of factors are below"))
        ),
    ]  # fmt: skip
    return [
        chart.mark_area(color=_GREY, opacity=0.18).encode(y="low:Q", y2="high:Q", tooltip=tip),
        chart.mark_line(color=_GREY, strokeWidth=1, strokeDash=[4, 3]).encode(y="middle:Q"),
    ]
