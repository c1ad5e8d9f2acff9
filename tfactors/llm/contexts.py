"""Turns a factor of a bundle into the places that a language model is shown, and asked about.

A place is a word with the text around it. Three kinds are known from the bundle alone:

    strong   the word of one of the factor's strongest examples
    random   a word drawn at random from all that activate the factor, however weakly
    silent   a near miss: one of the factor's own words, in a window of one of its strongest
             examples, at none of whose tokens the factor is active

The windows fall into two halves. Places of one half are shown for the label, places of the other
are asked about when a label is scored: no window is in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

import numpy as np
import pandas as pd

from tfactors.bundle import Bundle
from tfactors.bundle.near_misses import silent_words
from tfactors.bundle.passages import cut
from tfactors.display.text import shorten
from tfactors.text.words import clipped, spelled

SHOWN_STRONG, SHOWN_RANDOM, SHOWN_SILENT = 8, 8, 8
ASKED_STRONG, ASKED_RANDOM, ASKED_SILENT = 5, 5, 10
# With fewer active or fewer silent places nothing is scored.
FEWEST = 3
WORDS = 20  # of context on each side
LONGEST_SIDE = 400  # letters of them, where words are very long


@dataclass(frozen=True)
class Place:
    """A word of the text, and what stands around it.

    Attributes
    ----------
    kind : str
        ``strong``, ``random`` or ``silent``.
    window, position : int
        Where it stands.
    quantile : float or None
        Share of the factor's activations that are at most as strong, of a random one.
    before, word, after : str
        The text.
    """

    kind: str
    window: int
    position: int
    quantile: float | None
    before: str
    word: str
    after: str


@dataclass(frozen=True)
class FactorPlaces:
    """The places of a factor at its peak layer: those shown for the label, and those asked about.

    What is asked about stands in an order that tells nothing of its kind.
    """

    factor: int
    layer: int
    shown: tuple[Place, ...]
    asked: tuple[Place, ...]

    @property
    def can_be_scored(self) -> bool:
        """Whether there are enough places to ask about."""
        silent = sum(place.kind == "silent" for place in self.asked)
        return silent >= FEWEST and len(self.asked) - silent >= FEWEST


@dataclass(frozen=True)
class _Spot:
    """A token that may become a place."""

    kind: str
    window: int
    position: int
    quantile: float | None = None


def places_of(bundle: Bundle, factor: int) -> FactorPlaces:
    """Return the places of a factor at its peak layer; the same for the same bundle.

    Parameters
    ----------
    bundle : Bundle
        The bundle.
    factor : int
        Alive, so that it has examples at its peak layer.
    """
    layer = int(bundle.factors["peak_layer"].iloc[factor])
    examples, samples = bundle.examples(factor, layer), bundle.samples(factor, layer)
    shown_half = _halves(examples, samples)
    liked = Counter(word.casefold() for word in [*examples["word"], *samples["word"]])
    strong = [_Spot("strong", w, p) for w, p in _rows(examples, "window", "position")]
    drawn = [
        _Spot("random", int(w), int(p), float(q))
        for w, p, q in _rows(samples, "window", "position", "quantile")
    ]
    silent = _near_misses(bundle, factor, layer, examples, liked)
    rng = np.random.default_rng([factor, layer])

    def half(shown: bool) -> tuple[list[_Spot], list[_Spot], list[_Spot]]:
        return tuple(  # type: ignore[return-value]
            [spot for spot in spots if shown_half[spot.window] == shown]
            for spots in (strong, drawn, silent)
        )

    strong_shown, drawn_shown, silent_shown = half(True)
    shown = [
        *strong_shown[:SHOWN_STRONG],
        *_spread(drawn_shown, SHOWN_RANDOM),
        *silent_shown[:SHOWN_SILENT],
    ]
    strong_asked, drawn_asked, silent_asked = half(False)
    active = _spread(strong_asked, ASKED_STRONG)
    taken = {(spot.window, spot.position) for spot in active}
    others = [spot for spot in drawn_asked if (spot.window, spot.position) not in taken]
    asked = [*active, *_spread(others, ASKED_RANDOM), *silent_asked[:ASKED_SILENT]]
    asked = [asked[at] for at in rng.permutation(len(asked))]
    read = _places(bundle, [*shown, *asked])
    return FactorPlaces(factor, layer, tuple(read[: len(shown)]), tuple(read[len(shown) :]))


def _rows(frame: pd.DataFrame, *columns: str) -> Iterator[tuple]:
    return zip(*(frame[column].tolist() for column in columns), strict=True)


def _halves(examples: pd.DataFrame, samples: pd.DataFrame) -> dict[int, bool]:
    """Return by window whether it is shown: by turns, in the order of strength."""
    half: dict[int, bool] = {}
    for frame in (examples, samples):
        shown = True
        for window in frame["window"].tolist():
            if window not in half:
                half[window] = shown
                shown = not shown
    return half


def _spread(spots: Sequence[_Spot], count: int) -> list[_Spot]:
    """Return so many of the spots, evenly from the first to the last.

    >>> _spread(list(range(9)), 3), _spread(list(range(2)), 3)
    ([0, 4, 8], [0, 1])
    """
    if len(spots) <= count:
        return list(spots)
    return [spots[at] for at in np.linspace(0, len(spots) - 1, count).round().astype(int)]


def _near_misses(
    bundle: Bundle, factor: int, layer: int, examples: pd.DataFrame, liked: Counter[str]
) -> list[_Spot]:
    """Return the near misses, one of each word by turns, the factor's commonest words first.

    Other words of the same windows follow, for factors that are active wherever their words are.
    """
    silent = silent_words(bundle, factor, layer, examples)
    by_word = {w: [_Spot("silent", *place) for place in places] for w, places in silent.items()}
    rng = np.random.default_rng([factor, layer, 1])
    for spots in by_word.values():
        rng.shuffle(spots)  # type: ignore[arg-type]
    own = [by_word[word] for word, _ in liked.most_common() if word in by_word]
    others = sorted(word for word in by_word if word not in liked)
    return [*_by_turns(own), *_by_turns([by_word[word] for word in rng.permutation(others)])]


def _by_turns(lists: Iterable[list[_Spot]]) -> list[_Spot]:
    """Return the first of each list, then the second of each, and so on.

    >>> _by_turns([["a", "b"], ["c"]])
    ['a', 'c', 'b']
    """
    return [spot for turn in zip_longest(*lists) for spot in turn if spot is not None]


def _places(bundle: Bundle, spots: Sequence[_Spot]) -> list[Place]:
    """Return the text of each spot, in their order."""
    if not spots:
        return []
    windows = bundle.windows([spot.window for spot in spots], token_ids=False)
    found = []
    for spot, window in zip(spots, windows.itertuples(index=False), strict=True):
        first, start, stop, last = cut(window.word_starts, spot.position, WORDS)
        before, word, after = (
            "".join(window.tokens[a:b]) for a, b in pairwise((first, start, stop, last))
        )
        before = before if len(before) <= LONGEST_SIDE else f"…{before[-LONGEST_SIDE:]}"
        found.append(
            Place(
                spot.kind,
                spot.window,
                spot.position,
                spot.quantile,
                before.lstrip(),
                clipped(spelled(word)),
                shorten(after.rstrip(), LONGEST_SIDE),
            )
        )
    return found
