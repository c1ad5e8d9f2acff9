"""The rule of levels in words: a factor's level, and the sentence that gives the reason for it.

Turns a factor's numbers and the thresholds in force into its level and the sentence behind it.
"""

import numpy as np
import pandas as pd

from tfactors.app.parts import definitions
from tfactors.describe.levels import ROUNDING, Thresholds, levels_of


def levels_in_force(factors: pd.DataFrame, thresholds: Thresholds) -> np.ndarray:
    """Return the level of every factor at these thresholds: low, mid, high, or "" when dead.

    Factors of the 2021 website have the level at which it lists them, where it does.
    """
    listed = factors["listed"].to_numpy(dtype=str)
    ours = levels_of(factors, thresholds)
    return np.where((listed != "") & factors["alive"].to_numpy(), listed, ours)


def rule_sentence(thresholds: Thresholds) -> str:
    """Return the rule of levels, as a sentence."""
    if thresholds.word_share is None:
        return definitions.OLDER_RULE
    return definitions.LEVEL_RULE.format(
        low=thresholds.low_depth, word=thresholds.word_share, sentence=thresholds.sentence_share
    )


def sentence_share_help(thresholds: Thresholds) -> str:
    """Return what the number is that tells mid from high."""
    return (
        definitions.RETAINED_SENTENCE
        if thresholds.word_share is None
        else definitions.SENTENCE_ELSEWHERE
    )


def level_reason(factor: pd.Series, level: str, thresholds: Thresholds, blocks: int) -> str:
    """Return the sentence that gives a factor's level with its rule, its numbers and its margin."""
    if not level:
        return "This factor is dead: no token of the corpus activates it at any layer."
    depth, retained = float(factor["depth"]), float(factor[thresholds.sentence_column])
    low, least, share = thresholds.low_depth, thresholds.word_share, thresholds.sentence_share
    peak = f"Its importance peaks at layer {factor['peak_layer']} of {blocks}"
    if depth <= low + ROUNDING:
        return (
            f"{peak}, a depth of {depth:.0%}. Factors at {low:.0%} or less are low-level "
            f"(margin {low - depth:.0%})."
        )
    place, margin = f"{peak}, a depth of {depth:.0%} (over {low:.0%})", [depth - low]
    if least is not None and not np.isnan(word := float(factor["word_elsewhere"])):
        elsewhere = f"its words keep {word:.0%} of the activation at other places"
        if level == "low" and word >= least:
            return (
                f"{place}, but {elsewhere}, at least {least:.0%}: the word decides (margin "
                f"{word - least:.0%})."
            )
        place, margin = f"{place}; {elsewhere}, less than {least:.0%}", [*margin, least - word]
    elif least is not None:
        place = f"{place}; its words stand nowhere else"
    if least is not None and level == "low":  # by the word it was said above
        share_of = float(factor["same_place"])
        return (
            f"{place}, but {share_of:.0%} of its examples stand in the same 8 tokens of their "
            f"windows, at least {least:.0%}: the place decides (margin {share_of - least:.0%})."
        )
    where = "inside another text" if least is not None else "alone"
    decides = (
        f"less than {share:.0%}, so text beyond the sentence decides"
        if level == "high"
        else f"at least {share:.0%}, so the sentence is enough"
    )
    margin.append(abs(retained - share))
    return (
        f"{place}; and its own sentence {where} keeps {retained:.0%}, {decides} "
        f"(margin {min(margin):.0%})."
    )


def website_reason(factor: pd.Series, thresholds: Thresholds, blocks: int) -> str:
    """Return the sentence that puts the list of the 2021 website beside our rule."""
    listed = f"is listed as {factor['listed']}-level" if factor["listed"] else "is in no list"
    if not factor["alive"]:
        return f"On the website it {listed}. The folder that was imported has no page of it."
    if pd.isna(factor["depth"]):
        return f"On the website it {listed}. Its curve could not be read, so our rule says nothing."
    depth, low = float(factor["depth"]), thresholds.low_depth
    ours = (
        f"at or below {low:.0%}, so our rule says low"
        if depth <= low + ROUNDING
        else f"over {low:.0%}, so our rule says mid or high; which of them takes the dictionary"
    )
    return (
        f"On the website it {listed}. Its importance peaks at layer {factor['peak_layer']} of "
        f"{blocks}, a depth of {depth:.0%}: {ours}."
    )
