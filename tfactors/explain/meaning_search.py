"""Turns a question in plain words into the factors whose contexts and names mean something like it.

The model that embedded these when the bundle was built embeds the question, and
`tfactors.describe.meanings` says how near each factor is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfactors.describe.meanings import NAME, cosines, directions
from tfactors.errors import InputError
from tfactors.model.hidden_states import Model, ModelError
from tfactors.model.location import model_to_load
from tfactors.model.sentence_encoder import SentenceEncoder
from tfactors.text.tables import replace_surrogates

if TYPE_CHECKING:
    from tfactors.bundle import Bundle


@dataclass(frozen=True)
class MeaningSearch:
    """The vectors of a bundle's factors, and what embeds a question; threads may share it.

    Attributes
    ----------
    encoder : SentenceEncoder
    factor, rank : (n,) int
        Whose each vector is, ascending, and of which example; −1 of the name.
    bits : (n, ⌈d / 8⌉) uint8
    factors, directions : (f,) int, (f, d) float32
        The factors that have vectors, and the mean of the signs of each, at norm 1.
    peak : (m,) int
        The peak layer of each factor of the bundle.
    """

    encoder: SentenceEncoder
    factor: np.ndarray
    rank: np.ndarray
    bits: np.ndarray
    factors: np.ndarray
    directions: np.ndarray
    peak: np.ndarray

    @classmethod
    def from_bundle(cls, bundle: Bundle, model: Model | None = None) -> MeaningSearch:
        """Load what a search in a bundle takes.

        Parameters
        ----------
        bundle : Bundle
            A bundle that can be searched by meaning.
        model : Model, optional
            The model that embeds sentences, where it is loaded already.

        Raises
        ------
        InputError
            The bundle holds no such vectors.
        ModelError
            The model is not here, or its weights are not the ones that the vectors are from.
        """
        about = bundle.about.meanings
        if about is None or not bundle.abilities.meanings:
            raise InputError(bundle.abilities.meanings.why_not)
        name = name_of_model(bundle)
        loaded = SentenceEncoder.load(name) if model is None else SentenceEncoder.of_model(model)
        if loaded.model.sha256 != about.sha256:
            raise ModelError(
                f"model {name!r}: its weights have sha256 {loaded.model.sha256[:12]}…, and factors "
                f"were embedded with {about.sha256[:12]}…; build the bundle again"
            )
        factor, rank, bits = bundle.meanings()
        own = directions(factor, bits, about.width)
        return cls(loaded, factor, rank, bits, *own, bundle.factors["peak_layer"].to_numpy())

    def find(self, question: str) -> pd.DataFrame:
        """Return all factors that have vectors, the nearest to a question first.

        Parameters
        ----------
        question : str
            Some words or a sentence.

        Returns
        -------
        DataFrame
            Columns factor, at (its peak layer), likeness (its cosine), name (the cosine
            of its name, NaN without one), ranks (its examples there that have vectors, the nearest
            first, a list) and cosines (theirs, a list).

        Raises
        ------
        InputError
            The question is empty, or longer than the model reads at once.
        """
        asked = " ".join(replace_surrogates(question).split())
        if not asked:
            raise InputError("the question holds no words; give at least one")
        if (tokens := self.encoder.tokens_of(asked)) > self.encoder.longest:
            raise InputError(
                f"the question has {tokens:,} tokens and {self.encoder.model.name} reads at most "
                f"{self.encoder.longest:,} at once; give a shorter one"
            )
        embedding = self.encoder.embed([asked])[0]
        near, own_cosines = self.directions @ embedding, cosines(embedding, self.bits)
        named = self.rank == NAME
        names = np.full(len(self.peak), np.nan)
        names[self.factor[named]] = own_cosines[named]
        # The contexts of one factor after another, the nearest of each first.
        contexts = np.flatnonzero(~named)
        contexts = contexts[np.lexsort((-own_cosines[contexts], self.factor[contexts]))]
        edges = np.searchsorted(self.factor[contexts], [self.factors, self.factors + 1]).T.tolist()
        ranks, nearest = self.rank[contexts].tolist(), own_cosines[contexts].tolist()
        order = np.argsort(-near, kind="stable")
        factors = self.factors[order]
        return pd.DataFrame(
            {
                "factor": factors.astype(int),
                "at": self.peak[factors].astype(int),
                "likeness": near[order].astype(float),
                "name": names[factors],
                "ranks": [ranks[slice(*edges[at])] for at in order],
                "cosines": [nearest[slice(*edges[at])] for at in order],
            }
        )


def name_of_model(bundle: Bundle) -> str:
    """Return the name or folder of the model that embeds questions for a bundle.

    Raises
    ------
    ModelError
        It was a folder, and is not where it was.
    """
    about = bundle.about
    if about.meanings is None or about.meanings.sha256 == about.model.sha256:
        return model_to_load(about.model, bundle.path)
    return about.meanings.name


def search_by_meaning(bundle: Bundle, question: str, top: int = 10) -> pd.DataFrame:
    """Return the factors of a bundle whose contexts and names mean something like a question.

    Parameters
    ----------
    bundle : Bundle
        One that was built with ``--meaning-contexts`` above 0, as by default.
    question : str
        Some words or a sentence: ``"words about weather"``.
    top : int
        How many factors, the nearest first.

    Returns
    -------
    DataFrame
        As :meth:`MeaningSearch.find`, with the label of each factor behind its number.

    Raises
    ------
    InputError
        The bundle cannot be searched so, or the question is empty or too long.
    ModelError
        The model that embeds sentences is not here, or has other weights.
    """
    found = _search_of(bundle).find(question).head(top)
    found.insert(1, "label", bundle.factors["label"].to_numpy()[found["factor"]])
    return found


@lru_cache(maxsize=1)
def _search_of(bundle: Bundle) -> MeaningSearch:
    """Return the search of the bundle asked last, so that a notebook loads its model once."""
    return MeaningSearch.from_bundle(bundle)
