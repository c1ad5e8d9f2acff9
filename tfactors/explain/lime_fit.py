"""Masks of a window in, and what LIME fits to the activations under them: weights with errors.

A mask z ∈ {0, 1}ᵗ keeps a token where it is 1. Two ways of drawing them:

2021    each mask leaves out k ~ U{1 … t} positions, the target among them (Yun et al.).
blocks  the target is always kept; the other n tokens are cut at random into blocks of like size,
        about n / 16 tokens but two or more, each mask leaves one block out, and when each token was
        left out once a new cut is drawn. A window of so few tokens that all masks of at most n / 3
        tokens are no more than the samples gets all of them, and chance has no part.

The fit is the `lime` package's own: with D = 100·(1 − √(kept / t)), the mask's cosine distance,

    w = argmin_w  Σ π(z) (f(z) − w₀ − wᵀz)² + ‖w‖²,    π(z) = √exp(−D²/25²).

Standard errors are heteroscedasticity-robust (MacKinnon and White 1985, HC3): with the centred
masks Z, A = ZᵀΠZ + 1, the residuals r and their leverages h,

    Cov(w) = A⁻¹ [ Σ π² (r / (1 − h))² z zᵀ ] A⁻¹ · (1 − N/M)

M is how many masks there are to draw from: of a window whose masks were all run nothing is left to
chance. What is not linear in f counts as noise, as it does from one draw of masks to another.
"""

from itertools import combinations
from math import comb

import numpy as np

KERNEL_WIDTH = 25.0
# Block sizes were compared on 12 examples of the default bundle: smaller blocks agree better with
# occlusion, larger ones see more of what tokens do together (docs/LEVELS.md).
BLOCKS_A_CUT = 16


def draw_masks(length: int, samples: int, seed: int) -> np.ndarray:
    """Masks of the 2021 procedure, (samples, length) bool, True = kept; the first keeps everything.

    The others mask k ~ U{1 … length} positions each, drawn without replacement.
    """
    random = np.random.default_rng(seed)
    masked = random.integers(1, length + 1, size=(samples - 1, 1))
    rank = random.random((samples - 1, length)).argsort(axis=1).argsort(axis=1)
    return np.vstack([np.ones(length, bool), rank >= masked])


def draw_blocks(length: int, position: int, samples: int, seed: int) -> tuple[np.ndarray, bool]:
    """Masks that leave out blocks of tokens, never the target; the first keeps everything.

    Returns:
        (at most ``samples``, length) bool, True = kept; whether these are all masks there are.
    """
    others = np.delete(np.arange(length), position)
    most = _most_masked(len(others))
    if _number(len(others)) <= samples:
        left_out = [list(c) for k in range(most + 1) for c in combinations(others.tolist(), k)]
    else:
        random, left_out = np.random.default_rng(seed), [[]]
        blocks = min(BLOCKS_A_CUT, len(others) // 2)
        while len(left_out) < samples:
            cut = np.array_split(random.permutation(others), blocks)
            left_out += [block.tolist() for block in cut]
    kept = np.ones((min(len(left_out), samples), length), bool)
    for row, block in zip(kept, left_out, strict=False):
        row[block] = False
    return kept, _number(len(others)) <= samples


def _most_masked(others: int) -> int:
    return min(others, max(1, others // 3))


def _number(others: int) -> int:
    """How many masks keep the target and leave out at most a third of the others."""
    return sum(comb(others, k) for k in range(_most_masked(others) + 1))


def fit_lime(
    kept: np.ndarray, values: np.ndarray, features: int, seed: int = 0
) -> tuple[np.ndarray, float]:
    """Fit LIME's weighted ridge to the values of masked windows.

    Args:
        kept: (samples, t) bool, the first row all True.
        values: (samples,) f of each.
        features: how many positions get a weight.
        seed: of lime's own solver.

    Returns:
        weights (t,) float32, 0 where not selected; the weighted R² of the fit.
    """
    from lime.lime_base import LimeBase

    base = LimeBase(_proximity, random_state=seed)
    _, chosen, score, _ = base.explain_instance_with_data(
        kept.astype(np.float64),
        np.asarray(values, np.float64)[:, None],
        _distances(kept),
        label=0,
        num_features=features,
    )
    weights = np.zeros(kept.shape[1], np.float32)
    for feature, weight in chosen:
        weights[feature] = weight
    return weights, float(score)


def standard_errors(kept: np.ndarray, values: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Standard errors of LIME's weights over these features, as above for endless masks.

    Args:
        kept: (samples, t) bool.
        values: (samples,) f of each.
        features: (k,) the positions that got a weight.

    Returns:
        (t,) float32; 0 at all other positions.
    """
    errors = np.zeros(kept.shape[1], np.float32)
    if not features.size:
        return errors
    _, residuals, centred, inverse, weight = _ridge(kept, values, features)
    leverage = weight * np.einsum("ij,jk,ik->i", centred, inverse, centred) + weight / weight.sum()
    # One mask alone may carry a feature: its leverage is 1 and its residual says nothing.
    scores = centred * (weight * residuals / np.maximum(1 - leverage, 0.05))[:, None]
    covariance = inverse @ (scores.T @ scores) @ inverse
    errors[features] = np.sqrt(np.maximum(np.diag(covariance), 0))
    return errors


def halves_agree(kept: np.ndarray, values: np.ndarray, features: np.ndarray) -> float:
    """Correlation of the weights that two halves of the masks give, the whole window in both.

    NaN where a half fits no weight or all weights are alike.
    """
    odd = np.arange(len(kept)) % 2 == 1
    first, second = odd.copy(), ~odd
    first[0] = True
    if features.size < 2 or len(kept) < 4:
        return float("nan")
    return correlation(*(_ridge(kept[half], values[half], features)[0] for half in (first, second)))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two maps; NaN where one of them is constant."""
    if one.size < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _ridge(kept: np.ndarray, values: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weights, residuals, centred masks, inverse of A and kernel of LIME's final fit."""
    weight = _proximity(_distances(kept))  # of all positions, those without a weight too
    masks, values = kept[:, features].astype(np.float64), np.asarray(values, np.float64)
    centred = masks - np.average(masks, axis=0, weights=weight)
    inverse = np.linalg.inv((centred.T * weight) @ centred + np.eye(len(features)))
    wanted = values - np.average(values, weights=weight)
    weights = inverse @ ((centred.T * weight) @ wanted)
    return weights, wanted - centred @ weights, centred, inverse, weight


def _distances(kept: np.ndarray) -> np.ndarray:
    """100 × cosine distance of each mask to the mask that keeps everything."""
    return 100 * (1 - np.sqrt(kept.mean(axis=1)))


def _proximity(distances: np.ndarray) -> np.ndarray:
    return np.sqrt(np.exp(-(distances**2) / KERNEL_WIDTH**2))
