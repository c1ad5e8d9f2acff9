"""Turns one activation into what it was made from: factors, words and rests of an earlier layer.

At layer l and token p a factor is active with α. Which parts of the states at an earlier layer k
made it so? These states are a sum, x = b + αΦ + ε at each token, and integrated gradients
(Sundararajan et al., arXiv 1703.01365) share α out among its terms. The model's own blocks k … l
run on from states on a line of two parts, all tokens together,

    from the mean state g of layer k to b, the words alone, and from b to the states as they are

and a term counts with the mean gradient on its part of the line, times itself:

    word at token t       ∫ ∂α/∂x_t dτ · (b_t − g)          on the first part
    factor c at token t   α_tc ∫ ∂α/∂x_t dτ · Φ_c           on the second
    rest at token t       ∫ ∂α/∂x_t dτ · ε_t                on the second

Along the line α stands for the linear function of the target's state that it is while the active
factors stay the same (`tfactors.coding.read_out`). What the target's word always brings at layer l
is subtracted there, and so from the word at p. What is left at the mean state is the start. So

    start + Σ words + Σ factors + Σ rests = α

but for what the integral misses; that difference is told, and more points are taken until it is at
most 1 % of α. A bundle without b has no words; its line is one part, from 0 or the autoencoder's
b_dec.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.errors import InputError
from tfactors.explain.circuit_tracer import circuit_tracer_json
from tfactors.explain.encoder import (
    FactorEncoder,
    check_position,
    encoder_of,
    tokenize_checked,
)
from tfactors.explain.integrated_gradients import (
    Goal,
    LayerState,
    contributions,
    goal_at,
    taken_apart,
)
from tfactors.text.words import spelled

if TYPE_CHECKING:
    import pandas as pd

    from tfactors.bundle import Bundle


LARGEST_MISS = 0.1
"""Share of an activation that a sum may miss at all."""

KINDS = ("factor", "word", "rest", "start")


@dataclass(frozen=True)
class Attribution:
    """What one activation was made from at an earlier layer.

    Attributes
    ----------
    tokens : (n,) strings
        The text.
    position, factor, layer : int
        What is explained.
    source_layer : int
        The layer at which the states are taken apart.
    activation : float
        α.
    sources : DataFrame
        One row a source, largest contribution first (by its size): kind (factor, word, rest,
        start), position (−1 of the start), factor (−1 of other kinds), activation (of the factor,
        NaN of other kinds), contribution (in units of α), share (contribution / α).
    points : int
        Points of the integral on each part of the line.
    labels : sequence of str
        The label of each factor; empty where none are known.
    model : str
        The name of the model that was asked.
    """

    tokens: list[str]
    position: int
    factor: int
    layer: int
    source_layer: int
    activation: float
    sources: "pd.DataFrame"
    points: int
    labels: Sequence[str] = ()
    model: str = ""

    @property
    def total(self) -> float:
        """The sum of all contributions; α but for what the integral misses."""
        return float(self.sources["contribution"].sum())

    @property
    def error(self) -> float:
        """What the sum misses, as a share of α."""
        return abs(self.total - self.activation) / self.activation

    def shares(self) -> dict[str, float]:
        """Return the share of α that each kind of source makes."""
        sums = self.sources.groupby("kind")["share"].sum()
        return {kind: float(sums.get(kind, 0.0)) for kind in KINDS}

    def describe(self, top: int = 20) -> str:
        """Return a text to read: what kinds of sources make up, and the largest of them."""
        lines = [
            f"factor {self.factor} at layer {self.layer}, token {self.position} "
            f"“{spelled(self.tokens[self.position])}”: {self.activation:.2f}, made from layer "
            f"{self.source_layer}",
            "  "
            + ", ".join(f"{kind} {share:+.0%}" for kind, share in self.shares().items())
            + f"; the sum misses {self.error:.2%}",
        ]
        for row in self.sources.head(top).itertuples():
            lines.append(f"  {row.share:+5.0%}  {self.source(row)}")
        return "\n".join(lines)

    def source(self, row: Any) -> str:
        """Return a row of `sources` in words."""
        if row.kind == "start":
            return "the mean state"
        token = f"“{spelled(self.tokens[row.position])}” ({row.position})"
        if row.kind != "factor":
            return f"{row.kind} at {token}"
        label = str(self.labels[row.factor]).strip() if row.factor < len(self.labels) else ""
        return f"factor {row.factor}{' ' + label if label else ''} at {token}"

    def to_json(self) -> str:
        """Return everything as one JSON object, the sources as a list of rows."""
        names = ("tokens", "position", "factor", "layer", "source_layer", "activation", "points")
        record = {name: getattr(self, name) for name in names}
        record |= {"total": self.total, "error": self.error}
        rows = json.loads(self.sources.to_json(orient="records", double_precision=6))
        return json.dumps(record | {"sources": rows}, ensure_ascii=False)

    def to_circuit_tracer(self, slug: str) -> str:
        """Return everything as a file of circuit-tracer's front end.

        Parameters and errors as `tfactors.explain.circuit_tracer.circuit_tracer_json`.
        """
        import pandas as pd

        asked = {"kind": "factor", "position": self.position, "factor": self.factor}
        asked |= {"layer": self.layer, "activation": self.activation}
        sizes = self.sources["contribution"].abs()
        sources = self.sources.assign(layer=self.source_layer, carried=sizes / sizes.sum())
        nodes = pd.concat([pd.DataFrame([asked]), sources], ignore_index=True)
        nodes = nodes.assign(node=np.arange(len(nodes)))
        edges = nodes[["node", "contribution"]].iloc[1:].rename(columns={"node": "source"})
        return circuit_tracer_json(
            nodes,
            edges.assign(target=0),
            self.tokens,
            self.labels,
            self.model,
            self.error,
            slug,
        )

    def _repr_html_(self) -> str:
        from tfactors.display import notebook, passages

        by_token = self.sources[self.sources["position"] >= 0].groupby("position")["contribution"]
        weights = by_token.sum().reindex(range(len(self.tokens)), fill_value=0).to_numpy()
        at, word = self.position, spelled(self.tokens[self.position])
        passage = passages.Passage(self.tokens, at, at + 1, self.activation, "", word, weights)
        rows = [
            (f"{row.share:+.0%}", self.source(row)) for row in self.sources.head(12).itertuples()
        ]
        title = (
            f"Factor {self.factor} at layer {self.layer} on “{word}”: {self.activation:.2f}, "
            f"made from layer {self.source_layer} (the sum misses {self.error:.1%})"
        )
        body = passages.texts([passage], max(self.activation, 0.0)) + notebook.table(rows)
        return notebook.framed(title, body)


def attribute(
    bundle: "Bundle",
    text: str,
    position: int,
    factor: int,
    layer: int,
    source_layer: int | None = None,
    encoder: FactorEncoder | None = None,
) -> Attribution:
    """Say what one activation was made from: factors, words and rests of an earlier layer.

    Parameters
    ----------
    bundle : Bundle
        Names the model, and holds the dictionary, the scales and λ.
    text : str
        At most as many tokens as the model reads at once.
    position : int
        The token whose activation is explained, counted from 0.
    factor, layer : int
        Which factor, active there, at which layer.
    source_layer : int, optional
        The earlier layer that is taken apart; by default the next one below.
    encoder : FactorEncoder, optional
        Made with `FactorEncoder.from_bundle`; give it to many calls to load the model only once.

    Returns
    -------
    Attribution
        Its contributions add up to the activation.

    Raises
    ------
    InputError
        A text, position, factor or layer that cannot be used, or a factor that is silent there.
    ModelError
        The bundle's model cannot be loaded.
    """
    encoder = encoder or encoder_of(bundle)
    token_ids, tokens, _ = tokenize_checked(text, encoder.model)
    labels = bundle.factors["label"].tolist()
    return attribute_tokens(
        encoder, token_ids, tokens, position, factor, layer, source_layer, labels
    )


def attribute_tokens(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    tokens: Sequence[str],
    position: int,
    factor: int,
    layer: int,
    source_layer: int | None = None,
    labels: Sequence[str] = (),
) -> Attribution:
    """Do the same with a text that is tokens already; arguments and errors as `attribute`."""
    source_layer = checked_source(encoder, layer, source_layer)
    encoder.check(layer, factor)
    check_position(position, len(tokens))
    states = taken_apart(encoder, token_ids, [source_layer, layer])
    goal = goal_at(encoder, states[layer], position, factor, layer)
    return attribute_goal(encoder, token_ids, tokens, states, source_layer, layer, goal, labels)


def attribute_goal(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    tokens: Sequence[str],
    states: dict[int, LayerState],
    source_layer: int,
    layer: int,
    goal: Goal,
    labels: Sequence[str] = (),
) -> Attribution:
    """Do the same with an activation of a text that is taken apart already.

    Raises
    ------
    InputError
        The sum misses too much.
    """
    sources, points = contributions(encoder, token_ids, states, source_layer, layer, [goal])
    found = Attribution(
        list(tokens),
        goal.position,
        goal.factor,
        layer,
        source_layer,
        goal.activation,
        sources[0],
        int(points[0]),
        labels,
        encoder.model.name,
    )
    if found.error > LARGEST_MISS:
        raise InputError(
            f"the sum misses {100 * found.error:.0f} % of the activation, because the model is not "
            "smooth between the start and the states; a bundle built with --baseline token starts "
            "nearer"
        )
    return found


def checked_source(encoder: FactorEncoder, layer: int, source_layer: int | None) -> int:
    """Return the source layer, by default the next one below; InputError where there is none."""
    encoder.check(layer)
    below = [known for known in encoder.layers if known < layer]
    if not below:
        raise InputError(
            f"layer {layer}: it is the lowest that this bundle takes apart; give a higher one"
        )
    if source_layer is None:
        return below[-1]
    if source_layer not in below:
        known = ", ".join(map(str, below))
        raise InputError(f"source layer {source_layer}: expected one of {known}, below {layer}")
    return source_layer
