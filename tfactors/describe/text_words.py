"""Turns windows into arrays of words, which conditions of names are read off.

The words of all windows lie one after another. A word is one of a vocabulary of spellings, capitals
and all; what follows from the spelling (the folded word, its stem, its class, its ends) is worked
out once a spelling. What follows from the place (a capital inside a sentence, the first or last
word of a sentence) is worked out here, from the text of one window.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pandas as pd

from tfactors import ragged
from tfactors.describe.word_classes import NAME, word_class
from tfactors.text.sentences import sentence_starts
from tfactors.text.word_breaks import is_unspaced, words_of_text
from tfactors.text.words import spelled

# A word is told by its first letters; what is longer is no word.
WORD_LETTERS = 40
# A stem has at least so many letters more than it loses.
STEM_LETTERS = 2
WINDOWS_AT_ONCE = 1024

_VOWEL = re.compile("[aeiouyäöüéèáàíóú]")


def stem(word: str) -> str:
    """Return what the inflected forms of an English word have in common, roughly.

    Strips plural, -ed, -ing and the possessive; irregular forms stay apart, and now and then two
    words meet. It only has to group, so what it returns need not be a word.

    >>> [stem(word) for word in ("leave", "leaves", "leaving", "stopped", "stops", "studies")]
    ['leav', 'leav', 'leav', 'stop', 'stop', 'studi']
    """
    word = re.sub("['’]s?$", "", word)
    if not word.isalpha() or len(word) < 4:
        return word
    if word.endswith(("ies", "sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        bare = word.removesuffix(ending)
        if bare != word and len(bare) > STEM_LETTERS and _VOWEL.search(bare):
            doubled = bare[-1] == bare[-2] and bare[-1] not in "lsz"
            word = bare[:-1] if doubled else bare
            break
    if word.endswith("y"):
        return word[:-1] + "i"
    return word.removesuffix("e")


def words_asked_for(query: str) -> list[str]:
    """Return the words of a query, in lower case: its parts between blanks, without marks around.

    A part in a script without blanks is several words.

    >>> words_asked_for("Left, right  and 1,000 公園を散歩")
    ['left', 'right', 'and', '1,000', '公園', 'を', '散歩']
    """
    words = []
    for part in query.casefold().split():
        words += words_of_text(part) if any(map(is_unspaced, part)) else [part]
    stripped = (word.strip(".,;:!?\"'()[]。、「」！？") for word in words)
    return list(dict.fromkeys(filter(None, stripped)))


@dataclass(frozen=True)
class Values:
    """A value a word: codes into a list of texts.

    Attributes
    ----------
    codes : (n,) int32
    texts : (k,) object array of str
    """

    codes: np.ndarray
    texts: np.ndarray

    def of(self, rows: np.ndarray) -> Values:
        """Return the values of some rows."""
        return Values(self.codes[rows], self.texts)


@dataclass(frozen=True)
class TextWords:
    """The words of some whole windows, one window after another.

    Attributes
    ----------
    windows : (k,) int
        The numbers of the windows, ascending.
    window_words, window_tokens : (k + 1,) int64
        Where the words and the tokens of each window begin, and last where they end.
    word_of_token : (T,) int32
        The word that each token is part of.
    pieces : Values
        Of each token, the piece of a word that it is: “un…” at its beginning, “…able” further on,
        and "" for a whole word.
    words, stems, classes : Values
        Of each word: folded, stemmed, and its class.
    opens, closes : (W,) bool
        Whether a word is the first or the last of its sentence.
    """

    windows: np.ndarray
    window_words: np.ndarray
    window_tokens: np.ndarray
    word_of_token: np.ndarray
    pieces: Values
    words: Values
    stems: Values
    classes: Values
    opens: np.ndarray
    closes: np.ndarray

    @classmethod
    def read(cls, windows: np.ndarray, read: Callable[[np.ndarray], pd.DataFrame]) -> TextWords:
        """Read the text of some windows.

        Parameters
        ----------
        windows : (k,) int
            Their numbers, ascending.
        read : callable
            Gives the windows of some numbers as `Bundle.windows` does.
        """
        spellings: dict[str, int] = {}
        pieces: dict[str, int] = {"": 0}
        spelling: list[int] = []
        word_of_token: list[int] = []
        piece: list[int] = []
        opens: list[int] = []
        words: list[int] = []
        tokens: list[int] = []
        for row in _rows(windows, read):
            first = len(spelling)
            starts = [i for i, begins in enumerate(row.word_starts) if begins or i == 0]
            stops = [*starts[1:], len(row.tokens)]
            for at, (start, stop) in enumerate(zip(starts, stops, strict=True)):
                word = spelled("".join(row.tokens[start:stop]))
                spelling.append(spellings.setdefault(word, len(spellings)))
                word_of_token += [first + at] * (stop - start)
                if stop - start == 1:
                    piece.append(0)
                    continue
                for position in range(start, stop):
                    text = row.tokens[position].strip().casefold()
                    text = f"{text}…" if position == start else f"…{text}"
                    piece.append(pieces.setdefault(text, len(pieces)))
            words.append(len(starts))
            tokens.append(len(row.tokens))
            opens += [first + at for at in _sentence_openings(row.tokens, starts)]
        return _assembled(
            np.asarray(windows),
            np.array(words, np.int64),
            np.array(tokens, np.int64),
            np.array(word_of_token, np.int32),
            Values(np.array(piece, np.int32), np.array(list(pieces), object)),
            np.array(spelling, np.int32),
            list(spellings),
            np.array(opens, np.int64),
        )

    def words_at(self, windows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the numbers of the words that stand at some places, (n,) int64."""
        return self.word_of_token[self.tokens_at(windows, positions)].astype(np.int64)

    def commonest_words(self) -> np.ndarray:
        """Return the commonest word of each stem, (stems,) object array of str."""
        counts = np.bincount(self.words.codes, minlength=len(self.words.texts))
        stem_of_word = np.zeros(len(self.words.texts), np.int64)
        stem_of_word[self.words.codes] = self.stems.codes
        commonest = np.array(self.stems.texts, object)
        rising = np.argsort(counts, kind="stable")
        commonest[stem_of_word[rising]] = self.words.texts[rising]
        return commonest

    def tokens_at(self, windows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the numbers of tokens that stand at some places, (n,)."""
        return self.window_tokens[np.searchsorted(self.windows, windows)] + positions


def _rows(windows: np.ndarray, read: Callable[[np.ndarray], pd.DataFrame]) -> Iterator:
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        yield from read(windows[first : first + WINDOWS_AT_ONCE]).itertuples()


def _sentence_openings(tokens: list[str], starts: list[int]) -> list[int]:
    """Return which words of a window open a sentence, its first word aside."""
    edges = list(accumulate(map(len, tokens), initial=0))
    return [
        bisect.bisect_right(starts, bisect.bisect_left(edges, character)) - 1
        for character in sentence_starts("".join(tokens))
    ]


def _assembled(
    windows: np.ndarray,
    words: np.ndarray,
    tokens: np.ndarray,
    word_of_token: np.ndarray,
    pieces: Values,
    spelling: np.ndarray,
    spellings: list[str],
    opens: np.ndarray,
) -> TextWords:
    """Return the words of windows, with what follows from their spelling and their place."""
    first_words = ragged.offsets(words)
    opening, closing = np.zeros(len(spelling), bool), np.zeros(len(spelling), bool)
    opening[opens] = True
    closing[opens[opens > 0] - 1] = True
    begins = np.zeros(len(spelling), bool)
    begins[first_words[:-1]] = True
    folded = [word.casefold()[:WORD_LETTERS] for word in spellings]
    classes = _values([*map(word_class, spellings), NAME], np.append(spelling, len(spellings)))
    capital = np.array([word[:1].isupper() and word != "I" for word in spellings], bool)
    named = capital[spelling] & ~opening & ~begins
    open_class = np.array([text.startswith("word") for text in classes.texts], bool)
    name, class_codes = classes.codes[-1], classes.codes[:-1].copy()
    class_codes[named & open_class[class_codes]] = name
    return TextWords(
        windows,
        first_words,
        ragged.offsets(tokens),
        word_of_token,
        pieces,
        _values(folded, spelling),
        _values([stem(word) for word in folded], spelling),
        Values(class_codes, classes.texts),
        opening,
        closing,
    )


def _values(texts: list[str], rows: np.ndarray) -> Values:
    """Return the values of rows that have a text a spelling."""
    codes, unique = pd.factorize(np.array(texts, object))
    return Values(codes.astype(np.int32)[rows], np.asarray(unique, object))
