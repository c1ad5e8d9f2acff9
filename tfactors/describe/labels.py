"""What a label must reach, and how it is shown: shared by those who make labels and those who read.

A label is a rule about a token and the text around it, judged on text that did not propose it:

    precision = Σ credit over tokens that fit / tokens that fit,      credit = min(1, a / θ)
    recall    = tokens that fit and are active / active tokens,       active: a ≥ θ

with a the activation at the factor's peak layer and θ ACTIVE_SHARE of its importance. So a token
that activates the factor at half of θ counts half for the rule; “any token” gets the mean credit of
all tokens as its precision, which is a percent or so. The label of a high-level factor is a rule
about windows, which stand in the place of tokens; the activation of a window is the largest of its
tokens'.
"""

from __future__ import annotations

import numpy as np

# A token is active if its activation is this share of the factor's importance.
ACTIVE_SHARE = 0.5
# With fewer active tokens in the text that judges, shares would be accidents.
FEWEST_ACTIVE = 5
# A label must reach this F1.
GOOD_ENOUGH = 0.5
MIXED = "mixed: "


def f1_score(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Return 2PR / (P + R), 0 where both are.

    >>> f1_score(np.array([0.5, 0.0]), np.array([1.0, 0.0])).round(3).tolist()
    [0.667, 0.0]
    """
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


def label_parts(label: str) -> list[str]:
    """Return the words of a label that is a list, or the one text that it is.

    >>> label_parts("mixed: public, power"), label_parts("about forest, timber")
    (['public', 'power'], ['about forest', 'timber'])
    >>> label_parts("said , [“]"), label_parts("[order] · court, issued")
    (['said , [“]'], ['[order] · court, issued'])
    """
    text = label.removeprefix(MIXED)
    return [text] if "[" in text else text.split(", ")


def named(label: str) -> str:
    """Return a label as the pages write it.

    >>> named("mixed: public, power"), named("the word “left”")
    ('public · power', 'the word “left”')
    """
    return " · ".join(label_parts(label)) if label.startswith(MIXED) else label
