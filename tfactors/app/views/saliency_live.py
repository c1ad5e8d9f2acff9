"""Saliency on demand: an explanation is asked for, made with progress, and remembered.

Turns a request (which example of which factor, by which method) into the
:class:`tfactors.explain.explanation.Explanation`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from tfactors.app.parts import live_model
from tfactors.bundle import Bundle

if TYPE_CHECKING:
    from tfactors.explain.explanation import Explanation


_REMEMBERED = 200  # explanations of some 2 kB each
_JOB = "explaining.job"


@dataclass(frozen=True)
class Request:
    """What is to be explained, and how; equal requests have equal answers."""

    factor: int
    layer: int
    window: int
    position: int
    method: str
    samples: int
    features: int
    replacement: str
    seed: int
    recipe: str = ""
    radius: int = 0  # 0: the whole window

    def by(self, method: str) -> "Request":
        """Return the same question to another method, without what that one does not use."""
        if method == "occlusion":
            return replace(self, method=method, samples=0, features=0, seed=0, recipe="")
        return replace(self, method=method)


def remedy(bundle: Bundle) -> str | None:
    """Return what has to be done before anything can be explained, or None."""
    return live_model.remedy(bundle, "lime")


def methods_of(request: Request) -> list[str]:
    """Return the methods that a request is for."""
    return ["lime", "occlusion"] if request.method == "both" else [request.method]


def known_explanations(bundle: Bundle, request: Request) -> "list[Explanation] | None":
    """Return the answers that were given before, one a method; None if one is missing."""
    answers = live_model.model_of(bundle).answers
    known = [answers.get(request.by(method)) for method in methods_of(request)]
    return [answer for answer in known if answer is not None] if None not in known else None


def ask_for(request: Request) -> None:
    """Ask for an explanation; the page runs it when it is drawn next. For callbacks."""
    st.session_state[_JOB] = request


def is_asked_for(request: Request) -> bool:
    """Say whether this explanation was asked for; a changed control takes the question back."""
    return st.session_state.get(_JOB) == request


def withdraw_request() -> None:
    """Take the question back. For callbacks."""
    st.session_state.pop(_JOB, None)


def explain(bundle: Bundle, request: Request, show: Callable[[float, str], object]) -> None:
    """Explain, and remember the answer; ``show(share, words)`` draws progress.

    Raises
    ------
    InputError
        The model is busy or cannot be loaded, or the request makes no sense to it.
    """
    from tfactors.explain.explanation import Target
    from tfactors.explain.saliency import explain_target
    from tfactors.explain.saliency_settings import SaliencySettings

    def progress(done: int, total: int) -> None:
        show(done / total, f"Reading the text with words left out: {done} of {total}")
        live_model.let_others_ask(bundle, lambda words: show(done / total, words))

    try:
        with live_model.borrowed_encoder(bundle, lambda words: show(0.0, words)) as encoder:
            window = bundle.windows([request.window]).iloc[0]
            for asked in map(request.by, methods_of(request)):
                if asked in live_model.model_of(bundle).answers:
                    continue
                target = Target(
                    token_ids=window["token_ids"],
                    position=asked.position,
                    factor=asked.factor,
                    layer=asked.layer,
                    radius=asked.radius or None,
                    tokens=window["tokens"],
                )
                settings = SaliencySettings(
                    method=asked.method,
                    samples=asked.samples,
                    features=asked.features or None,
                    seed=asked.seed,
                    replacement=asked.replacement or None,
                    recipe=asked.recipe or None,
                )
                explanation = explain_target(encoder, target, settings, progress)
                live_model.model_of(bundle).remember(asked, explanation, _REMEMBERED)
    finally:
        withdraw_request()
