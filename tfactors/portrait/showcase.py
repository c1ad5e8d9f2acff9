"""Factors worth a click: the twenty best of each level, chosen by one rule for every bundle.

A factor worth a click has a name that holds, is stable and has a plain pattern. So the living
factors of a level are ranked by each of

- the F₁ of its name on text that had no say in it, 2 · precision · recall / (precision + recall),
- its stability, the cosine to the nearest factor that another seed gave,
- how far inside its level it is,
- how few letters the rule behind its name takes,
- and, above the low level, how many words it answers to: a list that says “moral, ethical,
  conscience” explains a factor better than one that says “moral” forty times;

and a factor is as good as the worst of its ranks. First come those whose name holds and that are
active neither on hardly any token nor on most and whose name says something in words (a stop or a
list of beginnings of words does not), then the others whose name holds, then those without a name.
What a bundle does not know of any factor (no name was judged, no second seed was learnt) ranks
nothing.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfactors.bundle import Bundle
from tfactors.describe.labels import MIXED, f1_score
from tfactors.describe.levels import OlderThresholds, Thresholds
from tfactors.portrait import level_rule
from tfactors.portrait.overview import Overview

# Rarer than the first, a factor may be an accident of one document; denser than the second, it
# answers to nearly everything.
_RAREST, _DENSEST = 0.0001, 0.1


def first_factor(best: Mapping[str, list[int]]) -> int:
    """Return the factor that a page shows when none was asked for, of those worth a click."""
    return next((best[level][0] for level in ("mid", "high", "low") if level in best), 0)


def factors_by_level(bundle: Bundle, overview: Overview, most: int) -> dict[str, list[int]]:
    """Return the factors worth a click of each level that has any, ``most`` of each, best first."""
    factors, limits = bundle.factors, bundle.about.importance.thresholds
    levels = level_rule.levels_in_force(factors, limits)
    density = overview.density.max(axis=1)
    usable = (density > _RAREST) & (density < _DENSEST)
    label, kind = factors["label"], factors["label_kind"]
    nameless = (label == "") | (kind == "mixed") | label.str.startswith(MIXED.strip())
    in_words = label.str.contains(r"[^\W\d_]{3}") & (kind != "affix")
    group = np.where(nameless, 2, 0) + np.where(usable & in_words, 0, 1)
    best = {}
    for level, margin in _margins(factors, limits).items():
        members = np.flatnonzero(levels == level)
        criteria = _criteria(factors, margin, level).iloc[members]
        order = best_first(criteria, group[members])[:most]
        if len(order):
            best[level] = members[order].tolist()
    return best


def best_first(criteria: pd.DataFrame, group: np.ndarray) -> np.ndarray:
    """Return the places of factors, (n,), those first whose worst rank within their group is best.

    ``criteria`` has a column for each criterion, more being better; a column that is empty counts
    for nothing, a single gap as the worst. ``group`` (n,) comes before all of them, the smallest
    first.

    >>> table = pd.DataFrame({"name": [0.9, 0.8, 0.5], "stability": [0.1, 0.7, 0.9]})
    >>> best_first(table, np.array([0, 0, 0])).tolist()
    [1, 0, 2]
    """
    known = criteria.dropna(axis="columns", how="all")
    worst = known.groupby(group).rank(pct=True).fillna(0.0).min(axis="columns")
    return np.lexsort((-worst.to_numpy(), group))


def _criteria(factors: pd.DataFrame, margin: np.ndarray, level: str) -> pd.DataFrame:
    """Return what the factors of a level are ranked by, a row a factor, more being better."""
    precision, recall = factors["label_precision"], factors["label_recall"]
    rule = factors["label_rule"].fillna("")
    criteria = {
        "name": pd.Series(f1_score(precision, recall)).where(precision + recall > 0),
        "stability": factors["stability"],
        "clear": margin,
        "short": -rule.where(rule != "", factors["label"]).str.len(),
    }
    if level != "low":
        criteria["words"] = _different_words(factors)
    return pd.DataFrame(criteria)


def _different_words(factors: pd.DataFrame) -> pd.Series:
    """Return on how many words a factor spreads; older bundles only list their commonest."""
    spread = factors["effective_words"]
    if spread.notna().any():
        return spread
    return factors["words"].map(lambda words: len({word.casefold() for word in words}))


def _margins(factors: pd.DataFrame, limits: Thresholds | OlderThresholds) -> dict[str, np.ndarray]:
    """Return how far inside each level every factor is, (m,), if it is of that level."""
    if isinstance(limits, Thresholds):
        words = factors["effective_words"].to_numpy(float)
        few = words <= limits.low_words
        for_few = np.inf if limits.few_words_share is None else limits.few_words_share
        above = np.log(words / limits.low_words)
        by_window = factors["window_share"].to_numpy(float)
        by_window = by_window - np.where(few, for_few, limits.window_share)
        return {
            "low": np.minimum(-above, -by_window),
            "mid": np.minimum(above, -by_window),
            "high": np.where(few, by_window, np.minimum(above, by_window)),
        }
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
