"""Turns one activation into a graph of what it was made from, layer by layer, down to the words.

From the asked factor at its token downwards: each node, an active factor at a token, is shared out
among the factors, words and rests of the layer below (:mod:`tfactors.explain.attribution`), and the
nodes that carry most are shared out in turn. What a node carries is

    carried(asked) = 1        carried(source) = Σ over targets  carried(target) · |c| / Σ |c|

with c the contributions to a target, so that what the nodes of one layer carry, together with the
words, rests and starts at which the way ended above, adds up to 1. Words, rests and starts are the
ends of the graph; none of them is left out.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tfactors.errors import InputError
from tfactors.explain.attribution import LARGEST_MISS, checked_source
from tfactors.explain.circuit_tracer import circuit_tracer_json
from tfactors.explain.encoder import (
    FactorEncoder,
    check_position,
    encoder_of,
    tokenize_checked,
)
from tfactors.explain.integrated_gradients import contributions, goal_at, missed, taken_apart

if TYPE_CHECKING:
    import pandas as pd

    from tfactors.bundle import Bundle


MOST_NODES = 16
"""Factors of a layer that are shared out further, at most."""

POINTS = 16
"""Points of an integral at most, on each part of its line: a graph asks for many."""

SHARE = 0.8
"""Share of what the factors of a layer carry that the kept ones carry together."""


@dataclass(frozen=True)
class OriginGraph:
    """What one activation was made from, layer by layer.

    Attributes
    ----------
    tokens : (n,) strings
        The text.
    nodes : DataFrame
        One row a node, the asked one first, then layer by layer downwards, most carried first:
        node (its number), layer, kind (factor, word, rest, start), position (−1 of a start),
        factor (−1 of other kinds), activation (NaN of other kinds), carried.
    edges : DataFrame
        One row a contribution: source, target (numbers of nodes), contribution (in units of the
        target's activation), share (contribution / activation of the target), flow (what the
        source carries of the target's, so that the edges of a source add up to what it carries).
    labels : sequence of str
        The label of each factor; empty where none are known.
    error : float
        Share of an activation that the sums of contributions miss: the mean over the factors of a
        layer, by what they carry, at the layer where it is largest.
    model : str
        The name of the model that was asked.
    """

    tokens: list[str]
    nodes: "pd.DataFrame"
    edges: "pd.DataFrame"
    labels: Sequence[str] = ()
    error: float = 0.0
    model: str = ""

    def pruned(self, share: float = SHARE) -> "OriginGraph":
        """Return the graph with fewer factors: at each layer those that carry a share of all.

        Parameters
        ----------
        share : float
            Between 0 and 1; the factors of a layer, most carried first, are kept until they carry
            this share of what all of its factors carry.

        Raises
        ------
        InputError
            Another share.
        """
        if not 0 < share <= 1:
            raise InputError(f"share {share}: expected a number above 0, at most 1")
        asked = self.nodes.iloc[0]
        carried = np.zeros(len(self.nodes))
        carried[0], kept = 1.0, {0}
        layers = self.nodes["layer"].to_numpy()
        is_factor = (self.nodes["kind"] == "factor").to_numpy()
        sizes = self.edges["contribution"].abs()
        parts = (sizes / sizes.groupby(self.edges["target"]).transform("sum")).fillna(0).to_numpy()
        sources, targets = self.edges["source"].to_numpy(), self.edges["target"].to_numpy()
        for layer in sorted(set(layers[layers < asked["layer"]]), reverse=True):
            here = np.isin(targets, list(kept)) & (layers[sources] == layer)
            np.add.at(carried, sources[here], carried[targets[here]] * parts[here])
            factors = np.flatnonzero(is_factor & (layers == layer) & (carried > 0))
            kept |= set(_carrying(factors, carried, share).tolist())
        ends = np.flatnonzero(~is_factor & (carried > 0))
        chosen = np.array(sorted(kept | set(ends.tolist())))
        edges = self.edges.assign(flow=carried[targets] * parts)
        edges = edges[np.isin(sources, chosen) & np.isin(targets, chosen)]
        nodes = self.nodes.iloc[chosen].assign(carried=carried[chosen])
        return replace(self, nodes=nodes, edges=edges)

    def to_json(self) -> str:
        """Return everything as one JSON object, nodes and edges as lists of rows."""
        tables = {
            name: json.loads(getattr(self, name).to_json(orient="records", double_precision=6))
            for name in ("nodes", "edges")
        }
        record = {"tokens": self.tokens, "error": self.error}
        return json.dumps(record | tables, ensure_ascii=False)

    def to_circuit_tracer(self, slug: str) -> str:
        """Return everything as a file of circuit-tracer's front end.

        Parameters and errors as `tfactors.explain.circuit_tracer.circuit_tracer_json`.
        """
        return circuit_tracer_json(
            self.nodes, self.edges, self.tokens, self.labels, self.model, self.error, slug
        )


def _carrying(candidates: np.ndarray, carried: np.ndarray, share: float) -> np.ndarray:
    """Return the fewest of some nodes that carry a share of what all of them carry."""
    order = candidates[np.argsort(-carried[candidates], kind="stable")]
    sums = np.cumsum(carried[order])
    if not len(order):
        return order
    return order[: int(np.searchsorted(sums, share * sums[-1] * (1 - 1e-9))) + 1]


def trace_origins(
    bundle: "Bundle",
    text: str,
    position: int,
    factor: int,
    layer: int,
    encoder: FactorEncoder | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> OriginGraph:
    """Follow one activation down to the words, layer by layer.

    Parameters
    ----------
    bundle, text, position, factor, layer, encoder
        As for `tfactors.attribute`.
    progress : callable, optional
        Told the number of steps between layers that are done, and that there are.

    Returns
    -------
    OriginGraph
        With at most MOST_NODES factors a layer; `OriginGraph.pruned` leaves fewer.

    Raises
    ------
    InputError
        As `tfactors.attribute`, or the sums miss too much on the way down.
    """
    encoder = encoder or encoder_of(bundle)
    token_ids, tokens, _ = tokenize_checked(text, encoder.model)
    graph = trace_tokens(encoder, token_ids, tokens, position, factor, layer, progress)
    return replace(graph, labels=bundle.factors["label"].tolist())


def trace_tokens(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    tokens: Sequence[str],
    position: int,
    factor: int,
    layer: int,
    progress: Callable[[int, int], None] | None = None,
) -> OriginGraph:
    """Do the same with a text that is tokens already."""
    import pandas as pd

    checked_source(encoder, layer, None)
    encoder.check(layer, factor)
    check_position(position, len(tokens))
    layers = [known for known in encoder.layers if known <= layer][::-1]
    states = taken_apart(encoder, token_ids, layers)
    goals = [goal_at(encoder, states[layer], position, factor, layer)]
    carried, first = np.ones(1), 0
    asked = {"layer": layer, "kind": "factor", "position": position, "factor": factor}
    nodes = [pd.DataFrame([asked | {"activation": goals[0].activation, "carried": 1.0}])]
    edges, error = [], 0.0
    for step, (here, below) in enumerate(pairwise(layers)):
        if progress:
            progress(step, len(layers) - 1)
        tables, _ = contributions(encoder, token_ids, states, below, here, goals, most=POINTS)
        misses = [missed(table, goal) for table, goal in zip(tables, goals, strict=True)]
        error = max(error, float(np.average(misses, weights=carried)))
        if error > LARGEST_MISS:
            raise InputError(
                f"the sums miss {error:.0%} of the activations on the way down, at layer {here}, "
                "because the model is not smooth between the start and the states; ask for a lower "
                "layer, or build the bundle with --baseline token, which starts nearer"
            )
        found = _gathered(tables, carried, first)
        reached = _nodes_of(found, below)
        start = sum(map(len, nodes))
        ends = reached[reached["kind"] != "factor"]
        factors = reached[reached["kind"] == "factor"].head(MOST_NODES)
        nodes += [factors, ends]
        numbers = pd.concat([factors, ends])
        numbers = numbers.assign(source=np.arange(start, start + len(numbers)))
        keys = ["kind", "position", "factor"]
        edges.append(found.merge(numbers[[*keys, "source"]], on=keys))
        goals = [
            goal_at(encoder, states[below], int(row.position), int(row.factor), below)
            for row in factors.itertuples()
        ]
        carried, first = factors["carried"].to_numpy(), start
        if not goals:
            break
    table = pd.concat(nodes, ignore_index=True)
    table.insert(0, "node", np.arange(len(table), dtype=np.int32))
    columns = ["source", "target", "contribution", "share", "flow"]
    links = pd.concat(edges, ignore_index=True).rename(columns={"carried": "flow"})[columns]
    return OriginGraph(list(tokens), table, links, error=error, model=encoder.model.name)


def _gathered(tables: "list[pd.DataFrame]", carried: np.ndarray, first: int) -> "pd.DataFrame":
    """Return the sources of all targets in one table, with each one's target and what it carries.

    Targets are numbered from ``first`` on.
    """
    import pandas as pd

    parts = []
    for number, (table, amount) in enumerate(zip(tables, carried, strict=True)):
        sizes = table["contribution"].abs()
        parts.append(table.assign(target=first + number, carried=amount * sizes / sizes.sum()))
    return pd.concat(parts, ignore_index=True)


def _nodes_of(found: "pd.DataFrame", layer: int) -> "pd.DataFrame":
    """Return the distinct sources at a layer, most carried first."""
    groups = found.groupby(["kind", "position", "factor"], as_index=False)
    nodes = groups.agg(activation=("activation", "first"), carried=("carried", "sum"))
    nodes.insert(0, "layer", layer)
    return nodes.sort_values("carried", ascending=False, kind="stable")
