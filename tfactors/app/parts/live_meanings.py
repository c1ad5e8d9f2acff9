"""What embeds a reader's question for a search by meaning, loaded in the background.

Turns a bundle into its :class:`tfactors.explain.meaning_search.MeaningSearch`, shared by all
sessions. Loading begins when a page that will ask is opened (:mod:`tfactors.app.parts.warm_up`).
Where the bundle's own model is loaded already, as Your text leaves it, and is the one that embeds,
its weights are shared. One reader's question is embedded at a time.
"""

import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tfactors.app.frame import server, shell
from tfactors.app.frame.waiting_line import WaitingLine
from tfactors.app.parts import live_model
from tfactors.app.parts.warm_up import WarmUp
from tfactors.bundle import Bundle
from tfactors.errors import InputError

if TYPE_CHECKING:
    from tfactors.explain.meaning_search import MeaningSearch
    from tfactors.model.hidden_states import Model

_PACKAGES = ("torch", "transformers")  # requirements.txt, for the reading pages, has neither
_ANSWERS = 20  # of some 200 kB each


@dataclass
class LiveMeanings:
    """The search of one bundle, loaded when first needed, and the answers it gave last."""

    line: WaitingLine = field(default_factory=WaitingLine)
    search: "MeaningSearch | None" = None
    answers: "OrderedDict[str, pd.DataFrame]" = field(default_factory=OrderedDict)
    _beginning: threading.Lock = field(default_factory=threading.Lock)
    _loading: threading.Lock = field(default_factory=threading.Lock)
    _warm_up: WarmUp | None = None

    def prepare(self, bundle: Bundle) -> None:
        """Begin to load the model in the background, unless that is done or under way."""
        with self._beginning:
            if self.search is None and self._warm_up is None:
                model = _model_that_is_there(bundle)
                self._warm_up = WarmUp(lambda: self._load(bundle, model), kernels=False)

    def find(self, bundle: Bundle, question: str, say: Callable[[str], object]) -> pd.DataFrame:
        """Return what `MeaningSearch.find` does; ``say`` tells the reader what takes time.

        Raises
        ------
        InputError
            The question is empty or too long, or the model is busy or cannot be loaded.
        """
        if (known := self.answers.get(question)) is not None:
            return known
        server.give_turn_back()
        with self.line.turn(say):
            if self.search is None:
                words = (
                    f"Loading PyTorch and the model {shell.plain_text(_model_name(bundle))}: 5 to "
                    "20 seconds, the first time only. After that an answer takes less than a "
                    "second."
                )
                say(words)
                if self._warm_up is not None:
                    self._warm_up.wait(lambda: say(words))
            answer = self._load(bundle, _model_that_is_there(bundle)).find(question)
            self.answers[question] = answer
            while len(self.answers) > _ANSWERS:
                self.answers.popitem(last=False)
        return answer

    def _load(self, bundle: Bundle, model: "Model | None") -> "MeaningSearch":
        with self._loading:
            if self.search is None:
                from tfactors.explain.meaning_search import MeaningSearch

                self.search = MeaningSearch.from_bundle(bundle, model)
            return self.search


def _model_that_is_there(bundle: Bundle) -> "Model | None":
    """Return the bundle's model where it is loaded and is the one that embeds; else None."""
    encoder, about = live_model.model_of(bundle).encoder, bundle.about.meanings
    same = encoder is not None and about is not None and encoder.model.sha256 == about.sha256
    return encoder.model if encoder is not None and same else None


def _model_name(bundle: Bundle) -> str:
    """Return the name of the model that embeds questions."""
    about = bundle.about.meanings
    return about.name if about else bundle.about.model.name


@st.cache_resource(max_entries=1, show_spinner=False)
def _meanings_of(fingerprint: str) -> LiveMeanings:
    return LiveMeanings()


def meanings_of(bundle: Bundle) -> LiveMeanings:
    """Return the search of a bundle, one for all sessions; nothing is loaded yet."""
    return _meanings_of(bundle.fingerprint)


def missing_part(bundle: Bundle) -> str | None:
    """Return in a line what is missing for a search by meaning, or None; no torch here."""
    if not bundle.abilities.meanings:
        return bundle.abilities.meanings.why_not
    absent = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        return (
            f"A search by meaning asks a model; install {' and '.join(absent)} beside the "
            "dashboard, and start it again."
        )
    from tfactors.explain.meaning_search import name_of_model
    from tfactors.model.hidden_states import model_available

    try:
        available = model_available(name_of_model(bundle))
    except InputError:
        available = False
    if available:
        return None
    return (
        f"A search by meaning asks the model {_model_name(bundle)}, which is not here; install "
        "or download it, and start the dashboard again."
    )
