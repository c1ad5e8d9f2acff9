"""The rule of levels in words: a factor's level, and the sentence that gives the reason for it.

Turns a factor's numbers and the thresholds in force into its level, the sentence behind it, and how
far the factor is from each threshold. Older bundles have a rule of their own, told by
:mod:`tfactors.portrait.older_level_rule`.
"""

import numpy as np
import pandas as pd

from tfactors.describe.levels import FEWEST_WINDOWS, OlderThresholds, Thresholds, levels_of
from tfactors.portrait import definitions, older_level_rule
from tfactors.portrait.figure import Figure, percent


def levels_in_force(factors: pd.DataFrame, thresholds: Thresholds | OlderThresholds) -> np.ndarray:
    """Return the level of every factor at these thresholds: low, mid, high, or "" for none.

    Factors of the 2021 website have the level at which it lists them, where it does.
    """
    listed = factors["listed"].to_numpy(dtype=str)
    ours = levels_of(factors, thresholds)
    return np.where((listed != "") & factors["alive"].to_numpy(), listed, ours)


def rule_sentence(thresholds: Thresholds | OlderThresholds) -> str:
    """Return the rule of levels, as a sentence."""
    if isinstance(thresholds, OlderThresholds):
        return older_level_rule.rule_sentence(thresholds)
    few = thresholds.few_words_share
    return definitions.LEVEL_RULE.format(
        words=thresholds.low_words,
        share=thresholds.window_share,
        windows=FEWEST_WINDOWS,
        few="" if few is None else definitions.LEVEL_RULE_OF_FEW.format(share=few),
    )


def level_meaning(level: str, thresholds: Thresholds | OlderThresholds) -> str:
    """Return what a level says of a factor, in a few words."""
    older = isinstance(thresholds, OlderThresholds)
    return (definitions.OLDER_LEVEL_MEANING if older else definitions.LEVEL_MEANING)[level]


def figures(factor: pd.Series, thresholds: Thresholds | OlderThresholds) -> list[Figure]:
    """Return the numbers that part the levels."""
    if isinstance(thresholds, OlderThresholds):
        return older_level_rule.figures(factor, thresholds)
    return [
        Figure("Words", _number(factor["effective_words"]), definitions.EFFECTIVE_WORDS),
        Figure("Windows", _number(factor["effective_windows"]), definitions.EFFECTIVE_WINDOWS),
        Figure("Decided by the window", percent(factor["window_share"]), definitions.WINDOW_SHARE),
    ]


def level_reason(
    factor: pd.Series, level: str, thresholds: Thresholds | OlderThresholds, blocks: int
) -> str:
    """Return the sentence that gives a factor's level with its rule, its numbers and its margin."""
    if not level and (isinstance(thresholds, OlderThresholds) or pd.isna(factor["depth"])):
        return "This factor is dead: no token of the corpus activates it at any layer."
    if isinstance(thresholds, OlderThresholds):
        return older_level_rule.level_reason(factor, level, thresholds, blocks)
    if not level:
        return "It has no level: fewer than 20 tokens of the sample activate it, too few to tell."
    words, low = float(factor["effective_words"]), thresholds.low_words
    spreads = (
        f"Its strongest examples spread on as many words as {_number(words)} that share them evenly"
    )
    share, least = float(factor["window_share"]), _least_share(words, thresholds)
    windows = float(factor["effective_windows"])
    if level == "low":
        few = f"{spreads}; {low:g} or fewer are low-level"
        if least is None or np.isnan(share):
            return f"{few}."
        if share >= least:
            return f"{few}, because it fires in fewer than {FEWEST_WINDOWS:g} windows."
        return (
            f"{few}, unless which window it is decides {least:.0%} of their variance: here "
            f"{share:.1%}."
        )
    decided = (
        f"{spreads}, {'more' if words > low else 'no more'} than {low:g}; which window it is "
        f"decides {share:.1%} of their variance"
    )
    assert least is not None
    if level == "high":
        return f"{decided}, at least {least:.0%}, over as many as {_number(windows)} windows."
    if share >= least:
        return f"{decided}, but only in {_number(windows)} windows, fewer than {FEWEST_WINDOWS:g}."
    return f"{decided}, less than {least:.0%}."


def distances(
    factor: pd.Series, level: str, thresholds: Thresholds | OlderThresholds, blocks: int
) -> list[tuple[str, str]]:
    """Return the rule with a factor's distance to each threshold, line by line."""
    if isinstance(thresholds, OlderThresholds):
        return older_level_rule.distances(factor, level, thresholds, blocks)
    lines = []
    words, low = float(factor["effective_words"]), thresholds.low_words
    if not np.isnan(words):
        lines.append(("Words", f"{_from(words, low)}; low at or below it"))
    share, least = float(factor["window_share"]), _least_share(words, thresholds)
    if not np.isnan(share) and least is None:
        lines.append(("Decided by the window", f"{share:.1%}; of few words never high"))
    elif not np.isnan(share):
        assert least is not None
        side, points = "below" if share < least else "above", abs(share - least) * 100
        of = "few" if words <= low else "many"
        lines.append(
            (
                "Decided by the window",
                f"{share:.1%}, {points:.1f} points {side} the threshold {least:.0%} of factors of "
                f"{of} words; high at or above it",
            )
        )
    windows = float(factor["effective_windows"])
    if not np.isnan(windows):
        lines.append(("Windows", f"{_from(windows, FEWEST_WINDOWS)}; never high below it"))
    return [*lines, ("Level", level or "none")]


def _least_share(words: float, thresholds: Thresholds) -> float | None:
    """Return the share from which a factor of so many words is high; None: never."""
    few = words <= thresholds.low_words
    return thresholds.few_words_share if few else thresholds.window_share


def _from(number: float, threshold: float) -> str:
    side = "below" if number < threshold else "above"
    distance = _number(abs(number - threshold))
    return f"{_number(number)}, {distance} {side} the threshold {threshold:g}"


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.{0 if value >= 10 else 1}f}"
