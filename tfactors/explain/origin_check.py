"""Turns one activation into a check of what it is said to come from: factors are taken away.

The n factors one layer below with the largest contributions are taken out of the states there, and
the model runs on; beside them n active factors drawn by chance. An attribution is worth something
where what it predicts is what is then measured, and where chance does less.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfactors.explain.attribution import attribute_goal, checked_source
from tfactors.explain.encoder import FactorEncoder, check_position
from tfactors.explain.integrated_gradients import goal_at, taken_apart
from tfactors.explain.source_removal import largest_and_by_chance, remove_sources

if TYPE_CHECKING:
    import pandas as pd


TOGETHER = (1, 3, 10)
"""Factors that are taken away together."""

SEED = 0
"""Of the factors drawn by chance: the same question has the same answer."""


def check_origin(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    tokens: Sequence[str],
    position: int,
    factor: int,
    layer: int,
) -> "pd.DataFrame":
    """Take the largest factors one layer below away, and others by chance.

    Parameters
    ----------
    encoder, token_ids, tokens, position, factor, layer
        As for `tfactors.explain.attribution.attribute_tokens`.

    Returns
    -------
    DataFrame
        One row a set: drawn (largest or chance), count (factors taken away), active (factors that
        are active in the whole text one layer below), predicted, measured and coded, the changes as
        shares of the activation (`tfactors.explain.source_removal.Removal`). No rows where no
        factor is active there.

    Raises
    ------
    InputError
        As `tfactors.attribute`, also where the sum misses too much.
    """
    import pandas as pd

    source_layer = checked_source(encoder, layer, None)
    encoder.check(layer, factor)
    check_position(position, len(tokens))
    states = taken_apart(encoder, token_ids, [source_layer, layer])
    goal = goal_at(encoder, states[layer], position, factor, layer)
    found = attribute_goal(encoder, token_ids, tokens, states, source_layer, layer, goal)
    factors = found.sources[found.sources["kind"] == "factor"]
    counts = sorted({min(count, len(factors)) for count in TOGETHER} - {0})
    random = np.random.default_rng(SEED)
    sets = largest_and_by_chance(factors, counts, random)
    columns = {"predicted": np.empty(0), "measured": np.empty(0), "coded": np.empty(0)}
    if sets:
        removal = remove_sources(encoder, token_ids, states, source_layer, layer, goal, sets)
        columns = {name: getattr(removal, name) / goal.activation for name in columns}
    drawn = ["largest"] * len(counts) + ["chance"] * len(counts)
    table = {"drawn": drawn, "count": counts * 2, "active": len(factors)}
    return pd.DataFrame(table | columns)
