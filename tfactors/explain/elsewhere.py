"""How much of an activation is left elsewhere: in another text, or where its word stands again.

Cutting context away (`tfactors.describe.levels`) leaves a short text, which a model may read unlike
any other. Here the window keeps its length and the target p its place, and words are exchanged:

    shuffled   the window's own words but the target's stand in a random order
    sentence   all but the target's sentence is the text of another window
    word       all but the target's word is the text of another window
    none       the target's word is another one too: what the place alone gives

    kept = mean over the top examples of min(1, α_c(x_p | changed window) / α_c(x_p | window))

`kept_by_the_word` asks the corpus itself: what has the factor at other places of the same words?

The other window, the order and the places are drawn anew for each example, by its place in the
corpus, so that parts of a corpus give what the whole gives.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.text.place_hash import NO_SALT, TWO_ROUNDS, scramble
from tfactors.text.sentences import sentence_bounds, word_bounds

if TYPE_CHECKING:
    import pandas as pd

    from tfactors.explain.encoder import FactorEncoder


# Tokens of a window that are the same place.
PLACE = 8
# Places of a word that are kept to draw from.
MOST_PLACES = 64
# How far apart two starts in a window lie in the hash: γ times this is 0xC2B2AE3D27D4EB4F.
_START = np.uint64(0x8D90A46E8698ED3)

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

    Args:
        encoder: model, dictionary, scales and λ that the examples were made with.
        examples: columns factor, layer, window, position, activation (above 0).
        windows: window numbers -> their rows with token_ids, tokens, word_starts, in that order;
            as `Bundle.windows`.
        corpus_windows: windows are numbered 0 … corpus_windows − 1.
        kinds: what is exchanged, of `KINDS`.
        draws: other texts for each example.
        seed: of the draws.

    Returns:
        One row a factor and layer, sorted: factor, layer, a column for each kind (float64), and
        examples (how many).
    """
    import pandas as pd

    from tfactors.explain.encoder import activations_of

    drawn = [_random(example, draws, seed) for example in examples.itertuples()]
    others = [
        [_other(int(example.window), corpus_windows, random) for random in generators]
        for example, generators in zip(examples.itertuples(), drawn, strict=True)
    ]
    needed = np.unique(np.concatenate([examples["window"].to_numpy(), *map(np.array, others)]))
    needed = needed.astype(np.int64).tolist()
    text = dict(zip(needed, windows(needed).itertuples(index=False), strict=True))
    rows = examples.reset_index(drop=True)
    kept = np.zeros((len(rows), draws, len(kinds)))
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
        left = activations_of(codes, np.arange(len(texts)), factors)
        full = rows["activation"].to_numpy(np.float64)[at]
        kept[at, draw, column] = np.minimum(1.0, left / full)
    table = rows[["factor", "layer"]].assign(**dict(zip(kinds, kept.mean(axis=1).T, strict=True)))
    groups = table.groupby(["factor", "layer"], sort=True)
    return pd.concat([groups.mean(), groups.size().rename("examples")], axis=1).reset_index()


def same_place(positions: np.ndarray, lengths: np.ndarray) -> float:
    """The largest share of some examples that stand in the same 8 tokens of their windows.

    Args:
        positions: (n,) of the examples in their windows, from 0; one or more.
        lengths: (n,) tokens of the windows. Places are counted from the start, and from the end.

    >>> same_place(np.array([0, 1, 7, 60]), np.array([64, 64, 64, 64]))
    0.75
    """
    from_start = np.bincount(positions // PLACE).max()
    from_end = np.bincount((lengths - 1 - positions) // PLACE).max()
    return float(max(from_start, from_end) / len(positions))


def exchanged(
    kind: str, window: Any, position: int, other: Any, random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Return the token ids of a window, changed as `KINDS` tells, and where the target is then.

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
    own = int(np.searchsorted(edges, position, side="right")) - 1
    others = random.permutation(np.delete(np.arange(len(words)), own)).tolist()
    order = np.concatenate([words[i] for i in [*others[:own], own, *others[own:]]])
    return ids[order], int(np.flatnonzero(order == position)[0])


def _random(example: Any, draws: int, seed: int) -> list[np.random.Generator]:
    place = int(example.window), int(example.position), int(example.factor)
    return [np.random.default_rng([seed, draw, *place]) for draw in range(draws)]


def _other(window: int, windows: int, random: np.random.Generator) -> int:
    """Draw a window that is not this one, where there is another."""
    if windows < 2:
        return window
    return int((window + 1 + random.integers(windows - 1)) % windows)


def kept_by_the_word(
    encoder: "FactorEncoder",
    examples: "pd.DataFrame",
    windows: "Callable[[Sequence[int]], pd.DataFrame]",
    places: "WordPlaces",
    draws: int = 1,
    seed: int = 0,
) -> "pd.DataFrame":
    """Measure how much of a factor's activation its words have at other places of the corpus.

    For each example other places of its word are drawn, outside the windows of the factor's
    examples, and the activation there at the same token of the word is set beside the example's:

        kept = mean over examples and places of min(1, α_c(x_q) / α_c(x_p))

    Args:
        encoder, examples, windows, draws, seed: as `kept_elsewhere`.
        places: where the words of the examples stand.

    Returns:
        One row a factor and layer, sorted: factor, layer, word (NaN where no word of the examples
        stands anywhere else), places (how many were drawn).
    """
    import pandas as pd

    from tfactors.explain.encoder import activations_of

    rows = examples.reset_index(drop=True)
    own = rows.groupby(["factor", "layer"])["window"].agg(set)
    drawn = [
        (example.Index, window, position)
        for example in rows.itertuples()
        for window, position in places.drawn(
            int(example.window),
            int(example.position),
            own[example.factor, example.layer],
            draws,
            np.random.default_rng(
                [seed, int(example.window), int(example.position), int(example.factor)]
            ),
        )
    ]
    table = rows[["factor", "layer"]].drop_duplicates().sort_values(["factor", "layer"])
    if not drawn:
        return table.assign(word=np.nan, places=0).reset_index(drop=True)
    found = pd.DataFrame(drawn, columns=["example", "window", "position"])
    found = found.join(rows[["factor", "layer", "activation"]], on="example")
    needed = np.unique(found["window"]).tolist()
    text = dict(zip(needed, windows(needed)["token_ids"], strict=True))
    left = np.zeros(len(found))
    for layer, of_layer in found.groupby("layer"):
        places_of = list(zip(of_layer["window"], of_layer["position"], strict=True))
        distinct = sorted(set(places_of))
        row = {place: at for at, place in enumerate(distinct)}
        cut = [
            np.asarray(text[window])[: position + 1 if encoder.model.causal else None]
            for window, position in distinct
        ]
        codes = encoder.encode(cut, int(layer), positions=[position for _, position in distinct])
        at = np.array([row[place] for place in places_of])
        left[of_layer.index] = activations_of(codes, at, of_layer["factor"].to_numpy())
    found["word"] = np.minimum(1.0, left / found["activation"].to_numpy(np.float64))
    groups = found.groupby(["factor", "layer"])["word"].agg(word="mean", places="size")
    table = table.join(groups, on=["factor", "layer"]).reset_index(drop=True)
    return table.assign(places=table["places"].fillna(0).astype(int))


class WordPlaces:
    """Where the words of some examples stand in a corpus: some places of each, drawn by chance.

    A word is what the model reads, the ids of its tokens one after another. However large the
    corpus is, the places kept are those `MOST_PLACES` of each word with the smallest hash.
    """

    def __init__(
        self,
        examples: "pd.DataFrame",
        windows: "Callable[[Sequence[int]], pd.DataFrame]",
        corpus: "Iterable[pd.DataFrame]",
    ) -> None:
        """Find the words of ``examples`` (columns window, position) in a corpus.

        ``windows`` is as `Bundle.windows`; ``corpus`` are all windows of the corpus in any number
        a time and any order, as `Bundle.iter_windows` gives them.
        """
        self._word: dict[tuple[int, int], tuple[bytes, int]] = {}
        positions = examples.groupby("window")["position"].agg(set)
        for some in np.array_split(positions.index.to_numpy(), len(positions) // 1000 + 1):
            for row in windows(some.tolist()).itertuples(index=False):
                ids = np.asarray(row.token_ids, np.int32)
                for position in positions[row.window]:
                    start, stop = word_bounds(row.word_starts, position)
                    word = ids[start:stop].tobytes(), position - start
                    self._word[int(row.window), int(position)] = word
        places: dict[bytes, list[tuple[int, int, int]]] = {w: [] for w, _ in self._word.values()}
        for batch in corpus:
            for row in batch.itertuples(index=False):
                ids = np.asarray(row.token_ids, np.int32)
                edges = np.unique(np.append(np.flatnonzero(row.word_starts), (0, len(ids))))
                hashes = _place_hashes(int(row.window), edges[:-1]).tolist()
                for (start, stop), number in zip(pairwise(edges.tolist()), hashes, strict=True):
                    known = places.get(ids[start:stop].tobytes())
                    if known is not None:
                        known.append((number, int(row.window), start))
                        if len(known) > 4 * MOST_PLACES:
                            known[:] = sorted(known)[:MOST_PLACES]
        self._places = {word: sorted(found)[:MOST_PLACES] for word, found in places.items()}

    def drawn(
        self,
        window: int,
        position: int,
        without: set[int],
        number: int,
        random: np.random.Generator,
    ) -> list[tuple[int, int]]:
        """Draw other places of the word at a place, outside some windows: window and position."""
        word, offset = self._word[window, position]
        there = [place[1:] for place in self._places[word] if place[1] not in without]
        chosen = random.permutation(len(there))[:number].tolist()
        return [(there[i][0], there[i][1] + offset) for i in chosen]


def _place_hashes(window: int, starts: np.ndarray) -> np.ndarray:
    """Return a number for each word of a window, by where it begins: (words,) uint64."""
    number = np.uint64(window) + starts.astype(np.uint64) * _START
    return scramble(number, NO_SALT, TWO_ROUNDS)
