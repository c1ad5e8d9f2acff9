"""Factors worth a click: one of each level, chosen by rule, so that every bundle has some.

Among the living factors of a level that are active on many tokens but not on most, those are best
whose level is clearest and whose importance is largest.
"""

import numpy as np

from tfactors.app import definitions, store
from tfactors.app.definitions import Thresholds
from tfactors.bundle import Bundle

# Rarer than the first a factor may be an accident of one document; denser than the second it
# answers to nearly everything.
_DENSITIES = (1e-5, 0.02)


def first(bundle: Bundle) -> int:
    """Return the factor that a page shows when none was asked for."""
    chosen = by_level(bundle)
    return next((chosen[level] for level in ("mid", "high", "low") if level in chosen), 0)


def by_level(bundle: Bundle) -> dict[str, int]:
    """Return one clear and strong factor for each level that has any."""
    overview, factors = store.overview(bundle), bundle.factors
    limits = Thresholds.of(bundle)
    levels = definitions.levels(factors, limits)
    density = overview.density.max(axis=1)
    strength = overview.importance.max(axis=1)
    depth = factors["depth"].to_numpy(float)
    kept = factors["retained_sentence"].to_numpy(float)
    clarity = {
        "low": limits.low_depth - depth,
        "mid": np.minimum(depth - limits.low_depth, kept - limits.sentence_share),
        "high": np.minimum(depth - limits.low_depth, limits.sentence_share - kept),
    }
    usable = factors["alive"].to_numpy() & (density > _DENSITIES[0]) & (density < _DENSITIES[1])
    chosen = {}
    for level, margin in clarity.items():
        members = np.flatnonzero((levels == level) & usable)
        if not len(members):
            members = np.flatnonzero(levels == level)
        if len(members):
            score = _rank(margin[members]) + _rank(strength[members])
            chosen[level] = int(members[np.argmax(score)])
    return chosen


def _rank(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values)) / max(len(values) - 1, 1)
