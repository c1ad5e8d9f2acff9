"""The nearest contexts where a factor is silent, asked of the model when a reader wants to know.

Turns a factor at a layer into a :class:`tfactors.explain.contrast.Contrast`. The model reads some
windows at a time, so that a reader can break off; what was found is remembered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfactors.app.parts import live_model
from tfactors.app.parts.selection import Selected

if TYPE_CHECKING:
    from tfactors.explain.contrast import Contrast

_AT_ONCE = 8  # windows
_REMEMBERED = 200  # small tables


@dataclass(frozen=True)
class Question:
    """Where a factor is silent at a layer; equal questions have equal answers."""

    factor: int
    layer: int


def known_contrast(selected: Selected) -> "Contrast | None":
    """Return what was found before."""
    question = Question(selected.factor, selected.layer)
    return live_model.model_of(selected.bundle).answers.get(question)


def ask_contrast(selected: Selected, show: Callable[[float, str], object]) -> "Contrast":
    """Let the model read, and return what is found; ``show(share, words)`` draws progress.

    Raises
    ------
    InputError
        The model is busy or cannot be loaded.
    """
    from tfactors.explain.contrast import find_contrast, plan_contrast, read_windows

    bundle = selected.bundle
    show(0.0, "Looking through the text for its words")
    plan = plan_contrast(bundle, selected.factor, selected.layer)
    parts = []
    for first in range(0, len(plan.windows), _AT_ONCE):
        some = plan.windows[first : first + _AT_ONCE]
        with live_model.borrowed_encoder(bundle, lambda words: show(0.0, words)) as encoder:
            parts.append(read_windows(bundle, encoder, plan, some))
        done = first + len(some)
        show(done / len(plan.windows), f"The model reads: {done} of {len(plan.windows)} windows")
    coded, states = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    with live_model.borrowed_encoder(bundle, lambda words: show(1.0, words)) as encoder:
        found = find_contrast(bundle, encoder, plan, coded, states)
    question = Question(selected.factor, selected.layer)
    live_model.model_of(bundle).remember(question, found, _REMEMBERED)
    return found
