"""Turns answers into what labels are worth on average, beside what stands against them."""

from __future__ import annotations

from collections.abc import Iterable

from tfactors.bundle.llm_labels import Answer

CHANCE = 0.5
NAMES = {"score": "its label", "rule": "the name by rule", "shuffled": "another factor's label"}


def mean_scores(answers: Iterable[Answer]) -> dict[str, tuple[float, int]]:
    """Return by what was scored the mean balanced accuracy, and of how many factors.

    Only factors of which all that is there was scored count, so that the means are of the same
    ones. Chance, which needs no asking, is of none.
    """
    by_factor: dict[int, dict[str, float]] = {}
    for answer in answers:
        if answer.score is not None:
            by_factor.setdefault(answer.factor, {})[answer.task] = answer.score
    asked = [task for task in NAMES if any(task in scores for scores in by_factor.values())]
    whole = [scores for scores in by_factor.values() if all(task in scores for task in asked)]
    if not whole:
        return {}
    means = {
        NAMES[task]: (sum(scores[task] for scores in whole) / len(whole), len(whole))
        for task in asked
    }
    return means | {"chance": (CHANCE, 0)}
