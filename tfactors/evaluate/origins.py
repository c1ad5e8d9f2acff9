"""Turns a bundle into a check of what its attributions say: sources are really taken away.

For activations drawn by chance from held-out text, and every pair of layers: how much the sum of
contributions misses, how far the predicted change of an activation agrees with the one that the
model gives when a source is taken away, and what taking away the n largest sources does against n
drawn by chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd

from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.evaluate.evaluation import Evaluation
from tfactors.explain.integrated_gradients import (
    Goal,
    LayerState,
    contributions,
    goal_at,
    missed,
    taken_apart,
)
from tfactors.explain.lime_fit import correlation
from tfactors.explain.source_removal import largest_and_by_chance, remove_sources

LARGEST, OTHERS = 8, 8  # sources that are taken away one at a time: the largest, and by chance
TOGETHER = (1, 3, 10, 30)  # sources that are taken away together
LONGEST = 64  # tokens of a window that are read, so that a pair of layers takes seconds
TOKENS_OF_TEXT = 50  # held-out tokens for each text of a pair: fewer have little to draw from
MOST_PAIRS = 30  # of layers; of deeper models neighbours and what spans them
TITLE = "Origins"
ABOUT = (
    "An attribution says what an activation was made from at an earlier layer. Here sources are "
    "taken out of the states there, and the model runs on."
)


@dataclass(frozen=True)
class Checked:
    """What taking away the sources of one activation gave.

    The factor; correlation of predicted with measured change, of the linear read-out and of the
    activation coded anew (NaN where nothing varies); what of it is lost with the largest
    sources and with as many by chance, (TOGETHER,) each.
    """

    factor: int
    linear: float
    coded: float
    activation: float
    largest: np.ndarray
    by_chance: np.ndarray


@dataclass
class PairOfLayers:
    """What was found between two layers.

    ``missed`` of the sums of contributions, a number an activation; those whose sources were taken
    away.
    """

    missed: list[float] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)


def measure(evaluation: Evaluation) -> Section:
    """Measure completeness, agreement with what the model does, and deletion curves."""
    encoder = evaluation.encoder
    tokens = len(evaluation.held_out)
    pairs = _pairs(encoder.layers, MOST_PAIRS if tokens >= 2 * TOKENS_OF_TEXT else 0)
    if not pairs:
        said = ("This bundle takes a single layer apart: nothing comes from an earlier one.",)
        return Section("origins", TITLE, ABOUT, said, ())
    random = np.random.default_rng([evaluation.seed, 9])
    texts = [text[:LONGEST] for text in evaluation.held_out.texts]
    found = {pair: PairOfLayers() for pair in pairs}
    effort = evaluation.effort
    a_text = -(-effort.origins // effort.origin_texts)
    count = min(effort.origin_texts, max(1, tokens // TOKENS_OF_TEXT))
    with evaluation.progress(len(pairs) * count, "origins", "text") as bar:
        for (below, here), of_pair in found.items():
            for _ in range(count):
                text = texts[int(random.integers(len(texts)))]
                states = taken_apart(encoder, text, [below, here])
                goals = _drawn(evaluation, states[here], here, a_text, random)
                if goals:
                    sources, _ = contributions(encoder, text, states, below, here, goals)
                    of_pair.missed += map(missed, sources, goals)
                    removed = _removed(
                        evaluation, text, states, below, here, goals[0], sources[0], random
                    )
                    of_pair.checks.append(removed)
                bar.update(1)
    tables = (_agreement(found), _by_level(evaluation, found), _curves(found))
    return Section("origins", TITLE, ABOUT, _findings(found), tables)


def _pairs(layers: list[int], most: int) -> list[tuple[int, int]]:
    """Return the pairs of layers that are checked, nearest first; of many neighbours and a span."""
    pairs = sorted(combinations(layers, 2), key=lambda pair: (pair[1] - pair[0], pair))
    if len(pairs) <= most:
        return pairs
    neighbours = [pair for pair in pairs if layers.index(pair[1]) == layers.index(pair[0]) + 1]
    return list(dict.fromkeys([*neighbours, (layers[0], layers[-1])]))


def _drawn(
    evaluation: Evaluation,
    state: LayerState,
    layer: int,
    count: int,
    random: np.random.Generator,
) -> list[Goal]:
    """Return some activations of a text, each as likely as any other; fewer where it has fewer."""
    codes = state.codes
    goals = []
    for entry in random.permutation(codes.nnz)[:count].tolist():
        position = int(np.searchsorted(codes.indptr, entry, side="right")) - 1
        factor = int(codes.indices[entry])
        goals.append(goal_at(evaluation.encoder, state, position, factor, layer))
    return goals


def _removed(
    evaluation: Evaluation,
    text: np.ndarray,
    states: dict[int, LayerState],
    below: int,
    here: int,
    goal: Goal,
    sources: pd.DataFrame,
    random: np.random.Generator,
) -> Checked:
    """Take the sources of one activation away, and compare."""
    factors = sources[sources["kind"] == "factor"]
    others = factors.iloc[LARGEST:]
    some = others.iloc[random.permutation(len(others))[:OTHERS]]
    singles = [factors.iloc[[row]] for row in range(min(LARGEST, len(factors)))]
    singles += [some.iloc[[row]] for row in range(len(some))]
    together = largest_and_by_chance(factors, TOGETHER, random)
    removal = remove_sources(
        evaluation.encoder, text, states, below, here, goal, [*singles, *together]
    )
    n, k = len(singles), len(TOGETHER)
    lost = -removal.coded
    return Checked(
        goal.factor,
        correlation(removal.predicted[:n], removal.measured[:n]),
        correlation(removal.predicted[:n], removal.coded[:n]),
        goal.activation,
        lost[n : n + k],
        lost[n + k :],
    )


AGREEMENT = (
    Column(
        "agreement",
        "Correlation",
        "number",
        "Mean over activations of the correlation, over sources, of the predicted with the "
        "measured change of α as a linear function of the state",
    ),
    Column("spread", "±", "number", "Standard deviation of it over activations"),
    Column(
        "coded",
        "Correlation, coded anew",
        "number",
        "The same with the activation of the code that is found anew",
    ),
    Column(
        "area",
        "Largest − by chance",
        "share",
        "Share of α lost with the largest sources less that with as many by chance, mean "
        f"over {', '.join(map(str, TOGETHER))} sources: of Σ α over the activations",
    ),
)
TRIED = f"the {LARGEST} sources with the largest contributions and {OTHERS} others"


def _agreement(found: dict[tuple[int, int], PairOfLayers]) -> Table:
    """Return the table of completeness and agreement, a line a pair of layers."""
    rows = []
    for (below, here), of_pair in found.items():
        misses = np.array(of_pair.missed)
        completeness: tuple[float | None, ...] = (None, None)
        if len(misses):
            completeness = (_number(np.median(misses)), _number(misses.max()))
        rows.append(
            (
                f"{below} → {here}",
                len(misses),
                *completeness,
                len(of_pair.checks),
                *_agreement_of(of_pair.checks),
            )
        )
    return Table(
        "Predicted and measured",
        f"Activations drawn by chance from held-out text, windows of at most {LONGEST} tokens; of "
        f"one in each text {TRIED} are taken away one at a time.",
        (
            Column("layers", "Layers", "text", "Layer of the sources → layer of the activation"),
            Column("count", "Activations", "count", "Drawn by chance from the active ones"),
            Column("missed", "Sum misses", "share", "Median of |Σ contributions − α| / α"),
            Column("worst", "at most", "share", "Largest of |Σ contributions − α| / α"),
            Column("checked", "Taken away", "count", "Activations whose sources are taken away"),
            *AGREEMENT,
        ),
        tuple(rows),
        Chart("layers", "agreement"),
    )


def _by_level(evaluation: Evaluation, found: dict[tuple[int, int], PairOfLayers]) -> Table:
    """Return the table of agreement by the level of the factor that is explained."""
    level = evaluation.bundle.factors["level"].to_numpy(dtype=str)
    checks = [check for of_pair in found.values() for check in of_pair.checks]
    rows = []
    for name in ("low", "mid", "high", ""):
        some = [check for check in checks if level[check.factor] == name]
        if some:
            rows.append((name or "no level", len(some), *_agreement_of(some)))
    return Table(
        "By the level of the factor",
        "The same activations, all pairs of layers together.",
        (
            Column("level", "Level", "text", "Level of the factor that is explained"),
            Column("checked", "Taken away", "count", "Activations whose sources are taken away"),
            *AGREEMENT,
        ),
        tuple(rows),
    )


def _agreement_of(checks: list[Checked]) -> tuple[float | None, ...]:
    """Return the columns of AGREEMENT of some activations."""
    if not checks:
        return (None,) * len(AGREEMENT)
    linear = np.array([check.linear for check in checks])
    coded = np.array([check.coded for check in checks])
    return (
        _number(_mean(linear)),
        _number(np.nanstd(linear)) if np.isfinite(linear).any() else None,
        _number(_mean(coded)),
        _number(float((_lost(checks, "largest") - _lost(checks, "by_chance")).mean())),
    )


def _mean(values: np.ndarray) -> float:
    """Return the mean of the numbers that are known, NaN where none is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _curves(found: dict[tuple[int, int], PairOfLayers]) -> Table:
    """Return the table of deletion curves: what is lost with n sources, over all pairs."""
    checks = [check for of_pair in found.values() for check in of_pair.checks]
    largest, by_chance = _lost(checks, "largest"), _lost(checks, "by_chance")
    rows = tuple(
        (str(number), _number(float(a)), _number(float(b)))
        for number, a, b in zip(TOGETHER, largest, by_chance, strict=True)
    )
    return Table(
        "Sources taken away together",
        f"Of Σ α over {len(checks)} activations, all pairs of layers; codes found anew.",
        (
            Column("sources", "Sources", "text", "How many are taken away"),
            Column("largest", "The largest", "share", "Share of α that is lost with them"),
            Column("chance", "By chance", "share", "Share of α lost with as many active factors"),
        ),
        rows,
    )


def _lost(checks: list[Checked], which: str) -> np.ndarray:
    """Return Σ lost / Σ α over activations, (TOGETHER,); NaN where there are none.

    Of a mean of shares the weakest activations would decide, which may lose many times themselves.
    """
    if not checks:
        return np.full(len(TOGETHER), np.nan)
    lost = np.sum([getattr(check, which) for check in checks], axis=0)
    return lost / sum(check.activation for check in checks)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _findings(found: dict[tuple[int, int], PairOfLayers]) -> tuple[str, ...]:
    """Say in sentences what came of it."""
    nearest = min(here - below for below, here in found)
    near = [
        c for (below, here), pair in found.items() if here - below == nearest for c in pair.checks
    ]
    misses = [miss for of_pair in found.values() for miss in of_pair.missed]
    if not misses:
        return ("No factor is active in the held-out text.",)
    linear = _mean(np.array([check.linear for check in near]))
    coded = _mean(np.array([check.coded for check in near]))
    return (
        f"The sum of contributions misses {np.median(misses):.2%} of an activation (median of "
        f"{len(misses):,}; at most {max(misses):.1%}).",
        f"Between neighbouring layers the predicted change correlates by {linear:.2f} "
        f"with the measured one; by {coded:.2f} where the code is found anew, which "
        "jumps when factors join or leave.",
    )
