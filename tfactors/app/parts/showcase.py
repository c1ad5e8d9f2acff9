"""Factors worth a click: one of each level, chosen by rule, so that every bundle has some.

The rule looks at the living factors of a level that are active on many tokens but not on most, and
on words rather than on the small change of grammar. Of these it takes a few with a clear level and
a large importance. The one that is shown has the most varied examples: a list that says “moral,
ethical, conscience” explains a factor better than one that says “moral” forty times.
"""

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import store
from tfactors.app.parts import level_rule
from tfactors.bundle import Bundle
from tfactors.describe.levels import OlderThresholds, Thresholds

# Rarer than the first a factor may be an accident of one document; denser than the second it
# answers to nearly everything.
_DENSITIES = (1e-4, 0.015)
_LONG = 6.0  # letters, on average over a factor's words: words of content are longer
_SHORTLIST = 12
_EXAMPLES = 40


def first_factor(bundle: Bundle) -> int:
    """Return the factor that a page shows when none was asked for."""
    chosen = factors_by_level(bundle)
    return next((chosen[level] for level in ("mid", "high", "low") if level in chosen), 0)


def factors_by_level(bundle: Bundle) -> dict[str, int]:
    """Return one clear and strong factor for each level that has any."""
    return _factors_by_level(bundle.fingerprint, bundle)


@st.cache_resource(max_entries=4, show_spinner=False)
def _factors_by_level(fingerprint: str, _bundle: Bundle) -> dict[str, int]:
    overview, factors = store.overview(_bundle), _bundle.factors
    limits = _bundle.about.importance.thresholds
    levels = level_rule.levels_in_force(factors, limits)
    density, strength = overview.density.max(axis=1), overview.importance.max(axis=1)
    margin = _margins(factors, limits)
    length = np.array([np.mean([len(w) for w in words] or [0]) for words in factors["words"]])
    usable = (density > _DENSITIES[0]) & (density < _DENSITIES[1]) & (length >= _LONG)
    chosen = {}
    for level, clear in margin.items():
        members = np.flatnonzero((levels == level) & usable)
        if not len(members):
            members = np.flatnonzero(levels == level)
        if len(members):
            score = _rank_share(clear[members]) + _rank_share(strength[members])
            shortlist = members[np.argsort(-score, kind="stable")[:_SHORTLIST]].tolist()
            chosen[level] = min(
                shortlist, key=lambda factor: _share_of_commonest_word(_bundle, factor)
            )
    return chosen


def _margins(factors: pd.DataFrame, limits: Thresholds | OlderThresholds) -> dict[str, np.ndarray]:
    """Return how far inside each level every factor is, (m,), if it is of that level."""
    if isinstance(limits, Thresholds):
        above = np.log(factors["effective_words"].to_numpy(float) / limits.low_words)
        by_window = factors["window_share"].to_numpy(float) - limits.window_share
    else:
        above = factors["depth"].to_numpy(float) - limits.low_depth
        if limits.word_share is not None:
            word = factors[["word_elsewhere", "same_place"]].max(axis=1).fillna(0).to_numpy(float)
            above = np.minimum(above, limits.word_share - word)
        by_window = limits.sentence_share - factors[limits.sentence_column].to_numpy(float)
    return {
        "low": -above,
        "mid": np.minimum(above, -by_window),
        "high": np.minimum(above, by_window),
    }


def _share_of_commonest_word(bundle: Bundle, factor: int) -> float:
    """Return the share of the commonest word among a factor's strongest examples."""
    peak = int(bundle.factors["peak_layer"].iloc[factor])
    if peak not in bundle.layers:
        return 1.0
    words = bundle.examples(factor, peak, _EXAMPLES)["word"].str.casefold()
    return float(words.value_counts(normalize=True).max())


def _rank_share(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values)) / max(len(values) - 1, 1)
