"""How much of an activation is left in another text.

Turns examples into the share of their activation that is left once words are exchanged. Cutting
context away (`tfactors.explain.retention`) leaves a short text, which a model may read unlike any
other. Here the window keeps its length and the target p its place:

    shuffled   the window's own words but the target's stand in a random order
    sentence   all but the target's sentence is the text of another window
    word       all but the target's word is the text of another window
    none       the target's word is another one too: what the place alone gives

    kept = mean over the top examples of min(1, α_c(x_p | changed window) / α_c(x_p | window))

The other window and the order are drawn anew for each example, by its place in the corpus. So parts
of a corpus give what the whole gives.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.text.sentences import sentence_bounds, word_bounds

if TYPE_CHECKING:
    import pandas as pd

    from tfactors.explain.encoder import FactorEncoder


KINDS = ("shuffled", "sentence", "word", "none")


def kept_elsewhere(
    encoder: "FactorEncoder",
    examples: "pd.DataFrame",
    windows: "Callable[[Sequence[int]], pd.DataFrame]",
    corpus_windows: int,
    kinds: Sequence[str] = KINDS,
    draws: int = 1,
    seed: int = 0,
) -> "pd.DataFrame":
    """Measure how much of each factor's activation is left in another text.

    Parameters
    ----------
    encoder : FactorEncoder
        Model, dictionary, scales and λ that the examples were made with.
    examples : DataFrame
        Columns factor, layer, window, position, activation (above 0).
    windows : callable
        Window numbers -> their rows with token_ids, tokens, word_starts, in that order; as
        `Bundle.windows`.
    corpus_windows : int
        Windows are numbered 0 … corpus_windows − 1.
    kinds : sequence of str
        What is exchanged, of `KINDS`.
    draws : int
        Other texts for each example.
    seed : int
        Seed of the draws.

    Returns
    -------
    DataFrame
        One row a factor and layer, sorted: factor, layer, a column for each kind (float64), and
        examples (how many).
    """
    import pandas as pd

    rows = examples.reset_index(drop=True)
    left = activations_elsewhere(encoder, rows, windows, corpus_windows, kinds, draws, seed)
    kept = np.minimum(1.0, left / rows["activation"].to_numpy(np.float64)[:, None, None])
    table = rows[["factor", "layer"]].assign(**dict(zip(kinds, kept.mean(axis=1).T, strict=True)))
    groups = table.groupby(["factor", "layer"], sort=True)
    return pd.concat([groups.mean(), groups.size().rename("examples")], axis=1).reset_index()


def activations_elsewhere(
    encoder: "FactorEncoder",
    examples: "pd.DataFrame",
    windows: "Callable[[Sequence[int]], pd.DataFrame]",
    corpus_windows: int,
    kinds: Sequence[str] = KINDS,
    draws: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Read the activations of examples again in other texts, as `kept_elsewhere` is told.

    Returns
    -------
    (n, draws, kinds) float64
        What the factor of each example does at its token there.
    """
    from tfactors.explain.encoder import activations_of

    rows = examples.reset_index(drop=True)
    left = np.zeros((len(rows), draws, len(kinds)))
    if rows.empty:
        return left
    drawn = [_generators(example, draws, seed) for example in rows.itertuples()]
    others = [
        [_other_window(int(example.window), corpus_windows, random) for random in generators]
        for example, generators in zip(rows.itertuples(), drawn, strict=True)
    ]
    needed = np.unique(np.concatenate([rows["window"].to_numpy(), *map(np.array, others)]))
    needed = needed.astype(np.int64).tolist()
    text = dict(zip(needed, windows(needed).itertuples(index=False), strict=True))
    for layer, of_layer in rows.groupby("layer"):
        texts, places, where = [], [], []
        for example in of_layer.itertuples():
            at = int(example.Index)
            for draw, random in enumerate(drawn[at]):
                window, other = text[int(example.window)], text[others[at][draw]]
                for column, kind in enumerate(kinds):
                    changed, place = exchanged(kind, window, int(example.position), other, random)
                    end = place + 1 if encoder.model.causal else len(changed)
                    texts.append(changed[:end])
                    places.append(place)
                    where.append((at, draw, column))
        codes = encoder.encode(texts, int(layer), positions=places)
        at, draw, column = np.array(where).T
        factors = rows["factor"].to_numpy()[at]
        left[at, draw, column] = activations_of(codes, np.arange(len(texts)), factors)
    return left


def exchanged(
    kind: str, window: Any, position: int, other: Any, random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Return the token ids of a window, changed as `KINDS` tells, and where the target is then.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    window, other : rows of `Bundle.windows`
        The window of t tokens, and another one.
    position : int
        The target in its window.
    random : numpy Generator
        Draws the order of the words.

    Returns
    -------
    token_ids : (t,) integers
    place : int

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> window = SimpleNamespace(token_ids=[1, 2, 3, 4], word_starts=[True, False, True, True],
    ...                          tokens=["a", "b ", "c ", "d"])
    >>> other = SimpleNamespace(token_ids=[7, 8, 9])
    >>> ids, place = exchanged("word", window, 1, other, np.random.default_rng(0))
    >>> ids.tolist(), place
    ([1, 2, 9, 7], 1)
    """
    ids = np.asarray(window.token_ids)
    if kind == "shuffled":
        return _shuffled(ids, np.asarray(window.word_starts), position, random)
    text = np.resize(np.asarray(other.token_ids), len(ids))
    if kind != "none":
        start, stop = (
            word_bounds(window.word_starts, position)
            if kind == "word"
            else sentence_bounds(window.tokens, position)
        )
        text[start:stop] = ids[start:stop]
    return text, position


def _shuffled(
    ids: np.ndarray, starts: np.ndarray, position: int, random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Put the words but the target's in a random order; it stays where it is among the words."""
    edges = np.unique(np.append(np.flatnonzero(starts), 0))
    words = np.split(np.arange(len(ids)), edges[1:])
    target = int(np.searchsorted(edges, position, side="right")) - 1
    others = random.permutation(np.delete(np.arange(len(words)), target)).tolist()
    order = np.concatenate([words[i] for i in [*others[:target], target, *others[target:]]])
    return ids[order], int(np.flatnonzero(order == position)[0])


def _generators(example: Any, draws: int, seed: int) -> list[np.random.Generator]:
    """Return a random generator for each draw of an example."""
    place = int(example.window), int(example.position), int(example.factor)
    return [np.random.default_rng([seed, draw, *place]) for draw in range(draws)]


def _other_window(window: int, windows: int, random: np.random.Generator) -> int:
    """Draw a window that is not this one, where there is another."""
    if windows < 2:
        return window
    return int((window + 1 + random.integers(windows - 1)) % windows)
