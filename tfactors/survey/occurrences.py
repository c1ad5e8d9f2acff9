"""Which occurrences of which words the survey keeps the codes of, for the senses of words.

Turns the windows of a corpus into window and position of up to 48 occurrences of each of the 4,000
most frequent words, at most one a window. Every occurrence gets a number that follows from where it
stands (`tfactors.text.place_hash`), and the smallest are drawn. So nothing else of the corpus, no
batch and no number of processes changes what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfactors.text import words as whole_words
from tfactors.text.place_hash import place_number, scramble

OCCURRENCES = 48  # drawn of a word
FEWEST = 24  # a word in fewer windows says too little to be cut into groups
WORDS = 4000  # the most frequent ones; their codes take some 150 MB while the bundle is built
# Of a larger corpus evenly spaced windows are looked through, so that memory stays bounded.
MOST_TOKENS = 20_000_000


def is_word(name: str) -> bool:
    """Whether a casefolded word is worth asking for its senses: letters only, at least two.

    One is enough of Chinese and Japanese, where it may be a word.
    """
    return whole_words.of_letters(name) and (len(name) > 1 or "\u3400" <= name <= "\u9fff")


def draw_occurrences(
    frames: Iterable[Any], tokens: int, only: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the occurrences to keep, in the order of the corpus.

    Parameters
    ----------
    frames : iterable of DataFrame
        The windows of a bundle: columns window, tokens, word_starts.
    tokens : int
        How many there are in the corpus.
    only : str
        Ask for one word alone, casefolded, however rare it is: the same occurrences that a draw for
        all words gives it.

    Returns
    -------
    windows, positions : (n,) int64
    """
    step = -(-tokens // MOST_TOKENS)
    numbers: dict[str, int] = {}
    candidates: list[tuple[int, int, int]] = []  # word, window, position
    for frame in frames:
        columns = (frame[name] for name in ("window", "tokens", "word_starts"))
        for window, texts, starts in zip(*columns, strict=True):
            if window % step:
                continue
            here: dict[str, int] = {}
            for position, word in enumerate(whole_words.words(texts, starts)):
                if starts[position] or position == 0:
                    here.setdefault(word.casefold(), position)
            for name, position in here.items():
                if (name == only) if only else is_word(name):
                    number = numbers.setdefault(name, len(numbers))
                    candidates.append((number, window, position))
    words, windows, positions = np.array(candidates, np.int64).reshape(-1, 3).T
    counts = np.bincount(words, minlength=len(numbers))
    frequent = [numbers[name] for name in sorted(numbers, key=lambda n: (-counts[numbers[n]], n))]
    wanted_words = np.zeros(len(counts), bool)
    wanted_words[frequent[:WORDS]] = True
    wanted_words &= counts >= (1 if only else FEWEST)
    wanted = wanted_words[words]
    words, windows, positions = words[wanted], windows[wanted], positions[wanted]
    order = np.lexsort((scramble(place_number(windows, positions) + np.uint64(1)), words))
    rank = np.arange(len(order)) - np.searchsorted(words[order], words[order])
    order = order[rank < OCCURRENCES]
    order = order[np.lexsort((positions[order], windows[order]))]
    return windows[order], positions[order]
