"""Turns a bundle with its second dictionary into a section: do factors and levels come back?

The section tells the shares of factors with a one-to-one partner above a cosine
(:mod:`tfactors.describe.stability`), beside random directions, and by level. On a sample of the
corpus that both dictionaries code (:mod:`tfactors.evaluate.sampled_levels`) it tells how often a
factor and its partner peak at the same layer and have the same level, beside chance:

    κ = (same − chance) / (1 − chance),     chance = Σ_level share of the level · partners' share
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.coding.solver import SparseCoder
from tfactors.describe.levels import OlderThresholds
from tfactors.describe.stability import match, nearest_cosine
from tfactors.evaluate.evaluation import Evaluation
from tfactors.evaluate.sampled_levels import peaks_and_levels

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LEVEL_THRESHOLDS = (0.5, 0.7, 0.9)
LEVELS = ("low", "mid", "high")
TITLE = "Stability"
ABOUT = (
    "The dictionary was learnt a second time with another seed. A factor that comes back says "
    "something about the model; one that does not may be an accident of the seed."
)


def measure(evaluation: Evaluation) -> Section:
    """Measure which factors, and which levels, come back."""
    bundle = evaluation.bundle
    second = bundle.second_dictionary
    if second is None:
        finding = "This bundle holds no second dictionary: build it with --stability to have one."
        return Section("stability", TITLE, ABOUT, (finding,), ())
    partner, cosine = match(bundle.dictionary, second)
    findings = [
        f"{(cosine > 0.7).mean():.1%} of the factors have a partner above a cosine of 0.7, "
        f"{(cosine > 0.9).mean():.1%} above 0.9.",
    ]
    tables = [
        _by_threshold(bundle.dictionary, second, evaluation.seed),
        _by_level(bundle.factors["level"].to_numpy(), cosine),
    ]
    chosen = np.flatnonzero((cosine > THRESHOLDS[0]) & (partner >= 0))
    if evaluation.encoder.exact and len(chosen):
        first_levels, second_levels = _measure_levels(evaluation, second)
        built = bundle.factors["level"].to_numpy(dtype=str)
        if isinstance(bundle.about.importance.thresholds, OlderThresholds):
            built = None  # by another rule
        agreements = []
        for threshold in LEVEL_THRESHOLDS:
            pairs = chosen[cosine[chosen] > threshold]
            ours, theirs = first_levels.iloc[pairs], second_levels.iloc[partner[pairs]]
            of_pairs = None if built is None else built[pairs]
            agreement = compare_levels(threshold, ours, theirs, of_pairs)
            if agreement is not None:
                agreements.append(agreement)
        tables.append(_level_table(agreements, evaluation.text_for_levels.described))
        findings += _level_findings(agreements)
    return Section("stability", TITLE, ABOUT, tuple(findings), tuple(tables))


def _by_threshold(first: np.ndarray, second: np.ndarray, seed: int) -> Table:
    """Return the shares of factors that are matched in another dictionary, and among chance."""
    random = np.random.default_rng(seed).standard_normal(second.shape)
    random = (random / np.linalg.norm(random, axis=1, keepdims=True)).astype(np.float32)
    rows = []
    for name, other in (("the other seed", second), ("random directions", random)):
        _, cosine = match(first, other)
        nearest = nearest_cosine(first, other)
        for t in THRESHOLDS:
            rows.append((name, t, float((cosine > t).mean()), float((nearest > t).mean())))
    return Table(
        "Factors that come back",
        f"All {len(first):,} factors against {len(second):,} of the other dictionary, beside as "
        "many random directions.",
        (
            Column("against", "Against", "text"),
            Column("above", "Cosine above", "number", "The threshold that is asked for"),
            Column(
                "matched",
                "Matched",
                "share",
                "Factors whose one-to-one partner is nearer "
                "(Hungarian method: the pairs with the largest sum of cosines)",
            ),
            Column("near", "Near any", "share", "Factors with any atom of the other nearer"),
        ),
        tuple(rows),
        Chart("above", "matched", "against"),
    )


def _by_level(level: np.ndarray, cosine: np.ndarray) -> Table:
    """Return the shares of matched factors of each level; both arguments are (m,)."""
    rows: list[tuple[str | int | float | None, ...]] = []
    for name in LEVELS:
        of_level = cosine[level == name]
        if len(of_level):
            shares = [float((of_level > threshold).mean()) for threshold in (0.7, 0.9)]
            rows.append((name, len(of_level), *shares, float(np.median(of_level))))
    return Table(
        "By level",
        "All living factors, by their level in the bundle.",
        (
            Column("level", "Level", "text"),
            Column("factors", "Factors", "count", "Living factors of the level"),
            Column("above7", "Matched above 0.7", "share", "Of these, by their one-to-one partner"),
            Column("above9", "Matched above 0.9", "share", "The same above 0.9"),
            Column("median", "Median cosine", "number", "Of the factors with their partners"),
        ),
        tuple(rows),
    )


def _measure_levels(
    evaluation: Evaluation, second: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return peaks and levels of all factors, and of those of the second dictionary."""
    bundle, sample = evaluation.bundle, evaluation.text_for_levels
    first_encoder = evaluation.encoder
    refit = bundle.about.coding.refit
    second_encoder = replace(first_encoder, coder=SparseCoder(second, refit=refit))
    with evaluation.progress(2 * len(sample.texts), "stability", "window") as bar:
        return (
            peaks_and_levels(bundle, first_encoder, sample, bar),
            peaks_and_levels(bundle, second_encoder, sample, bar),
        )


class LevelAgreement(NamedTuple):
    """How often the factors of pairs above a cosine agree; shares but for ``pairs``."""

    above: float  # the cosine
    pairs: int  # of which both have a level
    same_peak: float
    near_peak: float  # at most one layer apart
    same_level: float
    chance: float  # what would have the same level by chance
    kappa: float | None  # Cohen's; None where chance is certain
    as_built: float | None  # what has the same level in the bundle; None where by another rule


def compare_levels(
    above: float, first: pd.DataFrame, second: pd.DataFrame, built: np.ndarray | None
) -> LevelAgreement | None:
    """Compare factors with their partners, a row a pair; None where no pair has two levels.

    Parameters
    ----------
    above : float
        The cosine that the pairs exceed.
    first, second : DataFrame
        Columns peak and level, as :func:`tfactors.evaluate.sampled_levels.peaks_and_levels`.
    built : (pairs,) str or None
        The level of the first of each pair in its bundle, None where that has an older rule.
    """
    known = (first["level"].to_numpy() != "") & (second["level"].to_numpy() != "")
    first, second = first[known], second[known]
    if first.empty:
        return None
    level, partner_level = (frame["level"].to_numpy(dtype=str) for frame in (first, second))
    apart = abs(first["peak"].to_numpy() - second["peak"].to_numpy())
    chance = sum((level == name).mean() * (partner_level == name).mean() for name in LEVELS)
    same = (level == partner_level).mean()
    return LevelAgreement(
        above,
        len(first),
        same_peak=float((apart == 0).mean()),
        near_peak=float((apart <= 1).mean()),
        same_level=float(same),
        chance=float(chance),
        kappa=float((same - chance) / (1 - chance)) if chance < 1 else None,
        as_built=None if built is None else float((level == built[known]).mean()),
    )


def _level_table(agreements: list[LevelAgreement], sample: str) -> Table:
    return Table(
        "Levels that come back",
        f"Both dictionaries on {sample}; level by the rule that today's bundles have, from all "
        "activations there (the bundle itself uses more text).",
        (
            Column("above", "Pairs above", "number", "Cosine of the one-to-one partners"),
            Column("pairs", "Pairs", "count", "Where both are active in the sample"),
            Column("same_peak", "Same peak layer", "share", "Pairs that peak at the same layer"),
            Column("near_peak", "At most one apart", "share", "Pairs with |difference| ≤ 1"),
            Column("same_level", "Same level", "share", "Pairs of one level: low, mid, high"),
            Column("chance", "By chance", "share", "Σ over levels of the product of their shares"),
            Column("kappa", "Cohen's κ", "number", "(same − chance) / (1 − chance)"),
            Column(
                "as_built",
                "Sample agrees with bundle",
                "share",
                "Factors whose level on the sample is that of the bundle: what sampling costs",
            ),
        ),
        tuple(map(tuple, agreements)),
    )


def _level_findings(agreements: list[LevelAgreement]) -> list[str]:
    return [
        f"Of {at.pairs:,} pairs above 0.7, {at.same_level:.1%} have the same level (by chance "
        f"{at.chance:.1%}) and {at.same_peak:.1%} the same peak layer, measured on a sample"
        + (
            "."
            if at.as_built is None
            else f"; the sample alone agrees with the bundle's own levels in {at.as_built:.1%}."
        )
        for at in agreements
        if at.above == 0.7
    ]
