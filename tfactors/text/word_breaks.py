"""Tells where words part in scripts that write no blanks, and what belongs to one character.

Japanese, Chinese, Thai, Lao, Khmer and Burmese write a clause without a blank. Where words part
there is what Unicode's rules (UAX 29) and the dictionaries of ICU say. In all other scripts words
are parted by tokenizers, blanks and marks, and only what those tear out of a word is put back: an
accent, a vowel sign, a joiner, half of a flag.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

# Scripts without blanks between words: South-East Asian ones, and those of Chinese and Japanese.
_UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b\u3041-\u30ff\u31f0-\u31ff"
    "\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
_OF_UNSPACED = re.compile(f"[{_UNSPACED}]+")
# Beside accents and format characters these are part of the character before or after them: skin
# tones, the halves of flags, and the letters that Hangul syllables are made of.
_PARTS = re.compile(
    "[\U0001f3fb-\U0001f3ff\U0001f1e6-\U0001f1ff\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]"
)
_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")


def is_unspaced(character: str) -> bool:
    """Whether a character is of a script that writes no blanks between words.

    >>> [is_unspaced(character) for character in "日ーกa한é。"]
    [True, True, True, False, False, False, False]
    """
    return _OF_UNSPACED.match(character) is not None


def count_unspaced(text: str) -> int:
    """Return how many characters of a text are of scripts that write no blanks between words."""
    return sum(map(len, _OF_UNSPACED.findall(text)))


def joins(character: str) -> bool:
    """Whether a character is a part of the one beside it, as accents and joiners are.

    >>> [joins(character) for character in ("\u0301", "\u094d", "\u200d", "e", "'")]
    [True, True, True, False, False]
    """
    kind = unicodedata.category(character)
    return kind[0] == "M" or kind == "Cf" or _PARTS.match(character) is not None


def parted(left: str, right: str) -> bool:
    """Whether one of two neighbouring characters is a mark and the other is none."""
    return bool(left and right) and is_mark(left) != is_mark(right)


def is_mark(character: str) -> bool:
    """Whether a character is punctuation, as BERT's tokenizer sees it.

    >>> [is_mark(c) for c in ".$—a5é "]
    [True, True, True, False, False, False, False]
    """
    if character.isascii():
        return character in string.punctuation
    return unicodedata.category(character).startswith("P")


def word_breaks(text: str) -> np.ndarray:
    """Return before which characters a word may begin or end by Unicode's rules and dictionaries.

    Returns
    -------
    (len(text) + 1,) bool
        The last one is the end of the text.

    Examples
    --------
    >>> np.flatnonzero(word_breaks("今日は天気")).tolist()
    [0, 2, 3, 5]
    """
    from icu4py.breakers import WordBreaker  # its data are 30 MB, and ordinary text needs none

    breaks = np.zeros(len(text) + 1, bool)
    breaks[0] = True
    # A lone surrogate is no text to ICU.
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    stops = np.array([stop for _, stop in WordBreaker(text, "en").segments()], np.int64)
    if not len(stops):
        return breaks
    # ICU counts units of UTF-16, of which characters beyond the first plane have two.
    units = 1 + (np.frombuffer(text.encode("utf-32-le"), np.uint32) > 0xFFFF)
    breaks[np.searchsorted(np.cumsum(units), stops) + 1] = True
    return breaks


def mend_word_starts(text: str, edges: Sequence[int], word_starts: np.ndarray) -> None:
    """Put words together, and part them, as a reader of their script does; in place.

    Where a script without blanks is on either side, a word starts where `word_breaks` says; so a
    word is the shortest run of tokens that begins and ends where a reader's word does. Only where
    two tokens meet inside a word and each holds other words as well, it is parted: it would join
    two clauses. What follows inside a character starts none.

    Parameters
    ----------
    text : str
        Any text.
    edges : sequence of int
        Where each token begins in the text, ascending.
    word_starts : (tokens,) bool
        What the tokenizer, white space and marks say.
    """
    if text.isascii():
        return
    characters = set(text)
    unspaced = set(filter(is_unspaced, characters))
    joining = {character for character in characters if character > "\x7f" and joins(character)}
    breaks = word_breaks(text) if unspaced or joining else np.ones(len(text) + 1, bool)
    start = 0  # of the token before that has letters
    for token, (edge, stop) in enumerate(zip(edges, [*edges[1:], len(text)], strict=True)):
        last, start = start, edge
        if token == 0 or edge == 0:
            continue
        if edge == stop:  # the rest of a character
            word_starts[token], start = False, last
            continue
        before, after = text[edge - 1], text[edge]
        if before.isspace() or after.isspace():
            continue
        if before in unspaced or after in unspaced:
            of_more = breaks[last + 1 : edge].any() and breaks[edge + 1 : stop].any()
            word_starts[token] = breaks[edge] or of_more
        elif after in joining or (before in joining and not is_mark(after)):
            word_starts[token] &= breaks[edge]


def words_of_text(text: str) -> list[str]:
    """Return the words and marks of a text, as a reader of its script parts them.

    >>> words_of_text("Don't go; 今日は天気")
    ['Don', "'", 't', 'go', ';', '今日', 'は', '天気']
    """
    if not any(is_unspaced(c) or joins(c) for c in set(text) if c > "\x7f"):
        return _WORD_OR_MARK.findall(text)
    edges = [0, *(match.start() for match in re.finditer(r"(?<=\w)(?!\w)|(?<!\w)(?=\S)", text))]
    edges = sorted({edge for edge in edges if edge < len(text)})
    candidates = sorted({*edges, *np.flatnonzero(word_breaks(text))[:-1].tolist()})
    starts = np.isin(candidates, edges)
    mend_word_starts(text, candidates, starts)
    bounds = [*np.array(candidates)[starts].tolist(), len(text)]
    return [w for a, b in pairwise(bounds) if (w := text[a:b].strip())]
