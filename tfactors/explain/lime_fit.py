"""The fit of LIME: activations under masks become weights with standard errors.

`tfactors.explain.masks` draws the masks z ∈ {0, 1}ᵗ. The fit is the `lime` package's own: with
D = 100·(1 − √(kept / t)), the mask's cosine distance,

    w = argmin_w  Σ π(z) (f(z) − w₀ − wᵀz)² + ‖w‖²,    π(z) = √exp(−D²/25²).

Standard errors are heteroscedasticity-robust (MacKinnon and White 1985, HC3): with the centred
masks Z, A = ZᵀΠZ + 1, the residuals r and their leverages h,

    Cov(w) = A⁻¹ [ Σ π² (r / (1 − h))² z zᵀ ] A⁻¹ · (1 − N/M)

M is how many masks there are to draw from: of a window whose masks were all run nothing is left to
chance. What is not linear in f counts as noise, as it does from one draw of masks to another.

In a short text no mask leaves out more than one token. Then there is nothing to fit: the ridge
would only shrink what is known, and a weight is the loss f(s) − f(z) itself, as in occlusion.
"""

import threading
import warnings
from typing import NamedTuple

import numpy as np

KERNEL_WIDTH = 25.0
_one_at_a_time = threading.Lock()


def fit_lime(
    masks: np.ndarray,
    values: np.ndarray,
    features: int,
    seed: int = 0,
    places: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Fit LIME's weighted ridge to the values of masked windows.

    Parameters
    ----------
    masks : (samples, t) bool
        True = kept; the first row all True.
    values : (samples,) array
        f of each.
    features : int
        How many positions get a weight.
    seed : int
        Seed of lime's own solver.
    places : (k,) integers, optional
        The positions that may get a weight; by default all. The others count in the distance of a
        mask nonetheless.

    Returns
    -------
    weights : (t,) float32
        0 where a position was not selected.
    score : float
        The weighted R² of the fit.
    """
    from lime.lime_base import LimeBase
    from scipy.linalg import LinAlgWarning

    places = np.arange(masks.shape[1]) if places is None else places
    weights = np.zeros(masks.shape[1], np.float32)
    left_out = ~masks
    if left_out.sum(axis=1).max() <= 1 and left_out[:, places].any(axis=0).all():
        losses = values[0] - np.asarray(values)[left_out[:, places].argmax(axis=0)]
        largest = np.argsort(-np.abs(losses), kind="stable")[:features]
        weights[places[largest]] = losses[largest]
        return weights, 1.0
    base = LimeBase(_proximity, random_state=seed)
    # lime tries out features by a fit without a penalty, where masks may leave two alike. What is
    # done about warnings holds for all threads.
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)
        _, chosen, score, _ = base.explain_instance_with_data(
            masks[:, places].astype(np.float64),
            np.asarray(values, np.float64)[:, None],
            _distances(masks),
            label=0,
            num_features=features,
        )
    for feature, weight in chosen:
        weights[places[feature]] = weight
    return weights, float(score)


def standard_errors(masks: np.ndarray, values: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return standard errors of LIME's weights over these features, as above for endless masks.

    Parameters
    ----------
    masks : (samples, t) bool
        True = kept.
    values : (samples,) array
        f of each.
    features : (k,) integers
        The positions that got a weight.

    Returns
    -------
    (t,) float32, 0 at all other positions
    """
    errors = np.zeros(masks.shape[1], np.float32)
    if not features.size:
        return errors
    fit = _fit_ridge(masks, values, features)
    spread = np.einsum("ij,jk,ik->i", fit.centred, fit.inverse, fit.centred)
    leverage = fit.kernel * spread + fit.kernel / fit.kernel.sum()
    # One mask alone may carry a feature: its leverage is 1 and its residual says nothing.
    scores = fit.centred * (fit.kernel * fit.residuals / np.maximum(1 - leverage, 0.05))[:, None]
    covariance = fit.inverse @ (scores.T @ scores) @ fit.inverse
    errors[features] = np.sqrt(np.maximum(np.diag(covariance), 0))
    return errors


def halves_agree(masks: np.ndarray, values: np.ndarray, features: np.ndarray) -> float:
    """Return how far the weights that two halves of the masks give agree.

    This is their correlation, with the whole window in both halves. It is NaN where a half fits no
    weight or all weights are alike. Arguments are those of `standard_errors`.
    """
    odd = np.arange(len(masks)) % 2 == 1
    first, second = odd.copy(), ~odd
    first[0] = True
    if features.size < 2 or len(masks) < 4:
        return float("nan")
    one, other = (_fit_ridge(masks[half], values[half], features) for half in (first, second))
    return correlation(one.weights, other.weights)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation of two maps, (t,) each; NaN where one of them is constant."""
    if one.size < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


class _Ridge(NamedTuple):
    """LIME's final fit of n masks over k features."""

    weights: np.ndarray  # (k,)
    residuals: np.ndarray  # (n,)
    centred: np.ndarray  # (n, k): the masks less their weighted mean, Z
    inverse: np.ndarray  # (k, k): A⁻¹
    kernel: np.ndarray  # (n,): π


def _fit_ridge(masks: np.ndarray, values: np.ndarray, features: np.ndarray) -> _Ridge:
    kernel = _proximity(_distances(masks))  # of all positions, those without a weight too
    selected, values = masks[:, features].astype(np.float64), np.asarray(values, np.float64)
    centred = selected - np.average(selected, axis=0, weights=kernel)
    inverse = np.linalg.inv((centred.T * kernel) @ centred + np.eye(len(features)))
    wanted = values - np.average(values, weights=kernel)
    weights = inverse @ ((centred.T * kernel) @ wanted)
    return _Ridge(weights, wanted - centred @ weights, centred, inverse, kernel)


def _distances(masks: np.ndarray) -> np.ndarray:
    """Return 100 × the cosine distance of each mask to the one that keeps everything."""
    return 100 * (1 - np.sqrt(masks.mean(axis=1)))


def _proximity(distances: np.ndarray) -> np.ndarray:
    """Return π of these distances."""
    return np.sqrt(np.exp(-(distances**2) / KERNEL_WIDTH**2))
