"""Turns the windows in which a factor fires into words that they hold and other windows do not.

A high-level factor is about whole windows, and so is its name: “the window has at least k of these
words”. The words are the most telling ones of the windows of its strongest examples
(`tfactors.describe.word_bags`): these come from the whole corpus, and promise more of other texts
than those of a sample would. How many of them, and k, are those with the largest F₁ on the text
that proposes. F₁ is that of `tfactors.describe.labels` with windows in the place of tokens; the
activation of a window is the largest of its tokens'.
"""

from __future__ import annotations

import numpy as np

from tfactors.describe.name_search import BagHas, Firing, Rule
from tfactors.describe.word_bags import WordBags

# So many of the most telling words make a list; a longer one has to be better by COST in F₁.
WORDS = (3, 8, 20, 40)
COST = 0.01


def windows_firing(
    bags: WordBags, rows: np.ndarray, activations: np.ndarray, least: float
) -> Firing:
    """Return in which windows a factor fires.

    Parameters
    ----------
    bags : WordBags
        Of the n tokens of a text.
    rows : (r,) int
        The tokens that activate it.
    activations : (r,) float
    least : float
        θ, what counts as strong.
    """
    largest = np.zeros(bags.window_count)
    np.maximum.at(largest, bags.row[rows], activations)
    firing = np.flatnonzero(largest)
    return Firing.of(firing, largest[firing], least)


def window_rule(bags: WordBags, firing: Firing, stems: np.ndarray) -> Rule | None:
    """Return the rule that tells best in which windows a factor fires, or None.

    Parameters
    ----------
    bags : WordBags
        Of the text that proposes.
    firing : Firing
        In which of its windows the factor fires.
    stems : (k,) int
        Words, the most telling first.
    """
    best: Rule | None = None
    for words in WORDS:
        found = firing.least_count(bags.in_windows(stems[:words]), None)
        if found and (best is None or found[1] > best.f1 + COST):
            best = Rule((BagHas(False, stems[:words], found[0]),), found[1])
        if words >= len(stems):
            break
    return best
