"""The words that tokens are pieces of, as a reader would write them.

Turns the tokens of a window, and where words begin, into the word of one token, or of each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

# Letters of a word that are kept: of a sequence of genes or an encoded picture these will do.
LONGEST_WORD = 100
# What is shown of a word that is empty, as where the 2021 website lost it.
GAP = "▯"


def word_at(tokens: Sequence[str], word_starts: Sequence[bool], position: int) -> str:
    """Return the whole word, without white space around it, that a token belongs to.

    What is longer than `LONGEST_WORD` letters is clipped, so that a table of words stays small.

    >>> word_at([" un", "believ", "able", "!"], [True, False, False, True], 1)
    'unbelievable'
    """
    first = position
    while first > 0 and not word_starts[first]:
        first -= 1
    last = position + 1
    while last < len(tokens) and not word_starts[last]:
        last += 1
    return clipped(spelled("".join(tokens[first:last])))


def words(tokens: Sequence[str], word_starts: Sequence[bool]) -> list[str]:
    """Return for every token the whole word it belongs to, as :func:`word_at` gives it."""
    starts = [i for i, begins in enumerate(word_starts) if begins or i == 0]
    spans = zip(starts, [*starts[1:], len(tokens)], strict=True)
    return [w for a, b in spans for w in [clipped(spelled("".join(tokens[a:b])))] * (b - a)]


def word_bounds(word_starts: np.ndarray) -> np.ndarray:
    """Return where the words of a window start, and where the last one ends, (words + 1,).

    A window that begins within a word begins with the rest of it.

    >>> word_bounds(np.array([False, True, False, True])).tolist()
    [0, 1, 3, 4]
    """
    inner = np.flatnonzero(word_starts[1:]) + 1
    return np.concatenate([[0], inner, [len(word_starts)]])


def word_set(words: str) -> frozenset[str]:
    """Return the words of a list that is written as one string, with spaces between them."""
    return frozenset(words.split())


def spelled(word: str) -> str:
    r"""Return a word without white space around it; a sign where it is nothing but white space.

    The tokenizers of decoders have tokens for a new line, which are words of their own.

    >>> spelled(" left"), spelled("\n"), spelled(" ")
    ('left', '¶', '␣')
    """
    return word.strip() or ("¶" if "\n" in word else "␣" if word else "")


def clipped(word: str) -> str:
    """Return a word as it is stored: of a very long one the first letters and an ellipsis.

    >>> len(clipped("a" * 200_000)), clipped("word")
    (101, 'word')
    """
    return word if len(word) <= LONGEST_WORD else f"{word[:LONGEST_WORD]}…"


def of_letters(word: str) -> bool:
    """Whether a word is of letters only; accents, vowel signs and joiners are parts of letters.

    >>> [of_letters(word) for word in ("word", "don't", "हिन्दी", "می\u200cخواهم", "42", "\u0301")]
    [True, False, True, True, False, False]
    """
    if word.isascii() or word.isalpha():
        return word.isalpha()
    return word[:1].isalpha() and all(
        letter.isalpha() or letter in "\u200c\u200d" or unicodedata.category(letter)[0] == "M"
        for letter in word
    )
