"""Turns states on a line between two of a text into shares of an activation at a later layer.

The integrals of :mod:`tfactors.explain.attribution`: the model's blocks run on from states on the
line, at the points of Gauss and Legendre, and gradients come back to where they entered. Several
activations of one layer share one run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tfactors.coding.read_out import ReadOut, read_out
from tfactors.coding.state_transform import EPSILON
from tfactors.errors import InputError
from tfactors.explain.encoder import FactorEncoder
from tfactors.ragged import offsets, owners

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from scipy.sparse import csr_array


FEWEST_POINTS, MOST_POINTS = 4, 64
"""Points of the integral on each part of the line: doubled while the sum misses too much."""

MOST_IN_HALF_PRECISION = 16
"""Points for models in half precision, whose rounding more points do not mend; they take longer."""

LARGEST_ERROR = 0.01
"""Share of an activation that a sum may miss before more points are taken."""

TOKENS_AT_ONCE = 4096
"""Tokens of all points together that run at once, with what their gradients need in memory."""


@dataclass(frozen=True)
class LayerState:
    """The states of one text at a layer, taken apart.

    Attributes
    ----------
    raw : (n, d) float32
        As the model has them.
    means : (n or 1, 1) float32
        What is subtracted of them before they are scaled, see `StateTransform.means`.
    multipliers : (n or 1, 1) float32
        What makes them scaled.
    z : (n, d) float32
        Scaled, less what is subtracted.
    own : (n, d) float32
        What is subtracted: b, an autoencoder's b_dec, or 0.
    mean : (d,) float32
        g of b; where b is not of tokens, ``own`` itself.
    codes : (n, m) csr_array
    """

    raw: np.ndarray
    means: np.ndarray
    multipliers: np.ndarray
    z: np.ndarray
    own: np.ndarray
    mean: np.ndarray
    codes: "csr_array"


@dataclass(frozen=True)
class Goal:
    """One activation that is explained: a factor that is active at a token."""

    position: int
    factor: int
    activation: float
    read_out: ReadOut


def taken_apart(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    layers: Sequence[int],
    asked: np.ndarray | None = None,
) -> dict[int, LayerState]:
    """Let the model read a text, and return its states at some layers with their codes.

    At the last of the layers only the tokens ``asked`` are coded, ascending, or all.
    """
    transform, n = encoder.transform, len(token_ids)
    raw = encoder.model.hidden_states([token_ids], layers)
    multipliers = transform.multipliers(raw, layers)
    means = np.broadcast_to(transform.means(raw), (len(layers), *transform.means(raw).shape[1:]))
    z = raw.copy()
    own = transform.apply(z, layers, token_ids, np.arange(n))
    parts = {}
    for slot, layer in enumerate(layers):
        codes = _codes(encoder, z[slot], asked if slot == len(layers) - 1 else None)
        if transform.baseline and own is not None:
            subtracted, mean = own[slot], transform.baseline.mean_of(layer)
        else:
            subtracted = np.zeros_like(z[slot]) + (0 if own is None else own)
            mean = subtracted[0]
        parts[layer] = LayerState(
            raw[slot], means[slot], multipliers[slot], z[slot], subtracted, mean, codes
        )
    return parts


def _codes(encoder: FactorEncoder, z: np.ndarray, asked: np.ndarray | None) -> "csr_array":
    """Return the codes of all tokens, or of those asked, the others without active factors."""
    from scipy.sparse import csr_array

    if asked is None:
        return encoder.coder.encode(z, encoder.penalty, encoder.tol)
    found = encoder.coder.encode(z[asked], encoder.penalty, encoder.tol)
    sizes = np.zeros(len(z), np.int64)
    sizes[asked] = np.diff(found.indptr)
    parts = (found.data, found.indices, offsets(sizes))
    return csr_array(parts, shape=(len(z), found.shape[1]))


def goal_at(
    encoder: FactorEncoder, state: LayerState, position: int, factor: int, layer: int
) -> Goal:
    """Return an activation to explain; InputError where the factor is silent there."""
    goal = find_goal(encoder, state, position, factor)
    if goal is None:
        active, values = _active_at(state, position)
        strongest = ", ".join(map(str, active[np.argsort(-values)][:5])) or "none"
        raise InputError(
            f"factor {factor} is silent at token {position} of layer {layer}; active there: "
            f"{strongest}"
        )
    return goal


def find_goal(encoder: FactorEncoder, state: LayerState, position: int, factor: int) -> Goal | None:
    """Return an activation to explain; None where the factor is silent there."""
    active, values = _active_at(state, position)
    at = np.flatnonzero(active == factor)
    if not len(at):
        return None
    reading = read_out(encoder.coder, active, factor, encoder.penalty)
    return Goal(position, factor, float(values[at[0]]), reading)


def _active_at(state: LayerState, position: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors that are active at a token, and how strongly."""
    first, last = state.codes.indptr[position : position + 2]
    return state.codes.indices[first:last], state.codes.data[first:last]


def contributions(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    states: dict[int, LayerState],
    source_layer: int,
    layer: int,
    goals: Sequence[Goal],
    most: int = MOST_POINTS,
) -> "tuple[list[pd.DataFrame], np.ndarray]":
    """Return the sources of some activations of one layer, a table each, and the points taken.

    Parameters
    ----------
    encoder : FactorEncoder
    token_ids : (n,) integers
        The text.
    states : dict
        Of `taken_apart`, with both layers.
    source_layer, layer : int
        Where the states are taken apart, and where the activations are.
    goals : sequence of Goal
    most : int
        Points of an integral, at most.

    Returns
    -------
    tables : list of DataFrame
        As `Attribution.sources`.
    points : (goals,) integers
    """
    tables: list[pd.DataFrame | None] = [None] * len(goals)
    taken = np.full(len(goals), FEWEST_POINTS)
    left, points = list(range(len(goals))), FEWEST_POINTS
    if encoder.model.dtype != "float32":
        most = min(most, MOST_IN_HALF_PRECISION)
    while left:
        some = [goals[g] for g in left]
        found = _integrals(encoder, token_ids, states, source_layer, layer, some, points)
        for g, integrals in zip(left, found, strict=True):
            tables[g] = _shared_out(
                states[source_layer], goals[g], integrals, encoder.coder.dictionary
            )
            taken[g] = points
        points *= 2
        left = [g for g in left if points <= most and missed(tables[g], goals[g]) > LARGEST_ERROR]
    return tables, taken


def gradients(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    source: LayerState,
    source_layer: int,
    layer: int,
    goals: Sequence[Goal],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the gradient of each goal at the states as they are, and at their words alone.

    Arguments as for `contributions`, ``source`` with the states of the source layer. The gradients
    are of scaled states, (n, d) each. Where b is not of tokens, there are none at words.
    """
    run = _Run(encoder, token_ids, source_layer, layer, source)
    entering = [source.own + source.z]
    if encoder.transform.baseline is not None:
        entering.append(source.own)
    found = run.gradients_at(np.stack(entering), goals)
    return [of_goal[0] for of_goal in found], [of_goal[1] for of_goal in found if len(of_goal) > 1]


def missed(sources: "pd.DataFrame", goal: Goal) -> float:
    """Return what the sum of contributions misses of an activation, as a share of it."""
    return abs(float(sources["contribution"].sum()) - goal.activation) / goal.activation


@dataclass(frozen=True)
class _Integrals:
    """What the line gives for one activation, in scaled states.

    ``start`` at the mean state; ``words`` the mean gradient on the first part of the line, and
    ``states`` on the second, (n, d) each; ``always`` what is taken from the word of the target.
    """

    start: float
    words: np.ndarray | None
    states: np.ndarray
    always: float


def _integrals(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    states: dict[int, LayerState],
    source_layer: int,
    layer: int,
    goals: Sequence[Goal],
    points: int,
) -> list[_Integrals]:
    """Return the integrals of all activations, from one run along the line."""
    source, target = states[source_layer], states[layer]
    by_token = encoder.transform.baseline is not None
    corners = [source.own, source.own + source.z]
    if by_token:
        corners.insert(0, np.broadcast_to(source.mean, source.own.shape))
    run = _Run(encoder, token_ids, source_layer, layer, source)
    starts = run.values(corners[0], goals)
    parts = [run.mean_gradients(a, b, goals, points) for a, b in pairwise(corners)]
    found = []
    for g, goal in enumerate(goals):
        weights = goal.read_out.weights
        own = target.own[goal.position]
        always = float(weights @ (own - target.mean)) if by_token else 0.0
        start = starts[g] - float(weights @ own) + always + goal.read_out.constant
        words = parts[0][g] if by_token else None
        found.append(_Integrals(start, words, parts[-1][g], always))
    return found


class _Run:
    """The model's blocks from one layer to another, on scaled states of one text."""

    def __init__(
        self,
        encoder: FactorEncoder,
        token_ids: np.ndarray,
        source_layer: int,
        layer: int,
        source: LayerState,
    ) -> None:
        self.encoder, self.token_ids = encoder, token_ids
        self.source_layer, self.layer = source_layer, layer
        self.multipliers, self.means = source.multipliers, source.means

    def values(self, states: np.ndarray, goals: Sequence[Goal]) -> list[float]:
        """Return x·w of each goal where scaled states (n, d) enter."""
        import torch

        with torch.no_grad():
            values = self._read(torch.from_numpy(self._raw(states))[None], goals)
        return [float(value[0]) for value in values]

    def mean_gradients(
        self, start: np.ndarray, end: np.ndarray, goals: Sequence[Goal], points: int
    ) -> list[np.ndarray]:
        """Return the mean over a line of scaled states of the gradient of each goal, (n, d)."""
        import torch

        nodes, weights = np.polynomial.legendre.leggauss(points)
        nodes, weights = (nodes + 1) / 2, (weights / 2).astype(np.float32)
        sums = [np.zeros(start.shape, np.float32) for _ in goals]
        at_once = max(1, TOKENS_AT_ONCE // len(start))
        for first in range(0, points, at_once):
            some = slice(first, first + at_once)
            along = nodes[some, None, None].astype(np.float32)
            raw = self._raw(start + along * (end - start))
            with torch.enable_grad():
                entering = torch.from_numpy(raw).requires_grad_()
                values = self._read(entering, goals)
                for g, value in enumerate(values):
                    total = (value * torch.from_numpy(weights[some])).sum()
                    last = g == len(values) - 1
                    (gradient,) = torch.autograd.grad(total, entering, retain_graph=not last)
                    sums[g] += gradient.sum(dim=0).numpy()
        return [total / self.multipliers for total in sums]

    def gradients_at(self, states: np.ndarray, goals: Sequence[Goal]) -> list[np.ndarray]:
        """Return the gradient of each goal at each of some scaled states, (states, n, d)."""
        import torch

        with torch.enable_grad():
            entering = torch.from_numpy(self._raw(states)).requires_grad_()
            values = self._read(entering, goals)
            found = [
                torch.autograd.grad(value.sum(), entering, retain_graph=value is not values[-1])[0]
                for value in values
            ]
        return [gradient.numpy() / self.multipliers for gradient in found]

    def _raw(self, states: np.ndarray) -> np.ndarray:
        """Return scaled states (…, n, d) as the model has them."""
        return states / self.multipliers + self.means

    def _read(self, raw: "torch.Tensor", goals: Sequence[Goal]) -> "list[torch.Tensor]":
        """Return x·w of each goal, (runs,), where raw states (runs, n, d) enter."""
        import torch

        out = self.encoder.model.run_between(self.token_ids, self.source_layer, self.layer, raw)
        values = []
        for goal in goals:
            x = self._scaled(out[:, goal.position])
            values.append(x @ torch.from_numpy(goal.read_out.weights))
        return values

    def _scaled(self, x: "torch.Tensor") -> "torch.Tensor":
        """Return raw states (runs, d) of the target's layer as they are coded, b not subtracted."""
        transform = self.encoder.transform
        if transform.by_length:
            return x * (x.shape[-1] ** 0.5 / x.norm(dim=1, keepdim=True))
        if transform.normed:
            centred = x - x.mean(dim=1, keepdim=True)
            return centred / (x.std(dim=1, keepdim=True) + float(EPSILON))
        return x * transform.scale[self.layer]


def _shared_out(
    source: LayerState, goal: Goal, found: _Integrals, atoms: np.ndarray
) -> "pd.DataFrame":
    """Return the table of sources of one activation, from its integrals and the dictionary."""
    import pandas as pd

    codes, places = source.codes, np.arange(len(source.z))
    token = owners(np.diff(codes.indptr))
    rest = source.z - codes @ atoms
    along = np.einsum("ed,ed->e", found.states[token], atoms[codes.indices])
    pieces = [
        _rows("factor", token, codes.indices, codes.data, codes.data * along),
        _rows("rest", places, -1, np.nan, np.einsum("nd,nd->n", found.states, rest)),
        _rows("start", -1, -1, np.nan, np.array([found.start])),
    ]
    if found.words is not None:
        words = np.einsum("nd,nd->n", found.words, source.own - source.mean)
        words[goal.position] -= found.always
        pieces.append(_rows("word", places, -1, np.nan, words))
    table = pd.concat(pieces, ignore_index=True)
    order = np.argsort(-table["contribution"].abs().to_numpy(), kind="stable")
    table["share"] = table["contribution"] / goal.activation
    return table.iloc[order].reset_index(drop=True)


def _rows(
    kind: str,
    position: np.ndarray | int,
    factor: np.ndarray | int,
    activation: np.ndarray | float,
    contribution: np.ndarray,
) -> "pd.DataFrame":
    """Return rows of the table of sources, of one kind."""
    import pandas as pd

    return pd.DataFrame(
        {
            "kind": kind,
            "position": np.int32(position),
            "factor": np.int32(factor),
            "activation": np.float32(activation),
            "contribution": contribution.astype(np.float64),
        }
    )
