"""What labelling will ask, and about what that costs, told before it starts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tfactors.bundle import Bundle
from tfactors.errors import InputError
from tfactors.llm.contexts import FactorPlaces
from tfactors.llm.prompts import label_prompt, score_prompt, tokens_in_about

# Factors whose prompts are made to count tokens.
COUNTED = 20
# About what an answer has, and the most that it may have.
LABEL_TOKENS, SCORE_TOKENS = 40, 30
MOST_TOKENS = 1_000
# A label of usual length, where the real one is not known yet.
_USUAL = "x" * 100


@dataclass(frozen=True)
class Prices:
    """What a million tokens cost, None where nobody said."""

    tokens_in: float | None = None
    tokens_out: float | None = None

    def of(self, tokens_in: int, tokens_out: int) -> float | None:
        """Return what so many tokens cost, None where that is unknown.

        >>> Prices(0.5, 2.0).of(1_000_000, 100_000), Prices(0.5).of(1, 1)
        (0.7, None)
        """
        if self.tokens_in is None or self.tokens_out is None:
            return None
        return (self.tokens_in * tokens_in + self.tokens_out * tokens_out) / 1e6


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    Attributes
    ----------
    factors : int
        Those chosen that are alive.
    labelled : int
        Of these, those that have an answer by this model.
    labels, scores : int
        Requests that are left; of scores as many as there may be.
    counted : int
        Factors whose prompts were made to count tokens.
    tokens_in, tokens_out : int
        About how many tokens that takes.
    price : float or None
        What they cost.
    """

    factors: int
    labelled: int
    labels: int
    scores: int
    counted: int
    tokens_in: int
    tokens_out: int
    price: float | None

    def describe(self) -> list[tuple[str, str]]:
        """Return the plan for people, as pairs of a name and a sentence."""
        price = "unknown: give --price-in and --price-out, of a million tokens"
        if self.price is not None:
            price = f"about {self.price:,.2f}, by the prices given"
        return [
            ("factors", f"{self.factors:,}, of which {self.labelled:,} have an answer already"),
            ("requests", f"{self.labels:,} for labels, up to {self.scores:,} for scores"),
            (
                "tokens",
                f"about {self.tokens_in:,} to send and {self.tokens_out:,} to get, at four letters "
                f"a token, by the prompts of {self.counted} of the factors",
            ),
            ("price", price),
        ]

    def record(self) -> dict[str, object]:
        """Return the plan for programs."""
        return asdict(self)


def chosen_factors(
    bundle: Bundle, factors: Sequence[int], level: str, limit: int | None
) -> list[int]:
    """Return the factors to label, ascending: living ones, of a level, at most so many.

    Raises
    ------
    InputError
        A factor is none of the bundle's, or none is left.
    """
    table = bundle.factors
    for factor in factors:
        bundle.factor(factor)  # says which there are
    wanted = table["alive"].to_numpy(bool) & (table["peak_layer"] >= 0).to_numpy(bool)
    if factors:
        wanted &= np.isin(np.arange(len(table)), factors)
    if level:
        wanted &= (table["level"] == level).to_numpy(bool)
    found = np.flatnonzero(wanted)[:limit].tolist()
    if not found:
        raise InputError("no living factor is left by --factors and --level")
    return found


def plan(
    places_of: Callable[[int], FactorPlaces],
    factors: Sequence[int],
    unlabelled: Collection[int],
    unscored: Collection[int],
    scores: int,
    prices: Prices,
) -> Plan:
    """Return what there is to do.

    Parameters
    ----------
    places_of : callable
        Returns the places of a factor.
    factors : sequence of int
        Those chosen.
    unlabelled, unscored : collections of int
        Of these, those that lack a label, and those that lack a score.
    scores : int
        Requests for scores that are left, at most.
    prices : Prices
        Of a million tokens.
    """
    left = sorted({*unlabelled, *unscored})
    at = np.linspace(0, len(left) - 1, min(COUNTED, len(left))).round().astype(int)
    read = [places_of(left[i]) for i in at]
    label = _mean([tokens_in_about(label_prompt(places.shown)) for places in read])
    score = _mean([_score_tokens(places) for places in read])
    tokens_in = round(len(unlabelled) * label + scores * score)
    tokens_out = len(unlabelled) * LABEL_TOKENS + scores * SCORE_TOKENS
    return Plan(
        len(factors),
        len(factors) - len(unlabelled),
        len(unlabelled),
        scores,
        len(read),
        tokens_in,
        tokens_out,
        prices.of(tokens_in, tokens_out),
    )


def _score_tokens(places: FactorPlaces) -> int:
    if not places.can_be_scored:
        return 0
    return tokens_in_about(score_prompt(_USUAL, places.asked))


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0
