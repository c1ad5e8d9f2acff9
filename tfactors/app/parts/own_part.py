"""How much of a state is the word itself, how much its factors: a bar a layer.

Turns the metrics of a bundle, or one token of a reader's text, into shares of word, factors and
rest, and draws them. Only bundles that subtract what each token brings of its own have them.
"""

from functools import cache

import altair as alt
import numpy as np
import pandas as pd

from tfactors.app.parts import downloads
from tfactors.app.parts.charts import GREY, chart_form, draw_chart
from tfactors.bundle import Bundle

PARTS = ("word", "factors", "rest")
_ROW = 26  # pixels a layer


def of_bundle(bundle: Bundle) -> pd.DataFrame | None:
    """Return layer, part and share of the held-out states' variance; None where it is not known."""
    metrics = bundle.about.metrics.layers
    if bundle.about.baseline is None or any(layer.context_share is None for layer in metrics):
        return None
    context = np.array([layer.context_share for layer in metrics], float)
    explained = np.array([layer.explained_context or 0 for layer in metrics], float)
    return _table([layer.layer for layer in metrics], context, context * (1 - explained))


def of_token(residuals: pd.DataFrame) -> pd.DataFrame:
    """Return layer, part and share of the squared length of one token's states.

    ``residuals`` has layer, norm, context and residual, a row a layer.
    """
    whole, context, rest = (
        residuals[name].to_numpy(float) ** 2 for name in ("norm", "context", "residual")
    )
    whole = np.maximum(np.maximum(whole, context), np.finfo(float).tiny)
    return _table(residuals["layer"].tolist(), context / whole, np.minimum(rest, context) / whole)


def _table(layers: list[int], context: np.ndarray, rest: np.ndarray) -> pd.DataFrame:
    context = np.clip(context, 0, 1)
    rest = np.clip(rest, 0, context)
    shares = np.stack([1 - context, context - rest, rest], axis=1)
    ends = shares.cumsum(axis=1)
    return pd.DataFrame(
        {
            "layer": np.repeat(layers, len(PARTS)),
            "part": PARTS * len(layers),
            "share": shares.ravel(),
            "from": (ends - shares).ravel(),
            "to": ends.ravel(),
        }
    )


def show(table: pd.DataFrame, alt_text: str, name: str) -> None:
    """Draw the shares of each layer, with their download under a name."""
    draw_chart(_bars(table["layer"].nunique()), {"parts": table}, alt=alt_text)
    downloads.show(lambda: table[["layer", "part", "share"]], name)


@cache
def _bars(layers: int) -> str:
    scale = alt.Scale(domain=[0, 1], nice=False)
    x = alt.X("from:Q", scale=scale, title=None, axis=alt.Axis(format="%", grid=False, tickCount=5))
    base = alt.Chart(alt.NamedData("parts")).encode(
        x=x,
        x2="to:Q",
        y=alt.Y("layer:O", sort="descending", title="layer", axis=alt.Axis(ticks=False)),
        tooltip=[
            alt.Tooltip("layer:O"),
            alt.Tooltip("part:N"),
            alt.Tooltip("share:Q", format=".1%"),
        ],
    )
    colours = alt.Scale(domain=list(PARTS), range=["#2A6FBB", "#D9A400", GREY])
    legend = alt.Legend(orient="top", title=None)
    bars = base.mark_bar().encode(color=alt.Color("part:N", scale=colours, legend=legend))
    return chart_form(bars, _ROW * layers + 60)
