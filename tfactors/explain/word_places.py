"""Where the words of some examples stand in a corpus, to draw other places of the same word from.

Turns a corpus, window by window, into at most 64 places of each word. A word is what the model
reads, the ids of its tokens one after another. However large the corpus is, the places kept are
those with the smallest hash (`tfactors.text.place_hash`).
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tfactors.text.place_hash import NO_SALT, TWO_ROUNDS, scramble
from tfactors.text.sentences import word_bounds

if TYPE_CHECKING:
    import pandas as pd


# Places of a word that are kept to draw from.
MOST_PLACES = 64
# How far apart two starts in a window lie in the hash: γ times this is 0xC2B2AE3D27D4EB4F.
_START = np.uint64(0x8D90A46E8698ED3)


class WordPlaces:
    """Some places of each word of some examples in a corpus, drawn by chance."""

    def __init__(
        self,
        examples: "pd.DataFrame",
        windows: "Callable[[Sequence[int]], pd.DataFrame]",
        corpus: "Iterable[pd.DataFrame]",
    ) -> None:
        """Find the words of examples in a corpus.

        Parameters
        ----------
        examples : DataFrame
            Columns window, position.
        windows : callable
            Window numbers -> their rows, as `Bundle.windows`.
        corpus : iterable of DataFrame
            All windows of the corpus in any number a time and any order, as `Bundle.iter_windows`
            gives them.
        """
        self._words = _words_of(examples, windows)
        self._places = _places_of({word for word, _ in self._words.values()}, corpus)

    def draw(
        self,
        window: int,
        position: int,
        without: set[int],
        number: int,
        random: np.random.Generator,
    ) -> list[tuple[int, int]]:
        """Draw other places of the word at a place.

        Parameters
        ----------
        window, position : int
            A place of the examples.
        without : set of int
            Windows from which none is drawn.
        number : int
            Places to draw at most.
        random : numpy Generator
            Draws them.

        Returns
        -------
        list of (window, position)
        """
        word, offset = self._words[window, position]
        there = [place for place in self._places[word] if place[0] not in without]
        chosen = random.permutation(len(there))[:number].tolist()
        return [(there[i][0], there[i][1] + offset) for i in chosen]


def _words_of(
    examples: "pd.DataFrame", windows: "Callable[[Sequence[int]], pd.DataFrame]"
) -> dict[tuple[int, int], tuple[bytes, int]]:
    """Return the word at each (window, position), and which of its tokens stands there."""
    words = {}
    positions = examples.groupby("window")["position"].agg(set)
    for some in np.array_split(positions.index.to_numpy(), len(positions) // 1000 + 1):
        for row in windows(some.tolist()).itertuples(index=False):
            ids = np.asarray(row.token_ids, np.int32)
            for position in positions[row.window]:
                start, stop = word_bounds(row.word_starts, position)
                word = ids[start:stop].tobytes(), position - start
                words[int(row.window), int(position)] = word
    return words


def _places_of(
    words: set[bytes], corpus: "Iterable[pd.DataFrame]"
) -> dict[bytes, list[tuple[int, int]]]:
    """Return (window, start) of the places of each word that have the smallest hashes."""
    hashed: dict[bytes, list[tuple[int, int, int]]] = {word: [] for word in words}
    for batch in corpus:
        for row in batch.itertuples(index=False):
            window, ids = int(row.window), np.asarray(row.token_ids, np.int32)
            edges = np.unique(np.append(np.flatnonzero(row.word_starts), (0, len(ids))))
            hashes = _place_hashes(window, edges[:-1]).tolist()
            for (start, stop), number in zip(pairwise(edges.tolist()), hashes, strict=True):
                places = hashed.get(ids[start:stop].tobytes())
                if places is not None:
                    places.append((number, window, start))
                    if len(places) > 4 * MOST_PLACES:
                        places[:] = sorted(places)[:MOST_PLACES]
    return {
        word: [(window, start) for _, window, start in sorted(places)[:MOST_PLACES]]
        for word, places in hashed.items()
    }


def _place_hashes(window: int, starts: np.ndarray) -> np.ndarray:
    """Return a number for each word of a window, by where it begins: (words,) uint64."""
    number = np.uint64(window) + starts.astype(np.uint64) * _START
    return scramble(number, NO_SALT, TWO_ROUNDS)
