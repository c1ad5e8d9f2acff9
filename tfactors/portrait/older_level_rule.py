"""The rules of levels in bundles from before November 26, 2026, in their own words.

Turns a factor's numbers and the thresholds in force into the sentence behind its level, its
distances from the thresholds, and the numbers that part the levels. The bundle of the 2021 website
has such a rule too.
"""

import numpy as np
import pandas as pd

from tfactors.describe.levels import ROUNDING, OlderThresholds
from tfactors.portrait import definitions
from tfactors.portrait.figure import Figure, percent


def rule_sentence(thresholds: OlderThresholds) -> str:
    """Return the rule of levels, as a sentence."""
    if thresholds.word_share is None:
        return definitions.OLDEST_LEVEL_RULE
    return definitions.OLDER_LEVEL_RULE.format(
        low=thresholds.low_depth, word=thresholds.word_share, sentence=thresholds.sentence_share
    )


def sentence_share_help(thresholds: OlderThresholds) -> str:
    """Return what the number is that tells mid from high."""
    return (
        definitions.RETAINED_SENTENCE
        if thresholds.word_share is None
        else definitions.SENTENCE_ELSEWHERE
    )


def figures(factor: pd.Series, thresholds: OlderThresholds) -> list[Figure]:
    """Return the two numbers that part the levels, beside the depth."""
    if thresholds.word_share is None:
        word = ("Kept by the word", "retained_word", definitions.RETAINED_WORD)
        sentence = ("Kept by the sentence", "retained_sentence", definitions.RETAINED_SENTENCE)
    else:
        word = ("Kept by its words", "word_elsewhere", definitions.WORD_ELSEWHERE)
        sentence = ("Kept by the sentence", "sentence_elsewhere", definitions.SENTENCE_ELSEWHERE)
    return [Figure(label, percent(factor[column]), tip) for label, column, tip in (word, sentence)]


def level_reason(factor: pd.Series, level: str, thresholds: OlderThresholds, blocks: int) -> str:
    """Return the sentence that gives a factor's level with its rule, its numbers and its margin."""
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


def website_reason(factor: pd.Series, thresholds: OlderThresholds, blocks: int) -> str:
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


def distances(
    row: pd.Series, level: str, limits: OlderThresholds, blocks: int
) -> list[tuple[str, str]]:
    """Return the rule with a factor's distance to each threshold, line by line."""
    depth, sentence = float(row["depth"]), float(row[limits.sentence_column])
    low, sentence_share = limits.low_depth, limits.sentence_share
    layers = (depth - low) * blocks
    lines = [
        (
            "Depth",
            f"{depth:.2f} (layer {row['peak_layer']} of {blocks}), {abs(depth - low):.2f} or "
            f"{abs(layers):.1f} layers {'above' if layers > 1e-9 else 'from'} the threshold "
            f"{low:.2f}; low at or below it",
        )
    ]
    word = float(row["word_elsewhere"])
    if limits.word_share is not None and not np.isnan(word):
        lines.append(
            (
                "Kept by its words elsewhere",
                f"{_from_threshold(word, limits.word_share)}; low at or above it",
            )
        )
    place = float(row["same_place"])
    if limits.word_share is not None and not np.isnan(place):
        lines.append(
            (
                "Examples at one place of the window",
                f"{_from_threshold(place, limits.word_share)}; low at or above it",
            )
        )
    if not np.isnan(sentence):
        name = "Kept by the sentence" + (" in another text" if limits.word_share else "")
        lines.append(
            (name, f"{_from_threshold(sentence, sentence_share)}; high below it, unless low")
        )
    lines.append(("Level", level or "none"))
    return lines


def _from_threshold(share: float, threshold: float) -> str:
    side = "below" if share < threshold else "above"
    points = abs(share - threshold) * 100
    return f"{share:.0%}, {points:.0f} points {side} the threshold {threshold:.0%}"
