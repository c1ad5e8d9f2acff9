"""Turns tokens into the rules that fit them: what can be said without a language model.

Labels are made of these rules. Tokens are named by window and position; a sparse table says which
rules fit which token. A rule is a kind and a text: the word is “left”, a word that ends in
“-ing”, a word of a name, a number, a mark, a place in the window, the word before or after, the
source. Everything is read off the text of one window.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from tfactors.text.sentences import sentence_starts
from tfactors.text.words import spelled

# A prefix or suffix has this many letters, and leaves at least two of the word.
AFFIX_LETTERS = (2, 3, 4)
STEM_LETTERS = 2
# A word is told by its first letters; what is longer is no word.
WORD_LETTERS = 40
# Stretches of a window, in tokens, that a rule about the position may name.
STRETCHES = (8, 32)
WINDOWS_AT_ONCE = 1024

_VOWEL = re.compile("[aeiouyäöüéèáàíóú]")
_YEAR = re.compile("1[0-9]{3}|20[0-9]{2}")


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


def rules_of_tokens(
    windows: np.ndarray,
    positions: np.ndarray,
    read: Callable[[np.ndarray], pd.DataFrame],
    source_of_window: np.ndarray,
) -> tuple[csr_array, pd.DataFrame]:
    """Return which rules fit which tokens, (n, rules) of ones, and the rules.

    Parameters
    ----------
    windows, positions : (n,) int
        Where each token stands.
    read : callable
        Gives the windows of some numbers as `Bundle.windows` does.
    source_of_window : (windows,) str
        The name of the source of each window of the corpus.

    Returns
    -------
    fits : (n, R) csr_array of float32
        Ones where a rule fits a token.
    rules : DataFrame
        R rows: kind, text (for "lemma" the stem), as they first occur.
    """
    order = np.lexsort((positions, windows))
    rows, kinds, texts = [], [], []
    numbers, starts = np.unique(windows[order], return_index=True)
    stops = np.append(starts[1:], len(order))
    for first in range(0, len(numbers), WINDOWS_AT_ONCE):
        part = slice(first, first + WINDOWS_AT_ONCE)
        frame = read(numbers[part])
        for window, start, stop in zip(frame.itertuples(), starts[part], stops[part], strict=True):
            source = source_of_window[window.window]
            in_window = order[start:stop]
            rules_of = _window_rules(
                window.tokens, window.word_starts, positions[in_window].tolist()
            )
            for row, rules_of_token in zip(in_window.tolist(), rules_of, strict=True):
                rules = [*rules_of_token, ("source", source)]
                rows.append(np.full(len(rules), row))
                kinds += [kind for kind, _ in rules]
                texts += [text for _, text in rules]
    frame = pd.DataFrame({"kind": pd.Categorical(kinds), "text": pd.Categorical(texts)})
    codes = frame["kind"].cat.codes.to_numpy().astype(np.int64) * (1 << 32)
    codes += frame["text"].cat.codes.to_numpy()
    number, unique = pd.factorize(codes)
    kinds_of = frame["kind"].cat.categories.to_numpy()[unique >> 32]
    texts_of = frame["text"].cat.categories.to_numpy()[unique & ((1 << 32) - 1)]
    row = np.concatenate([np.zeros(0, np.int64), *rows])
    fits = csr_array(
        (np.ones(len(row), np.float32), (row, number)), shape=(len(windows), len(unique))
    )
    fits.data[:] = 1  # a rule that a token was given twice still fits it once
    return fits, pd.DataFrame({"kind": kinds_of, "text": texts_of})


def _window_rules(
    tokens: Sequence[str], word_starts: Sequence[bool], positions: Sequence[int]
) -> Iterator[list[tuple[str, str]]]:
    """Yield the rules, kind and text, that fit the token at each position of a window."""
    starts = [i for i, begins in enumerate(word_starts) if begins or i == 0]
    stops = [*starts[1:], len(tokens)]
    words = [spelled("".join(tokens[a:b])) for a, b in zip(starts, stops, strict=True)]
    edges = list(accumulate(map(len, tokens), initial=0))
    opening = {
        bisect.bisect_right(starts, bisect.bisect_left(edges, character)) - 1
        for character in sentence_starts("".join(tokens))
    }
    for position in positions:
        at = bisect.bisect_right(starts, position) - 1
        word = words[at]
        rules = _word_rules(word)
        if word[:1].isupper() and word != "I" and at > 0 and at not in opening:
            rules.append(("name", "a capital inside a sentence"))
        if at in opening:
            rules.append(("position", "the first word of a sentence"))
        if at + 1 in opening:
            rules.append(("position", "the end of a sentence"))
        for size in STRETCHES:
            first = position // size * size
            rules.append(("position", f"tokens {first} to {first + size - 1} of a window"))
        if position == 0:
            rules.append(("position", "the first token of a window"))
        if stops[at] - starts[at] > 1:
            begins = position == starts[at]
            piece = tokens[position].strip().casefold()
            text = "the beginning" if begins else "the inside"
            rules.append(("position", f"{text} of a word of several tokens"))
            if piece:
                rules.append(("affix", f"{piece}…" if begins else f"…{piece}"))
        if at > 0:
            rules.append(("neighbour", f"after “{words[at - 1].casefold()[:WORD_LETTERS]}”"))
        if at + 1 < len(words):
            rules.append(("neighbour", f"before “{words[at + 1].casefold()[:WORD_LETTERS]}”"))
        yield rules


def _word_rules(word: str) -> list[tuple[str, str]]:
    """Return the rules, kind and text, that follow from a word alone."""
    folded = word.casefold()[:WORD_LETTERS]
    if any(character.isdigit() for character in word):
        rules = [("word", folded), ("number", "a number")]
        return [*rules, ("number", "a year")] if _YEAR.fullmatch(word) else rules
    if not any(character.isalpha() for character in word):
        return [("punctuation", f"“{folded}”"), ("punctuation", "any mark")]
    rules = [("word", folded), ("lemma", stem(folded))]
    if folded.isalpha():
        for size in AFFIX_LETTERS:
            if len(folded) >= size + STEM_LETTERS:
                rules += [("affix", f"{folded[:size]}-"), ("affix", f"-{folded[-size:]}")]
    return rules
