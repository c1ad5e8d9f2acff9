"""Turns tokens into slots: what stands there, and what stands before and after, as numbers.

A slot is a question with one answer a token: which word stands two before it, of which class the
word is, how it ends, where in its sentence it stands. Values of all slots are numbered through, so
that a set of values says which slot it is about. A slot's value may be no answer (there is no word
two before the first one), which no name may ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tfactors.describe.text_words import TextWords, Values
from tfactors.text.words import of_letters

# How many words before and after a token a pattern may name.
NEIGHBOURS = 3
# A prefix or suffix has this many letters, and leaves at least two of the word.
AFFIX_LETTERS = (2, 3, 4)
AFFIX_LEAVES = 2
# Where the stretches at the beginning of a window end; the model has read little before them.
STRETCHES = (1, 8, 32)
NO_ANSWER = ""
_STRETCHES = (
    "the first token of a window",
    "tokens 1 to 7 of a window",
    "tokens 8 to 31 of a window",
    NO_ANSWER,
)
_PIECES = (NO_ANSWER, "the beginning of a word of several tokens", "the inside of such a word")
_SENTENCE = (
    NO_ANSWER,
    "the first word of a sentence",
    "the last word of a sentence",
    "a sentence of its own",
)


@dataclass(frozen=True)
class Slot:
    """One question about a token.

    Attributes
    ----------
    kind : str
        word, class, lemma, affix, piece, position, source.
    offset : int
        Of the word that it asks about: 0 is the token's own.
    first : int
        The number of its first value.
    texts : (k,) object array of str
        What its values are called; "" is no answer.
    """

    kind: str
    offset: int
    first: int
    texts: np.ndarray


@dataclass(frozen=True)
class TokenSlots:
    """The answers of n tokens to all slots.

    Attributes
    ----------
    slots : tuple of Slot
    answers : (n, S) int32
        The number of the value, all slots' values numbered through.
    windows : (n,) int
        The number of each token's window.
    words : (n,) int64
        The number of each token's word in the text.
    text : TextWords
        The text that the tokens stand in.
    """

    slots: tuple[Slot, ...]
    answers: np.ndarray
    windows: np.ndarray
    words: np.ndarray
    text: TextWords

    @classmethod
    def of(
        cls,
        text: TextWords,
        windows: np.ndarray,
        positions: np.ndarray,
        source_of_window: np.ndarray,
    ) -> TokenSlots:
        """Return the answers of the tokens at some places of a text.

        Parameters
        ----------
        text : TextWords
            Holds their windows.
        windows, positions : (n,) int
            Where each token stands.
        source_of_window : (windows,) str
            The name of the source of each window of the corpus.
        """
        questions = list(_questions(text, windows, positions, source_of_window))
        slots, answers, first = [], np.empty((len(windows), len(questions)), np.int32), 0
        for column, (kind, offset, values) in enumerate(questions):
            slots.append(Slot(kind, offset, first, values.texts))
            answers[:, column] = values.codes + first
            first += len(values.texts)
        return cls(tuple(slots), answers, windows, text.words_at(windows, positions), text)

    def rows(self, chosen: np.ndarray | slice) -> TokenSlots:
        """Return the tokens of some rows."""
        return TokenSlots(
            self.slots,
            self.answers[chosen],
            self.windows[chosen],
            self.words[chosen],
            self.text,
        )

    @cached_property
    def columns(self) -> np.ndarray:
        """The answers with a slot's in one row, (S, n)."""
        return np.ascontiguousarray(self.answers.T)

    @cached_property
    def askable(self) -> np.ndarray:
        """Whether a name may ask for a value, (values,) bool."""
        return np.concatenate([slot.texts != NO_ANSWER for slot in self.slots]).astype(bool)

    @cached_property
    def slot_of_value(self) -> np.ndarray:
        """The slot of each value, (values,) int."""
        return np.repeat(np.arange(len(self.slots)), [len(slot.texts) for slot in self.slots])

    @cached_property
    def totals(self) -> np.ndarray:
        """How many of the tokens have each value, (values,) int."""
        return np.bincount(self.answers.ravel(), minlength=len(self.slot_of_value))

    def value_text(self, value: int) -> str:
        """Return what a value is called."""
        slot = self.slots[self.slot_of_value[value]]
        return str(slot.texts[value - slot.first])


def _questions(text, windows, positions, source_of_window):  # type: ignore[no-untyped-def]
    """Yield kind, offset and values of every slot."""
    token = text.tokens_at(windows, positions)
    word = text.words_at(windows, positions)
    row = np.searchsorted(text.windows, windows)
    first, stop = text.window_words[row], text.window_words[row + 1]
    for offset in range(-NEIGHBOURS, NEIGHBOURS + 1):
        there = word + offset
        inside = (there >= first) & (there < stop)
        for kind, values in (("word", text.words), ("class", text.classes)):
            codes = np.where(inside, values.codes[np.where(inside, there, 0)] + 1, 0)
            yield kind, offset, Values(codes, np.append([NO_ANSWER], values.texts).astype(object))
    yield "lemma", 0, text.stems.of(word)
    for letters in AFFIX_LETTERS:
        for end in (False, True):
            affixes = [_affix(folded, letters, end) for folded in text.words.texts]
            codes, unique = pd.factorize(np.array(affixes, object))
            yield "affix", 0, Values(codes[text.words.codes[word]], np.asarray(unique, object))
    yield "piece", 0, text.pieces.of(token)
    whole = text.pieces.codes[token] == 0
    begins = text.word_of_token[token] != text.word_of_token[np.maximum(token - 1, 0)]
    inside_word = np.where(whole, 0, np.where(begins | (token == 0), 1, 2))
    yield "position", 0, Values(inside_word, np.array(_PIECES, object))
    sentence = text.opens[word] + 2 * text.closes[word].astype(int)
    yield "position", 0, Values(sentence, np.array(_SENTENCE, object))
    stretch = np.searchsorted(STRETCHES, positions, side="right")
    yield "position", 0, Values(stretch, np.array(_STRETCHES, object))
    codes, unique = pd.factorize(source_of_window[windows])
    yield "source", 0, Values(codes, np.asarray(unique, object))


def _affix(folded: str, letters: int, end: bool) -> str:
    if not of_letters(folded) or len(folded) < letters + AFFIX_LEAVES:
        return NO_ANSWER
    return f"-{folded[-letters:]}" if end else f"{folded[:letters]}-"
