"""How much of an activation is left when its context is cut away.

Turns the examples of factors into retained activations: how much of an activation is left when the
model sees only a part of the context. With the window's tokens s … e − 1 alone, the target p among
them,

    retained = mean over the top examples of min(1, α_c(x_p | s … e − 1) / α_c(x_p | all))

The span is the target's word alone, its own sentence, or the r tokens each side of it. Of a causal
model it is only the part up to the target, as nothing else can matter. *Reach* is the smallest r
that retains 80 %.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from tfactors.bundle import Bundle
    from tfactors.explain.encoder import FactorEncoder


RADII = (0, 1, 2, 4, 8, 16, 32, 64, 128)
REACH_SHARE = 0.8

# Factors measured together: some 5,000 short texts fill batches of like length, and a build that
# is stopped loses seconds.
FACTORS_PER_CHUNK = 50


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

    Parameters
    ----------
    encoder : FactorEncoder
        Model, dictionary, scales and λ that the examples were made with.
    examples : DataFrame
        Columns factor, layer, window, position, activation (above 0): the top examples of each
        factor at one layer, as a rule its peak layer.
    windows : callable
        Window numbers -> their rows with token_ids, tokens, word_starts, in that order; as
        `Bundle.windows`.
    radii : sequence of int
        Tokens each side, ascending.
    progress : callable, optional
        Called with (examples done, examples in all) after each chunk of factors.

    Returns
    -------
    DataFrame
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

    Parameters
    ----------
    bundle : Bundle
        Names the model, and holds the examples.
    factor : int
        Which factor.
    layer : int, optional
        Which hidden state; by default where the factor peaks.
    examples : int
        How many of the strongest.
    encoder : FactorEncoder, optional
        Made with `FactorEncoder.from_bundle`; give it to many calls to load the model only once.

    Returns
    -------
    DataFrame
        One row, as `retention`.

    Raises
    ------
    InputError
        No such factor or layer, or no token that activates the factor there.
    """
    from tfactors.errors import InputError
    from tfactors.explain.encoder import encoder_of

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
    shares: list[tuple[int, int]] = field(default_factory=list)  # (example, column) of each
    _rows: dict[tuple[int, int, bytes], int] = field(default_factory=dict)

    def ask(self, share: tuple[int, int], ids: np.ndarray, span: slice, target: int) -> None:
        """Ask for a share: what the target keeps where only this span of a window is seen."""
        key = (span.start, target, ids[span].tobytes())
        if key not in self._rows:
            self._rows[key] = len(self.texts)
            self.texts.append(ids[span])
            self.positions.append(target - span.start)
            self.starts.append(span.start)
        self.rows.append(self._rows[key])
        self.shares.append(share)


def _retention_of_chunk(
    encoder: "FactorEncoder",
    examples: "pd.DataFrame",
    windows: "Callable[[Sequence[int]], pd.DataFrame]",
    radii: Sequence[int],
) -> "pd.DataFrame":
    """Return what `retention` does, for some factors at one layer."""
    from tfactors.explain.encoder import activations_of
    from tfactors.text.sentences import sentence_bounds, word_bounds

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
                spans.ask((number, column), window.token_ids, slice(start, stop), target)
    shares = np.ones((len(examples), 2 + len(radii)))
    if spans.texts:
        codes = encoder.encode(
            spans.texts,
            int(examples["layer"].iloc[0]),
            positions=spans.positions,
            starts=spans.starts,
        )
        number, column = np.array(spans.shares).T
        left = activations_of(codes, np.array(spans.rows), examples["factor"].to_numpy()[number])
        full = examples["activation"].to_numpy(np.float64)[number]
        shares[number, column] = np.minimum(1.0, left / full)
    rows = []
    keys = examples[["factor", "layer"]].to_numpy()
    for factor, layer in np.unique(keys, axis=0):
        of_factor = shares[(keys == (factor, layer)).all(axis=1)]
        rows.append((int(factor), int(layer), of_factor.mean(axis=0), len(of_factor)))
    return _summary(rows, radii)


def _summary(rows: list[tuple[int, int, np.ndarray, int]], radii: Sequence[int]) -> "pd.DataFrame":
    """Return a table of (factor, layer, shares, examples), the shares of word, sentence, radii."""
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
    """Return the smallest radius that retains enough, or None."""
    enough = np.flatnonzero(curve >= REACH_SHARE)
    return int(radii[enough[0]]) if len(enough) else None
