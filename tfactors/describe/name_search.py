"""Turns a factor's strong tokens into rules that tell them from all other tokens of a text.

A rule is a conjunction of at most three conditions. A condition asks a slot
(`tfactors.describe.token_slots`) for one of some values, or the words of the window, or near the
token (`tfactors.describe.word_bags`), for at least k of some words. A rule is scored by

    P = Σ credit over tokens that fit / tokens that fit,      credit = min(1, a / θ)
    R = strong tokens that fit / strong tokens,               strong: a ≥ θ
    F₁ = 2PR / (P + R)

with a the factor's activation and θ what counts as strong. The best values of one slot are found by
their own precision: values exclude one another, so that the best set of k has the k values of the
highest precision. Conditions are added one by one to the best few rules, and then each is chosen
again, given the others. A value counts only if strong tokens of FEWEST_WINDOWS windows have it, and
every condition and every further value costs a little, so that a rule is no longer than it is
better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numba import njit

from tfactors import ragged
from tfactors.describe.labels import f1_score
from tfactors.describe.token_slots import TokenSlots
from tfactors.describe.word_bags import FEWEST_WINDOWS, WordBags

# Of the rules of one condition, of two and of three the best so many are kept.
BEAM = (2, 1, 1)
# The most values of a condition, fewer of classes, and the most words of one about a bag.
VALUES = 12
CLASSES = 4
BAG_WORDS = (3, 8)
# What a condition beside the first, and a value beside the first of a condition, cost in F₁.
PART_COST = 0.03
VALUE_COST = 0.004
# Of two conditions that tell about as well the plainer one is better: the word itself is plainest.
KIND_COST = {"word": 0.0, "lemma": 0.004, "class": 0.008}
OTHER_COST = 0.012
OFFSET_COST = 0.002


@dataclass(frozen=True)
class SlotIs:
    """The answer to a slot is one of some values; ``cost`` is what saying so costs in F₁."""

    slot: int
    values: np.ndarray
    cost: float


@dataclass(frozen=True)
class BagHas:
    """At least so many of some words are in the window, or near the token."""

    near: bool
    stems: np.ndarray
    least: int

    @property
    def cost(self) -> float:
        """What its length costs in F₁; a list of words is read as one thing."""
        return VALUE_COST


Condition = SlotIs | BagHas


class Topic(NamedTuple):
    """Words (stems), the most telling first, of whole windows or near tokens."""

    near: bool
    stems: np.ndarray


@dataclass(frozen=True)
class Rule:
    """A conjunction of conditions, with its score where it was found."""

    conditions: tuple[Condition, ...]
    f1: float

    @property
    def score(self) -> float:
        """F₁ less what its length costs."""
        parts = PART_COST * (len(self.conditions) - 1)
        return self.f1 - parts - sum(condition.cost for condition in self.conditions)


@dataclass
class SearchText:
    """A text in which rules are searched, or judged: its tokens and the words around them."""

    tokens: TokenSlots
    bags: WordBags
    _local: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._local = np.full(len(self.tokens.slot_of_value), -1, np.int32)

    def fitting(self, conditions: tuple[Condition, ...]) -> np.ndarray:
        """Return which tokens fit all of some conditions, (n,) bool."""
        fits = np.ones(len(self.tokens.windows), bool)
        for condition in conditions:
            fits &= self._fits(condition)
        return fits

    def _fits(self, condition: Condition) -> np.ndarray:
        if isinstance(condition, BagHas):
            return self.bag_counts(condition.near, condition.stems) >= condition.least
        slot = self.tokens.slots[condition.slot]
        allowed = np.zeros(len(slot.texts), bool)
        allowed[condition.values - slot.first] = True
        return allowed[self.tokens.columns[condition.slot] - slot.first]

    def bag_counts(self, near: bool, stems: np.ndarray) -> np.ndarray:
        """Return how many of some words each token has in its bag, (n,) int."""
        return self.bags.near(stems) if near else self.bags.in_window(stems)

    def counted(self, values: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
        """Return how many tokens, of all or of some rows, have each of some values, (v,) int."""
        if rows is None:
            return self.tokens.totals[values]
        self._local[values] = np.arange(len(values), dtype=np.int32)
        counts = _count(self.tokens.answers, rows, self._local, len(values))
        self._local[values] = -1
        return counts


@njit(cache=True, nogil=True)
def _count(answers, rows, local, number):  # type: ignore[no-untyped-def]
    counts = np.zeros(number, np.int64)
    for row in rows:
        for slot in range(answers.shape[1]):
            at = local[answers[row, slot]]
            if at >= 0:
                counts[at] += 1
    return counts


@dataclass(frozen=True)
class Firing:
    """Where a factor fires in a text.

    Attributes
    ----------
    rows : (r,) int
        The tokens (or windows) that activate it at all, ascending.
    credit : (r,) float
        min(1, a / θ).
    strong : (r,) bool
        a ≥ θ.
    """

    rows: np.ndarray
    credit: np.ndarray
    strong: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, activations: np.ndarray, least: float) -> Firing:
        """Return where a factor fires; ``least`` is θ."""
        order = np.argsort(rows, kind="stable")
        activations = activations[order]
        return cls(rows[order], np.minimum(1, activations / least), activations >= least)

    def shares(self, fits: np.ndarray) -> tuple[float, float]:
        """Return precision and recall of the tokens that fit a rule, (n,) bool."""
        hits = fits[self.rows]
        precision = self.credit[hits].sum() / max(fits.sum(), 1)
        return float(precision), float(self.strong[hits].sum() / max(self.strong.sum(), 1))

    def least_count(self, counts: np.ndarray, fits: np.ndarray | None) -> tuple[int, float] | None:
        """Return the count from which on tokens are told best, and the F₁ of that.

        Parameters
        ----------
        counts : (n,) int
            How many of some words each token has.
        fits : (n,) bool or None
            The tokens that fit what the rule asks beside it; None: all.
        """
        number = int(counts.max(initial=0)) + 1
        here = np.ones(len(self.rows)) if fits is None else fits[self.rows]
        credit, strong = (
            _at_least(counts[self.rows], weight * here, number)
            for weight in (self.credit, self.strong)
        )
        total = _at_least(counts if fits is None else counts[fits], None, number)
        f1 = f1_score(credit / np.maximum(total, 1), strong / max(self.strong.sum(), 1))
        if number == 1:
            return None
        least = 1 + int(f1[1:].argmax())
        return least, float(f1[least])


def search(text: SearchText, firing: Firing, topics: Sequence[Topic]) -> list[Rule]:
    """Return the best rules for a factor's strong tokens in a text, the best first.

    Parameters
    ----------
    text : SearchText
        The text that may propose.
    firing : Firing
        Where the factor fires in it.
    topics : sequence of Topic
        Lists of words that a rule may ask of the window, or near the token.
    """
    found = _Search(text, firing, topics)
    beam = found.extended(Rule((), 0.0))[: BEAM[0]]
    rules = list(beam)
    for width in BEAM[1:]:
        longer = [rule for known in beam for rule in found.extended(known)]
        beam = _best_first(longer)[:width]
        rules += beam
    if rules:
        rules.append(found.refined(_best_first(rules)[0]))
    return _best_first(rules)


def _best_first(rules: Iterable[Rule]) -> list[Rule]:
    """Return rules by their score; of the same score, which is rare, by what they say."""
    ranked = sorted(rules, key=lambda rule: -rule.score)
    tied = (list(same) for _, same in groupby(ranked, key=lambda rule: rule.score))
    return [
        rule
        for same in tied
        for rule in (same if len(same) == 1 else sorted(same, key=lambda r: repr(r.conditions)))
    ]


class _Search:
    """The search for one factor."""

    def __init__(self, text: SearchText, firing: Firing, topics: Sequence[Topic]) -> None:
        self.text, self.firing = text, firing
        self.strong = int(firing.strong.sum())
        answers = text.tokens.answers[firing.rows]
        self._windows = text.tokens.windows[firing.rows]
        # The values that enough strong tokens have, each with the entries of `firing` that have it.
        flat = answers[firing.strong].ravel().astype(np.int64)
        window = np.unique(self._windows[firing.strong], return_inverse=True)[1]
        window = np.repeat(window, answers.shape[1])
        seen = np.unique(flat * (len(firing.rows) + 1) + window) // (len(firing.rows) + 1)
        values, windows = np.unique(seen, return_counts=True)
        self.values = values[(windows >= FEWEST_WINDOWS) & text.tokens.askable[values]]
        self.slots = text.tokens.slot_of_value[self.values]
        place = np.searchsorted(self.values, answers.ravel())
        place[place == len(self.values)] = 0
        known = self.values[place] == answers.ravel() if len(self.values) else place < 0
        self._entry = ragged.owners(np.full(len(answers), answers.shape[1]))[known]
        self._value = place[known]
        self._costs = [
            KIND_COST.get(slot.kind, OTHER_COST) + OFFSET_COST * abs(slot.offset)
            for slot in text.tokens.slots
        ]
        self._of_classes = np.array([slot.kind == "class" for slot in text.tokens.slots])
        self._bags = []
        for topic in topics:
            for number in BAG_WORDS:
                if len(topic.stems) >= number or (len(topic.stems) and number == BAG_WORDS[0]):
                    stems = topic.stems[:number]
                    self._bags.append((topic.near, stems, text.bag_counts(topic.near, stems)))

    def extended(self, known: Rule) -> list[Rule]:
        """Return the rules that a rule becomes with one condition more, the best first."""
        fits = self.text.fitting(known.conditions) if known.conditions else None
        used = {c.slot for c in known.conditions if isinstance(c, SlotIs)}
        bagged = any(isinstance(c, BagHas) for c in known.conditions)
        conditions = [c for c in self._best_values(fits) if c[0].slot not in used]
        more: list[tuple[Condition, float]] = [*conditions]
        if not bagged:
            more += self._best_bags(fits)
        rules = [Rule((*known.conditions, condition), f1) for condition, f1 in more]
        return _best_first(rule for rule in rules if rule.score > known.score)

    def refined(self, rule: Rule) -> Rule:
        """Return a rule with the values of each slot chosen again, given the other conditions."""
        for at, condition in enumerate(rule.conditions):
            others = rule.conditions[:at] + rule.conditions[at + 1 :]
            if isinstance(condition, SlotIs) and others:
                for again, f1 in self._best_values(self.text.fitting(others)):
                    conditions = (*rule.conditions[:at], again, *rule.conditions[at + 1 :])
                    better = Rule(conditions, f1)
                    if again.slot == condition.slot and better.score > rule.score:
                        rule = better
        return rule

    def _best_values(self, fits: np.ndarray | None) -> list[tuple[SlotIs, float]]:
        """Return the best condition on each slot, for tokens that fit, with its F₁."""
        values, slots = self.values, self.slots
        if not len(values):
            return []
        rows = None if fits is None else np.flatnonzero(fits)
        total = self.text.counted(values, rows)
        here = np.ones(len(self.firing.rows)) if fits is None else fits[self.firing.rows]
        weights = self.firing.credit * here, self.firing.strong * here
        credit, strong = (
            np.bincount(self._value, weight[self._entry], minlength=len(values))
            for weight in weights
        )
        order = np.lexsort((values, -credit / (total + 1), slots))
        order = order[strong[order] > 0]
        first = np.flatnonzero(np.diff(slots[order], prepend=-1))
        sizes = np.diff(np.append(first, len(order)))
        place = ragged.spans(0, sizes)
        sums = [_sums_within(column[order], first, sizes) for column in (credit, strong, total)]
        f1 = f1_score(sums[0] / np.maximum(sums[2], 1), sums[1] / max(self.strong, 1))
        most = np.where(self._of_classes[slots[order]], CLASSES, VALUES)
        score = np.where(place < most, f1 - VALUE_COST * place, -1)
        found = []
        for start, size in zip(first.tolist(), sizes.tolist(), strict=True):
            best = start + int(score[start : start + size].argmax())
            chosen = order[start : best + 1]
            chosen = values[chosen[np.argsort(-strong[chosen], kind="stable")]]  # as it is read
            slot = int(slots[order[start]])
            cost = self._costs[slot] + VALUE_COST * (len(chosen) - 1)
            found.append((SlotIs(slot, chosen, cost), float(f1[best])))
        return found

    def _best_bags(self, fits: np.ndarray | None) -> list[tuple[BagHas, float]]:
        """Return the best condition on each list of words, for tokens that fit, with its F₁."""
        found = []
        for near, stems, counts in self._bags:
            if best := self.firing.least_count(counts, fits):
                found.append((BagHas(near, stems, best[0]), best[1]))
        return found


def _sums_within(column: np.ndarray, first: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the running sums of lists that lie one after another."""
    sums = np.cumsum(column)
    return sums - np.repeat(sums[first] - column[first], sizes)


def _at_least(counts: np.ndarray, weights: np.ndarray | None, number: int) -> np.ndarray:
    """Return the weight of counts of at least 0, 1 … number − 1."""
    return np.bincount(counts, weights, minlength=number)[::-1].cumsum()[::-1]
