"""Turns a factor's examples, lined up by their marked words, into the words at each place.

At offset o (whole words; 0 is the marked word itself, −1 the one before) the share of a word w is

    share(w, o) = examples with w at o / examples with any word at o

Upper and lower case count as one. A window ends where it ends: an example whose word stands at the
edge has no words beyond, and is not counted there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tfactors.text.words import spelled, word_bounds

EXAMPLES = 50  # the strongest ones, which are lined up
REACH = 4  # words on each side


@dataclass(frozen=True)
class WordShare:
    """A word at an offset, and how common it is there.

    Attributes
    ----------
    offset : int
        In words from the marked one.
    word : str
        In lower case.
    count : int
        Examples with the word at the offset.
    examples : int
        Examples with any word there.
    share : float
        count / examples.
    """

    offset: int
    word: str
    count: int
    examples: int
    share: float


def words_around(
    tokens: Sequence[str], word_starts: np.ndarray, position: int, reach: int = REACH
) -> dict[int, str]:
    """Return the words at the offsets −reach … reach from a token's word, where there are any.

    Parameters
    ----------
    tokens : sequence of str
        Those of a window.
    word_starts : (tokens,) bool
        Which of them begin a word.
    position : int
        A token of the word at offset 0.
    reach : int
        Words on each side.

    Examples
    --------
    >>> starts = np.array([True, True, False, True])
    >>> words_around(["He", " walk", "ed", " home"], starts, 2)
    {-1: 'He', 0: 'walked', 1: 'home'}
    """
    bounds = word_bounds(word_starts)
    here = int(np.searchsorted(bounds, position, side="right")) - 1
    first, last = max(0, here - reach), min(len(bounds) - 2, here + reach)
    spans = ((at - here, bounds[at], bounds[at + 1]) for at in range(first, last + 1))
    found = {offset: spelled("".join(tokens[start:stop])) for offset, start, stop in spans}
    return {offset: word for offset, word in found.items() if word}


def shares_by_offset(lined_up: Iterable[dict[int, str]]) -> list[WordShare]:
    """Return which words stand at each offset, and in which share of the examples.

    Parameters
    ----------
    lined_up : iterable of dicts
        For each example the word at each offset, as :func:`words_around` gives them.

    Returns
    -------
    list of WordShare
        Sorted by offset; the commonest word first, of equals the one of the earlier example.

    Examples
    --------
    >>> for at in shares_by_offset([{0: "Left"}, {0: "left", 1: "home"}, {0: "on"}, {0: "in"}]):
    ...     print(at.offset, at.word, at.count, at.examples, at.share)
    0 left 2 4 0.5
    0 on 1 4 0.25
    0 in 1 4 0.25
    1 home 1 1 1.0
    """
    counts: dict[int, Counter[str]] = {}
    for words in lined_up:
        for offset, word in words.items():
            counts.setdefault(offset, Counter())[word.casefold()] += 1
    return [
        WordShare(offset, word, count, examples, count / examples)
        for offset, here in sorted(counts.items())
        for examples in [here.total()]
        for word, count in here.most_common()
    ]
