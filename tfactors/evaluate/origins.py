"""Turns a bundle into a check of what its attributions say: sources are really taken away.

For activations drawn by chance from held-out text, and every pair of layers: how much the sum of
contributions misses, how far the predicted change of an activation agrees with the one that the
model gives when a source is taken away, and what taking away the n largest sources does against n
drawn by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

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

if TYPE_CHECKING:
    pass

LARGEST, OTHERS = 8, 8  # sources that are taken away one at a time: the largest, and by chance
TOGETHER = (1, 3, 10, 30)  # sources that are taken away together
LONGEST = 100  # tokens of a window that are read, so that a pair of layers takes seconds
TOKENS_OF_ONE = 50  # held-out tokens for each activation of a pair: fewer have little to draw from
MOST_PAIRS = 30  # of layers; of deeper models neighbours and what spans them
TITLE = "Origins"
ABOUT = (
    "An attribution says what an activation was made from at an earlier layer. Here sources are "
    "taken out of the states there, and the model runs on."
)


@dataclass(frozen=True)
class Checked:
    """What one activation gave.

    ``missed`` of the sum; correlation of predicted with measured change, of the linear read-out and
    of the activation coded anew (NaN where nothing varies); shares of the activation that are lost
    with the largest sources and with as many by chance, (TOGETHER,) each.
    """

    missed: float
    linear: float
    coded: float
    activation: float
    largest: np.ndarray
    by_chance: np.ndarray


def measure(evaluation: Evaluation) -> Section:
    """Measure completeness, agreement with what the model does, and deletion curves."""
    encoder = evaluation.encoder
    tokens = len(evaluation.held_out)
    pairs = _pairs(encoder.layers, MOST_PAIRS if tokens >= 2 * TOKENS_OF_ONE else 0)
    if not pairs:
        said = ("This bundle takes a single layer apart: nothing comes from an earlier one.",)
        return Section("origins", TITLE, ABOUT, said, ())
    random = np.random.default_rng([evaluation.seed, 9])
    texts = [text[:LONGEST] for text in evaluation.held_out.texts]
    found: dict[tuple[int, int], list[Checked]] = {}
    count = min(evaluation.effort.origins, max(1, tokens // TOKENS_OF_ONE))
    with evaluation.progress(len(pairs) * count, "origins", "activation") as bar:
        for below, here in pairs:
            found[below, here] = []
            for _ in range(count):
                text = texts[int(random.integers(len(texts)))]
                states = taken_apart(encoder, text, [below, here])
                goal = _drawn(evaluation, states[here], here, random)
                if goal:
                    found[below, here].append(
                        _checked(evaluation, text, states, below, here, goal, random)
                    )
                bar.update(1)
    return Section("origins", TITLE, ABOUT, _findings(found), (_agreement(found), _curves(found)))


def _pairs(layers: list[int], most: int) -> list[tuple[int, int]]:
    """Return the pairs of layers that are checked, nearest first; of many neighbours and a span."""
    pairs = sorted(combinations(layers, 2), key=lambda pair: (pair[1] - pair[0], pair))
    if len(pairs) <= most:
        return pairs
    neighbours = [pair for pair in pairs if layers.index(pair[1]) == layers.index(pair[0]) + 1]
    return list(dict.fromkeys([*neighbours, (layers[0], layers[-1])]))


def _drawn(
    evaluation: Evaluation, state: LayerState, layer: int, random: np.random.Generator
) -> Goal | None:
    """Return an activation of a text, each as likely as any other; None where there is none."""
    codes = state.codes
    if not codes.nnz:
        return None
    entry = int(random.integers(codes.nnz))
    position = int(np.searchsorted(codes.indptr, entry, side="right")) - 1
    return goal_at(evaluation.encoder, state, position, int(codes.indices[entry]), layer)


def _checked(
    evaluation: Evaluation,
    text: np.ndarray,
    states: dict[int, LayerState],
    below: int,
    here: int,
    goal: Goal,
    random: np.random.Generator,
) -> Checked:
    """Attribute one activation, take sources away, and compare."""
    tables, _ = contributions(evaluation.encoder, text, states, below, here, [goal])
    factors = tables[0][tables[0]["kind"] == "factor"]
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
        missed(tables[0], goal),
        correlation(removal.predicted[:n], removal.measured[:n]),
        correlation(removal.predicted[:n], removal.coded[:n]),
        goal.activation,
        lost[n : n + k],
        lost[n + k :],
    )


def _agreement(found: dict[tuple[int, int], list[Checked]]) -> Table:
    """Return the table of completeness and agreement, a line a pair of layers."""
    rows = []
    for (below, here), checks in found.items():
        linear = np.array([check.linear for check in checks])
        coded = np.array([check.coded for check in checks])
        misses = np.array([check.missed for check in checks])
        rows.append(
            (
                f"{below} → {here}",
                len(checks),
                *(_number(value) for value in (np.median(misses), misses.max(initial=0.0))),
                _number(np.nanmean(linear)),
                _number(np.nanstd(linear)),
                _number(np.nanmean(coded)),
                _number(float((_lost(checks, "largest") - _lost(checks, "by_chance")).mean())),
            )
            if checks
            else (f"{below} → {here}", 0, *[None] * 6)
        )
    tried = f"the {LARGEST} sources with the largest contributions and {OTHERS} others"
    return Table(
        "Predicted and measured",
        f"Activations drawn by chance from held-out text, windows of at most {LONGEST} tokens; "
        f"{tried} taken away one at a time.",
        (
            Column("layers", "Layers", "text", "Layer of the sources → layer of the activation"),
            Column("count", "Activations", "count", "Drawn by chance from the active ones"),
            Column("missed", "Sum misses", "share", "Median of |Σ contributions − α| / α"),
            Column("worst", "at most", "share", "Largest of |Σ contributions − α| / α"),
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
        ),
        tuple(rows),
        Chart("layers", "agreement"),
    )


def _curves(found: dict[tuple[int, int], list[Checked]]) -> Table:
    """Return the table of deletion curves: what is lost with n sources, over all pairs."""
    checks = [check for of_pair in found.values() for check in of_pair]
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


def _findings(found: dict[tuple[int, int], list[Checked]]) -> tuple[str, ...]:
    """Say in sentences what came of it."""
    nearest = min(here - below for below, here in found)
    near = [c for (below, here), checks in found.items() if here - below == nearest for c in checks]
    every = [check for checks in found.values() for check in checks]
    if not every:
        return ("No factor is active in the held-out text.",)
    linear = [check.linear for check in near]
    coded = [check.coded for check in near]
    misses = [check.missed for check in every]
    return (
        f"The sum of contributions misses {np.median(misses):.2%} of an activation (median of "
        f"{len(every)}; at most {max(misses):.1%}).",
        f"Between neighbouring layers the predicted change correlates by {np.nanmean(linear):.2f} "
        f"with the measured one; by {np.nanmean(coded):.2f} where the code is found anew, which "
        "jumps when factors join or leave.",
    )
