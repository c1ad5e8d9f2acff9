"""What a factor does at every token of its examples: stored for the strongest, else asked live.

Turns examples of a factor at a layer into rows as ``Bundle.contexts`` has them: rank, positions,
activations. The bundle holds those of the strongest examples. For the others the model reads their
windows again, some at a time, when the reader asks for it. Windows that were read are remembered,
so that a longer list only reads what is new.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfactors import ragged
from tfactors.app.parts import live_model
from tfactors.app.parts.selection import Selected

if TYPE_CHECKING:
    from tfactors.explain.encoder import FactorEncoder


_AT_ONCE = 8  # windows, so that a reader can break off within half a second
_REMEMBERED = 200  # lists of at most 200 windows, of some 30 kB each

Known = dict[int, tuple[np.ndarray, np.ndarray]]  # window -> positions, activations


@dataclass(frozen=True)
class Question:
    """A factor at a layer; its answer is what is known of the windows that were read."""

    factor: int
    layer: int


def known_contexts(selected: Selected, examples: pd.DataFrame) -> pd.DataFrame:
    """Return what the bundle holds of these examples, and what was computed before."""
    stored = selected.bundle.contexts(selected.factor, selected.layer)
    stored = stored[stored["rank"].isin(examples["rank"])]
    known: Known = live_model.model_of(selected.bundle).answers.get(
        Question(selected.factor, selected.layer), {}
    )
    rest = examples[~examples["rank"].isin(stored["rank"]) & examples["window"].isin(known.keys())]
    return (
        pd.concat([stored, _context_rows(rest, known)], ignore_index=True) if len(rest) else stored
    )


def read_contexts(
    selected: Selected, examples: pd.DataFrame, show: Callable[[float, str], object]
) -> None:
    """Let the model read the windows of these examples that are not known yet.

    ``show(share, words)`` draws progress; where the reader breaks off, what was read is kept.

    Raises
    ------
    InputError
        The model is busy or cannot be loaded.
    """
    live, question = live_model.model_of(selected.bundle), Question(selected.factor, selected.layer)
    known: Known = live.answers.get(question, {})
    have = known_contexts(selected, examples)["rank"]
    missing = sorted(set(examples.loc[~examples["rank"].isin(have), "window"].tolist()))
    for first in range(0, len(missing), _AT_ONCE):
        some = missing[first : first + _AT_ONCE]
        with live_model.borrowed_encoder(
            selected.bundle, lambda words: show(0.0, words)
        ) as encoder:
            known = known | _read_windows(selected, encoder, some)
        live.remember(question, known, _REMEMBERED)
        done = min(first + _AT_ONCE, len(missing))
        show(done / len(missing), f"The model reads the windows again: {done} of {len(missing)}")


def _read_windows(selected: Selected, encoder: "FactorEncoder", windows: list[int]) -> Known:
    texts = [np.asarray(ids) for ids in selected.bundle.windows(windows)["token_ids"]]
    codes = encoder.encode(texts, selected.layer).tocsc()
    column = slice(codes.indptr[selected.factor], codes.indptr[selected.factor + 1])
    rows, values = codes.indices[column], codes.data[column]
    order = np.argsort(rows)
    rows, values = rows[order], values[order]
    starts = ragged.offsets([len(text) for text in texts])
    cuts = np.searchsorted(rows, starts)
    return {
        window: (rows[a:b] - start, values[a:b])
        for window, start, a, b in zip(windows, starts, cuts, cuts[1:], strict=False)
    }


def _context_rows(examples: pd.DataFrame, known: Known) -> pd.DataFrame:
    contexts = [known[window] for window in examples["window"]]
    return pd.DataFrame(
        {
            "rank": examples["rank"].to_numpy(),
            "positions": [positions for positions, _ in contexts],
            "activations": [activations for _, activations in contexts],
        }
    )
