"""Places what an activation comes from on a drawing: tokens from left to right, layers upwards.

Turns an :class:`tfactors.explain.origin_graph.OriginGraph` into tables of marks. A token is a
column, a layer a row, both 1 wide; where they cross stand the factors that are active there, the
token's word to the left below them and its rest to the right. The mean state is a column of its own
before the first token. A long text is drawn with the tokens that carry most.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfactors.display import passages
from tfactors.visible import boxed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfactors.explain.origin_graph import OriginGraph


MOST_COLUMNS = 60  # tokens, of which a reader can still tell one from the next
NARROW = 24  # tokens that still have room beside something else
MOST_EDGES = 400  # beside the thickest of each factor
LEAST_FLOW = 0.004  # share of the activation that an edge carries at least, to be drawn
START = -1  # the column of the mean state
_NAMED = 0.05  # share that a factor carries at least, to have its name beside it
_FULL = 0.03  # share from which on a word or a rest is drawn in full
_LETTER, _LINE = 6.5, 13  # pixels of a letter across, and of a line up, at the names' size
_RING = 22  # pixels: the radius of the ring around the factor that is asked
KINDS = {"factor": "factor", "word": "word itself", "rest": "rest", "start": "mean state"}


@dataclass(frozen=True)
class Drawing:
    """What is drawn.

    Attributes
    ----------
    tokens, rows : DataFrame
        Where a token (x, token) and a layer (y, layer) stand.
    nodes : DataFrame
        node, kind, layer, position, factor, activation, carried, name, token, x, y, size, opacity,
        asked, and label with side (right or left of the node; "" has none).
    edges : DataFrame
        x, y, x2, y2, source, target, share, flow, sign (more or less); the thickest last.
    left_out : int
        Tokens that have no column.
    thinner : int
        Edges between what is drawn that are too thin to be drawn.
    """

    tokens: pd.DataFrame
    rows: pd.DataFrame
    nodes: pd.DataFrame
    edges: pd.DataFrame
    left_out: int
    thinner: int


def place(graph: "OriginGraph", names: "Sequence[str]", row_height: float, width: float) -> Drawing:
    """Return where everything stands.

    Parameters
    ----------
    graph : OriginGraph
        What is left of it.
    names : sequence of str
        The name of each factor of the bundle.
    row_height, width : float
        Pixels of a layer, and about how many the whole has across: names that would lie on one
        another are left out.
    """
    nodes = graph.nodes.copy()
    columns = _columns(graph)
    tokens = [token_text(token) for token in graph.tokens]
    layers = sorted(nodes["layer"].unique())
    nodes = nodes[nodes["position"].isin(columns) | (nodes["kind"] == "start")]
    nodes = nodes.assign(
        name=[
            names[row.factor] if row.kind == "factor" else KINDS[row.kind]
            for row in nodes.itertuples()
        ],
        token=[tokens[at] if at >= 0 else "–" for at in nodes["position"]],
        asked=nodes["node"] == 0,
        size=16 + 800 * nodes["carried"],
        opacity=np.where(
            nodes["kind"] == "factor", 1.0, 0.12 + 0.8 * (nodes["carried"] / _FULL).clip(upper=1)
        ),
        x=nodes["position"].map({at: place for place, at in enumerate(columns)}).fillna(START),
        y=nodes["layer"].map({layer: place for place, layer in enumerate(layers)}).astype(float),
    )
    nodes = _set_apart(nodes)
    leftwards = passages.from_right("".join(tokens[at] for at in columns))
    across = width / (len(columns) + 2.5) * (-1 if leftwards else 1)
    nodes = _with_labels(nodes, row_height, across, len(columns))
    edges, thinner = _edges(graph.edges, nodes)
    return Drawing(
        pd.DataFrame({"x": range(len(columns)), "token": [tokens[at] for at in columns]}),
        pd.DataFrame({"y": range(len(layers)), "layer": [f"layer {layer}" for layer in layers]}),
        nodes,
        edges,
        len(graph.tokens) - len(columns),
        thinner,
    )


def token_text(token: str) -> str:
    """Return a token as it is written under its column and in lists.

    >>> token_text(" left"), token_text("\\n")
    ('left', '␣')
    """
    return boxed(passages.shorten(token.strip() or "␣", 14))


def _columns(graph: "OriginGraph") -> list[int]:
    """Return the positions that have a column, in the order of the text."""
    positions = range(len(graph.tokens))
    if len(positions) <= MOST_COLUMNS:
        return list(positions)
    carried = graph.nodes.groupby("position")["carried"].sum().drop(START, errors="ignore")
    return sorted(int(at) for at in carried.nlargest(MOST_COLUMNS).index)


def _set_apart(nodes: pd.DataFrame) -> pd.DataFrame:
    """Return the nodes with those of one token and layer beside and above each other."""
    factors = nodes["kind"] == "factor"
    cells = nodes[factors].groupby(["layer", "position"])
    rank, many = cells.cumcount(), cells["node"].transform("size")
    step = np.minimum(0.22, 0.55 / (many - 1).clip(lower=1))
    x, y = nodes["x"].copy(), nodes["y"].copy()
    y[factors] += 0.06 + rank * step
    x[factors] += np.where(many > 3, 0.2 * (-1.0) ** rank, 0.0)
    ends = nodes["kind"].isin(["word", "rest"])
    x[ends] += np.where(nodes.loc[ends, "kind"] == "word", -0.17, 0.17)
    y[ends] -= 0.28
    return nodes.assign(x=x, y=y)


def _with_labels(
    nodes: pd.DataFrame, row_height: float, column_width: float, columns: int
) -> pd.DataFrame:
    """Return the nodes with names beside those that carry most, where there is room."""
    label, side = {}, {}
    circles = nodes[nodes["kind"] == "factor"]
    circles = circles.assign(size=np.sqrt(circles["size"] / np.pi))
    factors = nodes[(nodes["kind"] == "factor") & (nodes["carried"] >= _NAMED)]
    # No name lies on a circle, or on another name: left, right and middle of each, in pixels.
    taken = [
        (at * column_width - radius, at * column_width + radius, up * row_height)
        for at, up, radius in zip(circles["x"], circles["y"], circles["size"], strict=True)
    ]
    for row in factors.sort_values("carried", ascending=False).itertuples():
        text = passages.shorten(row.name.partition(" · ")[2] or row.name, 26)
        radius = (_RING if row.asked else np.sqrt(row.size / np.pi)) + 4
        x, y = row.x * column_width, row.y * row_height
        right = (row.x < columns / 2) == (column_width > 0)
        near, far = (radius, radius + _LETTER * len(text))
        box = (x + near, x + far) if right else (x - far, x - near)
        if all(box[1] < left or box[0] > end or abs(y - up) > _LINE for left, end, up in taken):
            taken.append((*box, y))
            label[row.Index], side[row.Index] = text, "right" if right else "left"
    return nodes.assign(
        label=pd.Series(label, dtype=object).reindex(nodes.index).fillna(""),
        side=pd.Series(side, dtype=object).reindex(nodes.index).fillna(""),
        reach=np.where(nodes["asked"], _RING, np.sqrt(nodes["size"] / np.pi)) + 4,
    )


def _edges(edges: pd.DataFrame, nodes: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the lines, thickest last, and how many are too thin to be drawn."""
    known = nodes.set_index("node")
    edges = edges[edges["source"].isin(known.index) & edges["target"].isin(known.index)]
    thick = edges[edges["flow"] >= LEAST_FLOW].nlargest(MOST_EDGES, "flow")
    factors = edges[known["kind"].loc[edges["source"]].to_numpy() == "factor"]
    # The thickest of each factor, so that none stands alone.
    own = factors.loc[factors.groupby("source")["flow"].idxmax()]
    drawn = edges.loc[thick.index.union(own.index)].sort_values("flow", kind="stable")
    ends = {
        name: known.loc[drawn[end], column].to_numpy()
        for end, column, name in (
            ("source", "x", "x"),
            ("source", "y", "y"),
            ("target", "x", "x2"),
            ("target", "y", "y2"),
        )
    }
    said = known["name"].astype(str) + " at " + known["token"].astype(str)
    lines = pd.DataFrame(ends).assign(
        source=said.loc[drawn["source"]].to_numpy(),
        target=said.loc[drawn["target"]].to_numpy(),
        share=drawn["share"].to_numpy(),
        flow=drawn["flow"].to_numpy(),
        sign=np.where(drawn["contribution"].to_numpy() < 0, "lowers it", "raises it"),
    )
    return lines, len(edges) - len(drawn)
