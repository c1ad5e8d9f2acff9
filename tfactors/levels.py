"""Importance curves and what is left of activations go in, levels go out: low, mid, high.

A factor's *peak layer* is where its importance is largest and its *depth* = peak layer / blocks.
What decides whether it fires? Its level says so, by what its strongest examples keep at that layer
(`tfactors.elsewhere`):

    low    depth ≤ 1/3, or the same words at other places of the corpus keep 55 % or more, or 55 %
           or more of its examples stand in the same 8 tokens of their windows: the word or place
    high   otherwise, if the word's own sentence inside another text keeps less than half: the text
           beyond the sentence
    mid    otherwise: the sentence

The rule stands in for the 2021 authors' sorting by hand; docs/LEVELS.md tells how often readers
agree with it. Bundles from before it have no such numbers, and an older rule: low by depth alone,
high if the sentence, cut out, retains less than half.

Its *retained activation* says how much of an example's activation is left when the model sees only
a part of the context: with the window's tokens s … e − 1 alone, the target p among them,

    retained = mean over the top examples of min(1, α_c(x_p | s … e − 1) / α_c(x_p | all))

The span is the target's word alone, its own sentence, or the r tokens each side of it; of a causal
model only its part up to the target, as nothing else can matter. *Reach* is the smallest r that
retains 80 %.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from tfactors.bundle import Bundle
    from tfactors.decomposition import FactorEncoder

RADII = (0, 1, 2, 4, 8, 16, 32, 64, 128)
REACH_SHARE = 0.8
LOW_DEPTH, WORD_SHARE, SENTENCE_SHARE = 1 / 3, 0.55, 0.5

# Factors measured together: some 5,000 short texts fill batches of like length, and a build that
# is stopped loses seconds.
FACTORS_PER_CHUNK = 50
# Depths are quotients: 2/6 and a threshold of 1/3 must compare equal however they were rounded.
ROUNDING = 1e-9


def peak_layers(importance: np.ndarray, layers: Sequence[int]) -> np.ndarray:
    """Layer at which each factor is most important; the lowest of equals.

    Args:
        importance: (m, L).
        layers: the L layers of the columns.

    Returns:
        (m,) int16.

    >>> peak_layers(np.array([[3.0, 1.0, 2.0], [0.0, 1.0, 5.0]]), layers=[0, 2, 4])
    array([0, 4], dtype=int16)
    """
    return np.asarray(layers, np.int16)[np.argmax(importance, axis=1)]


def depths(peak: np.ndarray, blocks: int) -> np.ndarray:
    """Peak layer / number of blocks, (m,) float64: 0 is the embedding output, 1 the last block."""
    return np.asarray(peak, np.float64) / blocks


@dataclass(frozen=True)
class Thresholds:
    """Where the levels part. ``word_share`` is None in the older rule, which asks no such thing.

    It is a threshold of the word, and of the place.
    """

    low_depth: float = LOW_DEPTH
    word_share: float | None = WORD_SHARE
    sentence_share: float = SENTENCE_SHARE

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> "Thresholds":
        """Return the thresholds that a bundle was built with."""
        levels = manifest["importance"]["levels"]
        word = levels.get("word_share")
        return cls(
            float(levels["low_depth"]), None if word is None else float(word),
            float(levels["sentence_share"]),
        )  # fmt: skip

    @property
    def sentence_column(self) -> str:
        """The column of factors.parquet that ``sentence_share`` is a threshold of."""
        return "retained_sentence" if self.word_share is None else "sentence_elsewhere"


def classify(
    depth: np.ndarray,
    word: np.ndarray,
    sentence: np.ndarray,
    thresholds: Thresholds = Thresholds(),
) -> np.ndarray:
    """Level of each factor by the rule above.

    Args:
        depth: (m,) in 0 … 1; NaN for a dead factor.
        word: (m,) what the same words keep elsewhere, or the share of the examples at one place
            where that is more, in 0 … 1; NaN where neither is known. The older rule makes no use
            of it.
        sentence: (m,) the column that the thresholds name, in 0 … 1; NaN where it was not
            measured: a dead factor, or published examples without their model.
        thresholds: where the levels part.

    Returns:
        (m,) strings ``low``, ``mid``, ``high``, and ``""`` where a number that is needed is NaN.

    >>> depth = np.array([0.2, 0.9, 0.9, 0.9])
    >>> word, sentence = np.array([0.1, 0.7, 0.2, 0.2]), np.array([1.0, 0.9, 0.8, 0.3])
    >>> classify(depth, word, sentence).tolist()
    ['low', 'low', 'mid', 'high']
    """
    depth, word, sentence = (np.asarray(a, np.float64) for a in (depth, word, sentence))
    level = np.where(sentence < thresholds.sentence_share, "high", "mid")
    level = np.where(np.isnan(depth) | np.isnan(sentence), "", level)
    low = depth <= thresholds.low_depth + ROUNDING
    if thresholds.word_share is not None:
        low |= ~np.isnan(depth) & (word >= thresholds.word_share)
    return np.where(low, "low", level)


def levels_of(factors: "pd.DataFrame", thresholds: Thresholds) -> np.ndarray:
    """Level of each row of a bundle's ``factors``, (m,), as `classify`."""
    depth, word, place, sentence = (
        factors[name].to_numpy(dtype=np.float64)
        for name in ("depth", "word_elsewhere", "same_place", thresholds.sentence_column)
    )
    return classify(depth, np.fmax(word, place), sentence, thresholds)


def retention(
    encoder: "FactorEncoder",
    examples: "pd.DataFrame",
    windows: "Callable[[Sequence[int]], pd.DataFrame]",
    radii: Sequence[int] = RADII,
    progress: Callable[[int, int], None] | None = None,
) -> "pd.DataFrame":
    """Measure how much of each factor's activation is left when its context is cut away.

    Where the model takes position ids the tokens of a span keep the ids they have in the window, so
    that nothing but the context changes; a model that takes none reads the span as a text of its
    own (with relative positions that is the same).

    An example's share is at most 1. Less context can also raise an activation, and without the
    bound one example that grows threefold would hide two that are lost.

    Args:
        encoder: model, dictionary, scales and λ that the examples were made with.
        examples: columns factor, layer, window, position, activation (above 0): the top examples
            of each factor at one layer, as a rule its peak layer.
        windows: window numbers -> their rows with token_ids, tokens, word_starts, in that order;
            as `Bundle.windows`.
        radii: tokens each side, ascending.
        progress: called with (examples done, examples in all) after each chunk of factors.

    Returns:
        One row a factor and layer, sorted: factor, layer, word, sentence, reach (Int16, missing
        where no radius retains 80 %), curve (list of floats, one a radius), examples (how many).
    """
    import pandas as pd

    done, tables = 0, [_summary([], radii)]
    for chunk in chunks_of_factors(examples):
        tables.append(_retention_of_chunk(encoder, chunk, windows, radii))
        done += len(chunk)
        if progress is not None:
            progress(done, len(examples))
    table = pd.concat(tables[1:] or tables, ignore_index=True)
    return table.sort_values(["factor", "layer"], ignore_index=True)


def retention_at(
    bundle: "Bundle",
    factor: int,
    layer: int | None = None,
    examples: int = 10,
    encoder: "FactorEncoder | None" = None,
) -> "pd.DataFrame":
    """Measure one factor of a bundle at any layer, by its strongest examples there.

    Args:
        bundle: names the model, and holds the examples.
        factor: which factor.
        layer: which hidden state; by default where the factor peaks.
        examples: how many of the strongest.
        encoder: made with `FactorEncoder.from_bundle`; give it to many calls to load the model
            only once.

    Returns:
        One row, as `retention`.

    Raises:
        InputError: no such factor or layer, or no token that activates the factor there.
    """
    from tfactors.decomposition import encoder_of
    from tfactors.errors import InputError

    if examples < 1:
        raise InputError(f"examples {examples}: expected 1 or more")
    encoder = encoder or encoder_of(bundle)
    encoder.check(bundle.layers[0], factor)
    if layer is None:
        layer = max(int(bundle.factors["peak_layer"].iloc[factor]), bundle.layers[0])
    encoder.check(layer)
    strongest = bundle.examples(factor, layer, examples).assign(factor=factor, layer=layer)
    if strongest.empty:
        raise InputError(f"factor {factor} at layer {layer}: no token of the corpus activates it")
    return retention(encoder, strongest, bundle.windows)


def chunks_of_factors(
    examples: "pd.DataFrame", factors: int = FACTORS_PER_CHUNK
) -> "Iterator[pd.DataFrame]":
    """Cut examples into parts of one layer and at most so many factors, in a fixed order.

    `retention` of the parts, put together, is `retention` of the whole to the last bit: a build
    that saves its progress calls it for one part after the other.
    """
    for _, of_layer in examples.sort_values(["layer", "factor"], kind="stable").groupby("layer"):
        number = of_layer["factor"].rank(method="dense").to_numpy().astype(int) - 1
        for chunk in range(number.max() // factors + 1):
            yield of_layer[number // factors == chunk]


def curve_rows(retained: "pd.DataFrame", radii: Sequence[int] = RADII) -> "pd.DataFrame":
    """Lay the result of `retention` out as the rows of a bundle's retention.parquet.

    Columns factor, layer, kind (``radius``, ``sentence`` or ``word``), radius (−1 but for the
    first kind), retained; sorted by all but the last.
    """
    import pandas as pd

    keys = retained[["factor", "layer"]]
    parts = [
        keys.assign(
            kind="radius", radius=radius, retained=[curve[i] for curve in retained["curve"]]
        )
        for i, radius in enumerate(radii)
    ]
    parts += [
        keys.assign(kind=kind, radius=-1, retained=retained[kind]) for kind in ("sentence", "word")
    ]
    rows = pd.concat(parts).sort_values(["factor", "layer", "kind", "radius"], ignore_index=True)
    return rows.astype({"radius": np.int16, "retained": np.float32})


@dataclass
class _Spans:
    """The distinct texts to run for a chunk, and where each share goes once its code is known."""

    texts: list[np.ndarray] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # of texts, one a share that is asked for
    places: list[tuple[int, int]] = field(default_factory=list)  # (example, column) of the share
    _known: dict[tuple[int, int, bytes], int] = field(default_factory=dict)

    def add(self, ids: np.ndarray, start: int, stop: int, target: int) -> int:
        """Return the row of this span's text, new or met before."""
        key = (start, target, ids[start:stop].tobytes())
        if key not in self._known:
            self._known[key] = len(self.texts)
            self.texts.append(ids[start:stop])
            self.positions.append(target - start)
            self.starts.append(start)
        return self._known[key]


def _retention_of_chunk(
    encoder: "FactorEncoder",
    examples: "pd.DataFrame",
    windows: "Callable[[Sequence[int]], pd.DataFrame]",
    radii: Sequence[int],
) -> "pd.DataFrame":
    """Shares of the examples of some factors at one layer."""
    from tfactors.decomposition import activations_of
    from tfactors.sentences import sentence_bounds, word_bounds

    ids = np.unique(examples["window"].to_numpy())
    texts = dict(zip(ids.tolist(), windows(ids.tolist()).itertuples(index=False), strict=True))
    spans = _Spans()
    bounds: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number, example in enumerate(examples.itertuples(index=False)):
        place = (int(example.window), int(example.position))
        window, target = texts[place[0]], place[1]
        length = len(window.token_ids)
        if place not in bounds:
            bounds[place] = [
                word_bounds(window.word_starts, target),
                sentence_bounds(window.tokens, target),
                *((max(0, target - r), min(length, target + r + 1)) for r in radii),
            ]
        # A causal model sees nothing that follows the target.
        end = target + 1 if encoder.model.causal else length
        for column, (start, stop) in enumerate(bounds[place]):
            stop = min(stop, end)
            if stop - start < end:  # all that the model can see retains everything
                spans.rows.append(spans.add(window.token_ids, start, stop, target))
                spans.places.append((number, column))
    shares = np.ones((len(examples), 2 + len(radii)))
    if spans.texts:
        codes = encoder.encode(
            spans.texts, int(examples["layer"].iloc[0]),
            positions=spans.positions, starts=spans.starts,
        )  # fmt: skip
        number, column = np.array(spans.places).T
        left = activations_of(codes, np.array(spans.rows), examples["factor"].to_numpy()[number])
        full = examples["activation"].to_numpy(np.float64)[number]
        shares[number, column] = np.minimum(1.0, left / full)
    rows = []
    keys = examples[["factor", "layer"]].to_numpy()
    for factor, layer in np.unique(keys, axis=0):
        mine = shares[(keys == (factor, layer)).all(axis=1)]
        rows.append((int(factor), int(layer), mine.mean(axis=0), len(mine)))
    return _summary(rows, radii)


def _summary(rows: list[tuple[int, int, np.ndarray, int]], radii: Sequence[int]) -> "pd.DataFrame":
    import pandas as pd

    columns: dict[str, Any] = {
        "factor": pd.array([row[0] for row in rows], "int32"),
        "layer": pd.array([row[1] for row in rows], "int16"),
        "word": pd.array([row[2][0] for row in rows], "float64"),
        "sentence": pd.array([row[2][1] for row in rows], "float64"),
        "reach": pd.array([_reach(row[2][2:], radii) for row in rows], "Int16"),
        "curve": [row[2][2:].tolist() for row in rows],
        "examples": pd.array([row[3] for row in rows], "int32"),
    }
    return pd.DataFrame(columns)


def _reach(curve: np.ndarray, radii: Sequence[int]) -> int | None:
    enough = np.flatnonzero(curve >= REACH_SHARE)
    return int(radii[enough[0]]) if len(enough) else None
