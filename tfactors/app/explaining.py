"""Saliency on demand: one explanation at a time, with progress, a way to stop, and a memory.

In goes a request (which example of which factor, by which method), out comes the
:class:`tfactors.saliency.Explanation`. The model is loaded at the first request and then shared by
all sessions; a lock lets one of them use it at a time, the others wait and are told so. Drawing
progress is where Streamlit can break off a run: when the reader presses Stop, changes a control or
leaves, the run ends at the next chunk and the lock is free.
"""

import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from tfactors.bundle import Bundle
from tfactors.errors import InputError

if TYPE_CHECKING:
    from tfactors.decomposition import FactorEncoder
    from tfactors.saliency import Explanation

_REMEMBERED = 200  # explanations of some 2 kB each
_PATIENCE = 90  # seconds that a reader waits for another's explanation

_JOB = "explaining.job"


class BusyError(InputError):
    """Somebody else's explanation took too long."""


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


@dataclass
class Engine:
    """The model of one bundle, loaded when first needed, and the answers it gave."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    encoder: "FactorEncoder | None" = None
    answers: "OrderedDict[Request, Explanation]" = field(default_factory=OrderedDict)

    def remember(self, request: Request, answer: "Explanation") -> None:
        """Keep an answer, and forget the oldest when there are many."""
        self.answers[request] = answer
        while len(self.answers) > _REMEMBERED:
            self.answers.popitem(last=False)


def engine(bundle: Bundle) -> Engine:
    """Return the engine of a bundle, one for all sessions."""
    return _engine(bundle.fingerprint)


@st.cache_resource(max_entries=1, show_spinner=False)
def _engine(fingerprint: str) -> Engine:
    return Engine()


def missing(bundle: Bundle) -> str | None:
    """Return what has to be installed before anything can be explained, or None; no torch here."""
    from tfactors.hidden_states import model_available

    for package in ("torch", "transformers", "lime"):
        if importlib.util.find_spec(package) is None:
            return f"the Python package {package}"
    name = bundle.manifest["model"]["name"]
    return None if model_available(name) else f"the model {name}"


def answer(bundle: Bundle, request: Request) -> "Explanation | None":
    """Return an answer that was given before."""
    return engine(bundle).answers.get(request)


def ask(request: Request) -> None:
    """Ask for an explanation; the page runs it when it is drawn next. For callbacks."""
    st.session_state[_JOB] = request


def asked(request: Request) -> bool:
    """Say whether this explanation was asked for; a changed control takes the question back."""
    return st.session_state.get(_JOB) == request


def withdraw() -> None:
    """Take the question back. For callbacks."""
    st.session_state.pop(_JOB, None)


def run(bundle: Bundle, request: Request, show: Callable[[float, str], object]) -> None:
    """Explain, and remember the answer; ``show(share, words)`` draws progress.

    Raises
    ------
    BusyError
        The model was in use for a minute and a half.
    InputError
        The model cannot be loaded, or the request makes no sense to it.
    """
    from tfactors.saliency import explain_window

    own = engine(bundle)
    try:
        _wait(own.lock, show)
        try:
            if own.encoder is None:
                show(0.0, "Loading the model; the first time takes some seconds")
                from tfactors.decomposition import FactorEncoder

                own.encoder = FactorEncoder.from_bundle(bundle)

            def progress(done: int, total: int) -> None:
                show(done / total, f"Reading the text with words left out: {done} of {total}")

            window = bundle.windows([request.window]).iloc[0]
            own.remember(
                request,
                explain_window(
                    own.encoder, window["token_ids"], request.position, request.factor,
                    request.layer, request.method, request.samples, request.features, request.seed,
                    request.replacement or None, tokens=window["tokens"],
                    progress=progress,
                ),
            )  # fmt: skip
        finally:
            own.lock.release()
    finally:
        withdraw()


def _wait(lock: threading.Lock, show: Callable[[float, str], object]) -> None:
    for second in range(_PATIENCE):
        if lock.acquire(timeout=0 if second == 0 else 1):
            return
        show(0.0, "The model is busy with another reader's question; yours is next")
    raise BusyError("The model is busy with other readers' questions; try again in a minute.")
