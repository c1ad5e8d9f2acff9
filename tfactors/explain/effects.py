"""What a factor does to a text's embedding, beside a random direction of the same length.

Turns the strongest examples of factors at one layer into a row a factor. In an example the factor
is taken away from the hidden state of its token, x − α_c Φ_c (of scaled states), and the rest of
the network runs on. With ȳ the mean of the final hidden states of the window, its sentence
embedding,

    removed = ‖ȳ′ − ȳ‖ / ‖ȳ‖          random = the same with α_c u in the place of −α_c Φ_c

where u is a unit vector drawn uniformly from the sphere, several an example. Over n examples:

    ratio = Σ removed / Σ random        how much more it does than a direction that means nothing

each with its standard error (of a mean; of a ratio by the linear expansion). Single directions
differ, so *above* is the share of them that did less in the same example. *Elsewhere* says how far
what the factor says travels: the share of Σ‖y′ − y‖² over the window that falls on other tokens
than the one that was changed.

The layer is the one of the factor's greatest importance among those below the last. At the last
layer nothing is left to run: there ȳ′ − ȳ is −α_c Φ_c / (scale · tokens) for any direction, and the
ratio 1 by construction, so that nothing could be learnt.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfactors.explain.retention import chunks_of_factors
from tfactors.ragged import offsets

if TYPE_CHECKING:
    import pandas as pd

    from tfactors.explain.encoder import FactorEncoder


DIRECTIONS = 2  # random ones an example
# Factors measured together: their windows' states are held in memory a few times over.
FACTORS_PER_CHUNK = 10


def layers_of_effect(importance: np.ndarray, layers: Sequence[int], blocks: int) -> np.ndarray:
    """Return the layer at which each factor's effect is measured.

    This is the layer of its greatest importance below the last; −1 where there is none.

    Parameters
    ----------
    importance : (m, L) array
        Importance of each factor at each layer.
    layers : sequence of int
        The L layers of the columns, ascending.
    blocks : int
        The last layer there could be.

    Returns
    -------
    (m,) int

    Examples
    --------
    >>> layers_of_effect(np.array([[1.0, 3.0, 9.0], [0.0, 0.0, 2.0]]), [0, 1, 2], blocks=2)
    array([ 1, -1])
    """
    below = [place for place, layer in enumerate(layers) if layer < blocks]
    if not below:
        return np.full(len(importance), -1)
    of_layers = importance[:, below]
    strongest = np.asarray(layers)[below][of_layers.argmax(axis=1)]
    return np.where(of_layers.max(axis=1) > 0, strongest, -1)


def chunks_of_examples(examples: "pd.DataFrame") -> "Iterator[pd.DataFrame]":
    """Yield parts of some examples for `measure_effects`, in a fixed order."""
    yield from chunks_of_factors(examples, FACTORS_PER_CHUNK)


def measure_effects(
    encoder: "FactorEncoder",
    examples: "pd.DataFrame",
    windows: "Callable[[Sequence[int]], pd.DataFrame]",
    seed: int = 0,
    directions: int = DIRECTIONS,
) -> "pd.DataFrame":
    """Measure the effect of some factors on their examples.

    Parameters
    ----------
    encoder : FactorEncoder
        Model, dictionary and scales that the examples were made with.
    examples : DataFrame
        Columns factor, layer (one and the same), rank, window, position, activation.
    windows : callable
        Window numbers -> their rows with token_ids, in that order; as `Bundle.windows`.
    seed : int
        With factor and rank it fixes the random directions of an example.
    directions : int
        Random ones an example.

    Returns
    -------
    DataFrame
        One row a factor, sorted, with the columns of effects.parquet.
    """
    import pandas as pd

    layer = int(examples["layer"].iloc[0])
    texts = windows(examples["window"].tolist())["token_ids"].tolist()
    lengths = np.array([len(text) for text in texts])
    starts = offsets(lengths)[:-1]
    target = starts + examples["position"].to_numpy()
    model = encoder.model
    entering, last = model.hidden_states(texts, [layer, model.blocks])
    # In raw states, which the model goes on with.
    scale = encoder.transform.multipliers(entering[None, target], [layer])[0, :, 0]
    size = examples["activation"].to_numpy() / scale

    def moved_by(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the relative change of each embedding, and its share on other tokens."""
        states = entering.copy()
        states[target] += steps
        change = model.last_states(texts, layer, states) - last
        squared = np.einsum("nd,nd->n", change, change, dtype=np.float64)
        total = np.add.reduceat(squared, starts)
        share = 1 - squared[target] / np.maximum(total, np.finfo(np.float64).tiny)
        share = share.clip(0, 1)  # of a sum that was rounded
        return _lengths(change, starts) / _lengths(last, starts), share

    atoms = encoder.coder.dictionary[examples["factor"]]
    removed, elsewhere = moved_by(-size[:, None] * atoms)
    unit_vectors = _directions(examples, seed, directions, model.width)
    random = np.array([moved_by(size[:, None] * u)[0] for u in unit_vectors])
    effects = pd.DataFrame(
        {
            "factor": examples["factor"].to_numpy(),
            "removed": removed,
            "random": random.mean(axis=0),
            "above": (random < removed).mean(axis=0),
            "elsewhere": elsewhere,
        }
    )
    rows = [
        {"factor": factor, "layer": layer, "examples": len(part), "directions": directions}
        | summary(part["removed"].to_numpy(), part["random"].to_numpy())
        | {name: part[name].mean() for name in ("above", "elsewhere")}
        for factor, part in effects.groupby("factor")
        if part["random"].sum() > 0  # an activation that float32 cannot tell from none
    ]
    return pd.DataFrame(rows)


def summary(removed: np.ndarray, random: np.ndarray) -> dict[str, float]:
    """Return means over the examples of one factor, their ratio, and the standard errors.

    Parameters
    ----------
    removed, random : (n,) arrays
        The relative change in each example, without the factor and in random directions.

    Returns
    -------
    dict
        The columns of effects.parquet of these names. An error is NaN where there is one example.

    Examples
    --------
    >>> summary(np.array([0.2, 0.4]), np.array([0.1, 0.2]))["ratio"]
    2.0
    """
    n = len(removed)
    ratio = removed.sum() / random.sum()

    def error(values: np.ndarray) -> float:
        return float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")

    return {
        "removed": float(removed.mean()),
        "removed_error": error(removed),
        "random": float(random.mean()),
        "random_error": error(random),
        "ratio": float(ratio),
        "ratio_error": error((removed - ratio * random) / random.mean()),
    }


def _lengths(states: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the length of the sum of each text's states, (texts,).

    Mean and sum have the same ratios.
    """
    return np.linalg.norm(np.add.reduceat(states, starts, axis=0, dtype=np.float64), axis=1)


def _directions(
    examples: "pd.DataFrame", seed: int, directions: int, width: int
) -> Iterator[np.ndarray]:
    """Yield unit vectors for every example, (examples, width), so many times."""
    vectors = np.stack(
        [
            np.random.default_rng([seed, row.factor, row.rank]).standard_normal((directions, width))
            for row in examples.itertuples()
        ],
        axis=1,
    )
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    yield from vectors.astype(np.float32)
