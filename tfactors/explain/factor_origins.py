"""Turns activations of a factor, drawn from all of them, into what the factor is made from.

These are the factors of the layer below, and the words of other tokens, each with the share of the
activations that it carries. While the same factors are active an activation is a linear function of
its state, w·z + constant (`tfactors.coding.read_out`). With ∇ its gradient at the states as they
are, and ∇ᵇ at the words alone (one run of the blocks between the two layers and back each), sources
contribute

    factor c at token t    α_tc ∇_t·Φ_c             word at token t    ∇ᵇ_t·(b_t − g)

Of the target's own word what it always brings is taken away already, so it is no source. Over the n
examples of a factor, a source that contributes c_e at all tokens of example e together, where the
activation is α_e, has

    share = Σ c_e / Σ α_e          spread² = Σ α_e (c_e/α_e − share)² / Σ α_e

so that an activation counts as what it is, and one near 0 does not decide. These contributions do
not add up to the activation as those of :mod:`tfactors.explain.attribution` do, whose integrals
they stand for at single points; they cost a tenth.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfactors.bundle.format import SOURCE_KINDS, SOURCES
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.integrated_gradients import (
    Goal,
    LayerState,
    find_goal,
    gradients,
    taken_apart,
)
from tfactors.ragged import owners
from tfactors.text.words import words

if TYPE_CHECKING:
    import pandas as pd

FACTORS_PER_CHUNK = 16
"""Factors that are measured together; those that share a window share its run."""

LEAST_FOUND = 2
"""Examples in which a source has to be found, of two or more."""


def measure_origins(
    encoder: FactorEncoder,
    examples: "pd.DataFrame",
    windows: "Callable[[Sequence[int]], pd.DataFrame]",
    source_layer: int,
) -> "pd.DataFrame":
    """Measure what some factors are made from.

    Parameters
    ----------
    encoder : FactorEncoder
        Model, dictionary and scales that the examples were made with.
    examples : DataFrame
        Columns factor, layer (one and the same), window, position.
    windows : callable
        Window numbers -> their rows with tokens, token_ids and word_starts, in that order; as
        `Bundle.windows`.
    source_layer : int
        An earlier layer, whose states are taken apart.

    Returns
    -------
    DataFrame
        The columns of origins.parquet, sorted by factor and rank. A factor that is silent on all of
        its examples has no row.
    """
    import pandas as pd

    layer, numbers = int(examples["layer"].iloc[0]), _WordNumbers()
    found: dict[int, list[_Example]] = defaultdict(list)
    places = examples.groupby("window")
    texts = windows(list(places.groups))
    for (_, here), window in zip(places, texts.to_dict("records"), strict=True):
        token_ids = np.asarray(window["token_ids"])
        asked = np.unique(here["position"])
        states = taken_apart(encoder, token_ids, [source_layer, layer], asked)
        of_token = zip(here["position"].tolist(), here["factor"].tolist(), strict=True)
        asked_for = [find_goal(encoder, states[layer], *place) for place in of_token]
        goals = [goal for goal in asked_for if goal is not None]
        source = states[source_layer]
        slopes, of_words = gradients(encoder, token_ids, source, source_layer, layer, goals)
        names = numbers.of(window["tokens"], window["word_starts"])
        for at, goal in enumerate(goals):
            entries = [_from_factors(encoder, source, slopes[at])]
            if of_words:
                entries.append(_from_words(source, of_words[at], names, goal.position))
            found[goal.factor].append(_Example.of(goal, entries))
    rows = [_summary(factor, found[factor], numbers) for factor in sorted(found)]
    return pd.concat(rows, ignore_index=True).assign(layer=source_layer) if rows else pd.DataFrame()


class _WordNumbers:
    """Words, casefolded, as numbers below 0, which no factor has."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._number: dict[str, int] = {}

    def of(self, tokens: Sequence[str], word_starts: Sequence[bool]) -> np.ndarray:
        """Return the number of the word that each token of a window belongs to."""
        numbers = []
        for word in words(tokens, word_starts):
            folded = word.casefold()
            if folded not in self._number:
                self.words.append(folded)
                self._number[folded] = -len(self.words)
            numbers.append(self._number[folded])
        return np.array(numbers, np.int64)

    def word(self, number: int) -> str:
        """Return the word of a number, "" of a factor's."""
        return self.words[-1 - number] if number < 0 else ""


_Entries = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Number of the source, position, contribution: (e,) each."""


@dataclass(frozen=True)
class _Example:
    """What the sources contribute in one example: their numbers and places, (e,) each."""

    activation: float
    source: np.ndarray
    offset: np.ndarray
    contribution: np.ndarray

    @classmethod
    def of(cls, goal: Goal, entries: Sequence[_Entries]) -> "_Example":
        """Return the example of an activation; a causal model gets nothing from what follows."""
        source, position, contribution = map(np.concatenate, zip(*entries, strict=True))
        some = contribution != 0
        offset = position[some] - goal.position
        return cls(goal.activation, source[some], offset, contribution[some])


def _from_factors(encoder: FactorEncoder, source: LayerState, slope: np.ndarray) -> _Entries:
    """Return what every active factor contributes; ``slope`` is the gradient, (n, d)."""
    codes = source.codes
    token = owners(np.diff(codes.indptr))
    along = np.einsum("ed,ed->e", slope[token], encoder.coder.dictionary[codes.indices])
    return codes.indices.astype(np.int64), token, codes.data.astype(np.float64) * along


def _from_words(
    source: LayerState, slope: np.ndarray, names: np.ndarray, position: int
) -> _Entries:
    """Return what the word at every other token contributes; ``names`` are their numbers, (n,)."""
    others = np.delete(np.arange(len(slope)), position)
    brought = (source.own - source.mean)[others]
    contribution = np.einsum("nd,nd->n", slope[others], brought)
    return names[others], others, contribution.astype(np.float64)


def _summary(factor: int, examples: Sequence[_Example], numbers: _WordNumbers) -> "pd.DataFrame":
    """Return the rows of one factor from its examples, largest share first."""
    import pandas as pd

    activation = np.array([example.activation for example in examples])
    of_example = owners([len(example.source) for example in examples])
    source = np.concatenate([example.source for example in examples])
    offset = np.concatenate([example.offset for example in examples])
    contribution = np.concatenate([example.contribution for example in examples])
    sources, at = np.unique(source, return_inverse=True)
    sums = np.zeros((len(sources), len(examples)))
    np.add.at(sums, (at, of_example), contribution)
    seen = np.zeros(sums.shape, bool)
    seen[at, of_example] = True
    share = sums.sum(axis=1) / activation.sum()
    apart = sums / activation - share[:, None]
    table = pd.DataFrame(
        {
            "factor": factor,
            "kind": np.where(sources < 0, SOURCE_KINDS[1], SOURCE_KINDS[0]),
            "source": np.where(sources < 0, -1, sources),
            "word": [numbers.word(number) for number in sources.tolist()],
            "share": share,
            "spread": np.sqrt((apart**2 * activation).sum(axis=1) / activation.sum()),
            "found": seen.sum(axis=1),
            "examples": len(examples),
        }
    )
    kept = _strongest(table, factor)
    place = [_place(offset[at == row], np.abs(contribution[at == row])) for row in kept.index]
    columns = pd.DataFrame(place, columns=["offset", "there", "before"], index=kept.index)
    return kept.join(columns).drop(columns="size").assign(rank=np.arange(len(kept)))


def _strongest(table: "pd.DataFrame", factor: int) -> "pd.DataFrame":
    """Return the sources with the largest shares, as many of each kind, and the factor itself.

    What was found in one example of several is left out: it says more of a text than of the factor.
    """
    import pandas as pd

    order, rising = ["size", "kind", "source", "word"], [False, True, True, True]
    ranked = table.assign(size=table["share"].abs()).sort_values(order, ascending=rising)
    itself = ranked["source"] == factor
    common = ranked["found"] >= np.minimum(LEAST_FOUND, ranked["examples"])
    others = ranked[common & ~itself & (ranked["size"] > 0)]
    kept = [of_kind.head(SOURCES // len(SOURCE_KINDS)) for _, of_kind in others.groupby("kind")]
    return pd.concat([ranked[itself], *kept]).sort_values(order, ascending=rising)


def _place(offset: np.ndarray, size: np.ndarray) -> tuple[int, float, float]:
    """Return where a source matters most: that offset, its part of all, and the part before 0.

    Examples
    --------
    >>> _place(np.array([-2, -2, 3]), np.array([1.0, 2.0, 1.0]))
    (-2, 0.75, 0.75)
    """
    places, at = np.unique(offset, return_inverse=True)
    sizes = np.bincount(at, size)
    most = int(sizes.argmax())
    there, before = sizes[most] / sizes.sum(), size[offset < 0].sum() / sizes.sum()
    return int(places[most]), float(there), float(before)
