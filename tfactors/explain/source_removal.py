"""Takes sources of an activation away and lets the model run on: what an attribution is worth.

A set of active factors at tokens of an earlier layer is taken out of the states there,
x′ = x − Σ α_c Φ_c in scaled states, and the blocks up to the target run on. An attribution predicts
that α falls by the sum of their contributions. Beside it stands what α as the linear function of
its state (`tfactors.coding.read_out`) does, and what the state's code, found anew, says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.integrated_gradients import TOKENS_AT_ONCE, Goal, LayerState

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Removal:
    """What taking away some sets of sources changes, in units of the activation; (sets,) each.

    Attributes
    ----------
    predicted : (sets,) float64
        Minus the sum of the contributions of a set.
    measured : (sets,) float64
        Change of the linear function that the activation is.
    coded : (sets,) float64
        Change of the activation in the code that is found anew; it jumps where factors join or
        leave.
    """

    predicted: np.ndarray
    measured: np.ndarray
    coded: np.ndarray


def remove_sources(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    states: dict[int, LayerState],
    source_layer: int,
    layer: int,
    goal: Goal,
    sets: "Sequence[pd.DataFrame]",
) -> Removal:
    """Take away each of some sets of sources, and read the activation again.

    Parameters
    ----------
    encoder, token_ids, states, source_layer, layer
        As for `tfactors.explain.integrated_gradients.contributions`.
    goal : Goal
        The activation.
    sets : sequence of DataFrame
        Rows of kind ``factor`` of the activation's table of sources, in each set those that are
        taken away together.
    """
    source, target = states[source_layer], states[layer]
    moved = [source.raw, *(_without(source, rows, encoder.coder.dictionary) for rows in sets)]
    read = np.concatenate(
        [
            _target_states(encoder, token_ids, source_layer, layer, goal, np.stack(some))
            for some in _chunks(moved, max(1, TOKENS_AT_ONCE // len(token_ids)))
        ]
    )
    encoder.transform.scale_states(read[None], [layer])
    z = read - target.own[goal.position]
    linear = z.astype(np.float64) @ goal.read_out.weights
    codes = encoder.coder.encode(z, encoder.penalty, encoder.tol)[:, [goal.factor]].toarray()[:, 0]
    predicted = [-float(rows["contribution"].sum()) for rows in sets]
    return Removal(np.array(predicted), linear[1:] - linear[0], codes[1:] - float(codes[0]))


def largest_and_by_chance(
    factors: "pd.DataFrame", counts: Sequence[int], random: np.random.Generator
) -> "list[pd.DataFrame]":
    """Return the so many largest of some sources for each count, then as many drawn by chance.

    ``factors`` are rows of kind ``factor`` of a table of sources, largest first.
    """
    largest = [factors.head(count) for count in counts]
    return largest + [factors.iloc[random.permutation(len(factors))[:count]] for count in counts]


def _without(source: LayerState, rows: "pd.DataFrame", atoms: np.ndarray) -> np.ndarray:
    """Return the raw states (n, d) of a text without some factors at some tokens."""
    scaled = source.raw * source.multipliers
    amounts = rows["activation"].to_numpy()[:, None] * atoms[rows["factor"]]
    np.subtract.at(scaled, rows["position"].to_numpy(), amounts)
    return scaled / source.multipliers


def _target_states(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    source_layer: int,
    layer: int,
    goal: Goal,
    raw: np.ndarray,
) -> np.ndarray:
    """Return the raw state of the target, (runs, d), where raw states (runs, n, d) enter."""
    import torch

    with torch.inference_mode():
        out = encoder.model.run_between(token_ids, source_layer, layer, torch.from_numpy(raw))
        return out[:, goal.position].cpu().numpy()


def _chunks(items: list[np.ndarray], size: int) -> list[list[np.ndarray]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
