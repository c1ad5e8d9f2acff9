"""What an activation comes from as a list: each factor with its sources, layer by layer.

For screen readers and narrow windows, where a drawing says nothing. It is folded in wide windows
and stands open in narrow ones (style.css). Factors are links to their pages at their layers.
"""

from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.views.origins_layout import KINDS, token_text
from tfactors.display.text import as_html

if TYPE_CHECKING:
    from tfactors.explain.origin_graph import OriginGraph


_SOURCES = 8  # of a factor that are listed


def show(graph: "OriginGraph") -> None:
    """Draw the list."""
    nodes = graph.nodes.set_index("node")
    sources = dict(list(graph.edges.groupby("target")))
    parts = []
    for layer in sorted(nodes["layer"].unique(), reverse=True):
        here = nodes[(nodes["layer"] == layer) & (nodes["kind"] == "factor")]
        items = []
        for row in here.itertuples():
            made = _sources(graph, nodes, sources.get(row.Index))
            items.append(
                f"<li>{_factor(graph, row)}: activation {row.activation:.2f}, carries "
                f"{row.carried:.1%}{made}</li>"
            )
        listed = f"<ul>{''.join(items)}</ul>" if items else "<p>No factor is followed here.</p>"
        parts.append(f"<h4>Layer {layer}</h4>{listed}")
    st.html(
        '<details class="tf-origins"><summary>The same as a list, layer by layer</summary>'
        f"{''.join(parts)}</details>"
    )


def _sources(graph: "OriginGraph", nodes: Any, edges: Any) -> str:
    """Return what a factor is made from, largest first, as a list inside its own line."""
    if edges is None:
        return "."
    edges = edges.loc[edges["share"].abs().sort_values(ascending=False, kind="stable").index]
    items = []
    for edge in edges.head(_SOURCES).itertuples():
        row = nodes.loc[edge.source]
        what = (
            _factor(graph, row)
            if row["kind"] == "factor"
            else KINDS[row["kind"]] + _place(graph, row["position"])
        )
        items.append(f"<li>{edge.share:+.1%} {what}</li>")
    if (more := len(edges) - _SOURCES) > 0:
        items.append(f"<li>{more:,} smaller, {edges['share'].iloc[_SOURCES:].sum():+.1%}</li>")
    return f", made from<ul>{''.join(items)}</ul>"


def _factor(graph: "OriginGraph", row: Any) -> str:
    """Return a factor as a link, with its token."""
    name = as_html(graph.labels[row.factor])
    href = as_html(factor_link(int(row.factor), int(row.layer)))
    return f'<a href="{href}"><bdi>{name}</bdi></a>{_place(graph, row.position)}'


def _place(graph: "OriginGraph", position: int) -> str:
    if position < 0:
        return ""
    return f" at “<bdi>{as_html(token_text(graph.tokens[position]))}</bdi>” ({position + 1})"


def factor_link(factor: int, layer: int) -> str:
    """Return the address of a factor at a layer, as seen from another page."""
    page = controls.FACTOR_PAGE
    asked: shell.Changes = {controls.FACTOR: factor, controls.LAYER: layer}
    shared = (controls.BUNDLE, controls.FACTOR, controls.LAYER)
    query = urlencode(url_state.query_of(shared, asked))
    return f"{PurePath(page.path).stem.partition('_')[2]}?{query}"
