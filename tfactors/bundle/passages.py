"""Examples of a bundle as words in context.

Turns rows of examples into passages: the window of each cut to the words that are wanted, the text
beside it where the window is too short, and the tint of every token.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tfactors.bundle.reading import BundleReader
from tfactors.display.passages import Passage
from tfactors.text.words import spelled, word_bounds


def passages_of(
    bundle: BundleReader,
    examples: pd.DataFrame,
    words: int | None,
    tints: dict[int, np.ndarray] | None = None,
    habits: Mapping[str, float] | None = None,
    contexts: pd.DataFrame | None = None,
) -> list[Passage]:
    """Return examples as words in context.

    Parameters
    ----------
    bundle : BundleReader
        The bundle that they are of.
    examples : DataFrame
        Columns window, position, word, activation and rank.
    words : int or None
        Words of context on each side; None shows whole windows.
    tints : dict of arrays, optional
        By the rank of an example the weights of the tokens of its window, (tokens,).
    habits : mapping of floats, optional
        Weights of words in lower case, where nothing else tints an example.
    contexts : DataFrame, optional
        Activations at the other tokens, as :meth:`BundleReader.contexts`.

    Returns
    -------
    list of Passage
        In the order of the examples.
    """
    if examples.empty:
        return []
    windows = bundle.windows(examples["window"].to_list(), token_ids=False)
    beside = _beside(bundle, examples, windows, words)
    titles = bundle.documents["title"].to_numpy()
    causal = bundle.about.model.causal
    known = {} if contexts is None else {row.rank: row for row in contexts.itertuples(index=False)}
    found = []
    for example, window in zip(
        examples.itertuples(index=False), windows.itertuples(index=False), strict=True
    ):
        first, start, stop, last = cut(window.word_starts, int(example.position), words)
        before, after = _missing(window.word_starts, int(example.position), words)
        tokens = window.tokens[first:last]
        tint, kind = (tints or {}).get(int(example.rank)), "saliency"
        if (context := known.get(int(example.rank))) is not None:
            tint, kind = np.zeros(len(window.tokens)), "activation"
            tint[context.positions] = context.activations
        if tint is not None:
            tint = tint[first:last]
        elif habits:
            tint, kind = _habits(tokens, window.word_starts[first:last], habits), "habit"
        found.append(
            Passage(
                tokens=tokens,
                start=start - first,
                stop=stop - first,
                activation=float(example.activation),
                source=str(titles[window.document]),
                word=str(example.word),
                tints=tint,
                kind=kind,
                rank=int(example.rank),
                ranked=not bundle.abilities.activations,
                earlier=_last_words(beside.get(int(example.window) - 1), before),
                later=_first_words(beside.get(int(example.window) + 1), after),
                causal=causal,
            )
        )
    return found


def texts_around(bundle: BundleReader, examples: pd.DataFrame, words: int) -> list[str]:
    """Return the text around each example, on one line: its word and ``words`` on each side.

    No more than stands in its window.
    """
    numbers, which = np.unique(examples["window"], return_inverse=True)
    windows = bundle.windows(numbers, token_ids=False)
    found = []
    for row, position in zip(which, examples["position"], strict=True):
        tokens = windows["tokens"].iat[row]
        first, _, _, last = cut(windows["word_starts"].iat[row], int(position), words)
        found.append(" ".join("".join(tokens[first:last]).split()))
    return found


# Words of the neighbouring windows that are shown beside a whole window.
_BESIDE_WINDOW = 30


def _missing(word_starts: np.ndarray, position: int, words: int | None) -> tuple[int, int]:
    """Return how many words the window lacks before and after, of those that are wanted."""
    if words is None:
        return _BESIDE_WINDOW, _BESIDE_WINDOW
    starts = np.flatnonzero(word_starts[1:]) + 1
    before = int(np.searchsorted(starts, position, side="right"))
    return max(0, words - before), max(0, words - (len(starts) - before))


def _beside(
    bundle: BundleReader, examples: pd.DataFrame, windows: pd.DataFrame, words: int | None
) -> dict[int, Any]:
    """Return the windows next to those that are too short for the context, by number."""
    if not bundle.abilities.documents:  # nobody knows what stood beside
        return {}
    wanted: dict[int, int] = {}
    for position, window in zip(examples["position"], windows.itertuples(index=False), strict=True):
        before, after = _missing(window.word_starts, int(position), words)
        if before and window.start > 0:
            wanted[window.window - 1] = window.document
        if after:
            wanted[window.window + 1] = window.document
    last = bundle.about.corpus.windows
    known = sorted(number for number in wanted if 0 <= number < last)
    rows = bundle.windows(known, token_ids=False).itertuples(index=False) if known else ()
    return {row.window: row for row in rows if row.document == wanted[row.window]}


def _last_words(window: Any, count: int) -> str:
    if window is None or not count:
        return ""
    starts = word_bounds(window.word_starts)[:-1]
    return "".join(window.tokens[starts[-count] if count <= len(starts) else 0 :])


def _first_words(window: Any, count: int) -> str:
    if window is None or not count:
        return ""
    starts = word_bounds(window.word_starts)[:-1]
    return "".join(window.tokens[: starts[count] if count < len(starts) else None])


def _habits(
    tokens: Sequence[str], word_starts: np.ndarray, habits: Mapping[str, float]
) -> np.ndarray:
    """Return for each token the weight of the word that it belongs to, (tokens,)."""
    bounds = word_bounds(word_starts).tolist()
    weights = np.zeros(len(tokens))
    for start, stop in pairwise(bounds):
        weights[start:stop] = habits.get(spelled("".join(tokens[start:stop])).casefold(), 0.0)
    return weights


def cut(word_starts: np.ndarray, position: int, words: int | None) -> tuple[int, int, int, int]:
    """Return where the context starts, the word starts and ends, and the context ends.

    Parameters
    ----------
    word_starts : (tokens,) bool
        Which tokens of the window begin a word.
    position : int
        A token of the word.
    words : int or None
        Words of context on each side; None for all of them.

    Examples
    --------
    >>> cut(np.array([1, 1, 0, 1, 1], bool), 2, 1)
    (0, 1, 3, 4)
    """
    bounds = word_bounds(word_starts)
    here = int(np.searchsorted(bounds, position, side="right")) - 1
    reach = len(bounds) if words is None else words
    first, last = max(0, here - reach), min(len(bounds) - 1, here + 1 + reach)
    return int(bounds[first]), int(bounds[here]), int(bounds[here + 1]), int(bounds[last])
