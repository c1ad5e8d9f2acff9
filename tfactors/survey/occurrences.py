"""Which occurrences of which words the survey keeps the codes of, for the senses of words.

In go the windows of a corpus; out come window and position of up to 48 occurrences of each of the
4,000 most frequent words, at most one a window. Every occurrence gets a number that looks random
but follows from where it stands, and the smallest are drawn: nothing else of the corpus, no batch
and no number of processes changes what is drawn.
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
    """Whether a casefolded word is worth asking for its senses: letters only, at least two."""
    return len(name) > 1 and name.isalpha()


def drawn(frames: Iterable[Any], tokens: int, only: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Return window and position of the occurrences to keep, in the order of the corpus.

    ``frames`` are the windows of a bundle (columns window, tokens, word_starts), ``tokens`` how
    many there are in the corpus. ``only`` asks for one word, casefolded, however rare it is: the
    same occurrences that a draw for all words gives it.
    """
    step = -(-tokens // MOST_TOKENS)
    numbers: dict[str, int] = {}
    found: list[tuple[int, int, int]] = []  # word, window, position
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
                if name == only if only else is_word(name):
                    found.append((numbers.setdefault(name, len(numbers)), window, position))
    words, windows, positions = np.array(found, np.int64).reshape(-1, 3).T
    counts = np.bincount(words, minlength=len(numbers))
    frequent = np.lexsort((np.array(list(numbers), str), -counts))[:WORDS]
    chosen = np.zeros(len(counts), bool)
    chosen[frequent] = counts[frequent] >= (1 if only else FEWEST)
    kept = chosen[words]
    words, windows, positions = words[kept], windows[kept], positions[kept]
    order = np.lexsort((scramble(place_number(windows, positions) + np.uint64(1)), words))
    rank = np.arange(len(order)) - np.searchsorted(words[order], words[order])
    order = order[rank < OCCURRENCES]
    order = order[np.lexsort((positions[order], windows[order]))]
    return windows[order], positions[order]
