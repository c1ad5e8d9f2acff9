"""A reader's text through the model: read once, taken apart at any λ, remembered.

Turns a text and λ into a :class:`tfactors.explain.decomposition.Decomposition`, and one token into
its codes over a range of λ. The model reads a text once, which is most of the time that an answer
takes. After that a move of λ only solves the codes again, starting from the last ones. Both are
done in line with other readers' questions: a long text at a small λ keeps all cores busy for
seconds, and several at once would keep the pages of all readers waiting.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import live_model
from tfactors.bundle import Bundle
from tfactors.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from tfactors.explain.decomposition import Decomposition, ReadText
    from tfactors.explain.encoder import FactorEncoder


MOST_TOKENS = 512
# What is kept of texts is counted in tokens, for that is what they take memory by: six of the
# longest, or the sentences of a hundred readers. For MiniLM 1,000 tokens are 18 MB of states and 4
# MB of decompositions; for BERT, with twice the width and twice the layers, four times as much.
_TEXTS = 6 * MOST_TOKENS
_DECOMPOSITIONS = 12 * MOST_TOKENS
_TOKENS_OF_NONE = 12  # what a table takes without any row
_PATHS = 50  # paths, of some 50 kB each
_PATH_STEPS = 24
_FACTORS_DRAWN = 8  # of a path


@dataclass(frozen=True)
class ReadQuestion:
    """A text to be read by the model."""

    text: str


@dataclass(frozen=True)
class Question:
    """A text and the λ to take it apart with; equal questions have equal answers."""

    text: str
    penalty: float


@dataclass(frozen=True)
class PathQuestion:
    """One token of a text at a layer, over a range of λ."""

    text: str
    position: int
    layer: int


@dataclass(frozen=True)
class PenaltyPath:
    """One token at one layer against λ.

    Attributes
    ----------
    factors
        Penalty, factor, activation: a row for every factor that is ever active, at every λ, zeros
        included.
    fit
        Penalty, l0 (active factors), explained (1 − ‖ε‖² / ‖x‖²).
    """

    factors: pd.DataFrame
    fit: pd.DataFrame

    @cached_property
    def strongest(self) -> tuple[list[int], pd.DataFrame]:
        """The few strongest factors, strongest first, and their rows of ``factors``."""
        largest = self.factors.groupby("factor")["activation"].max().nlargest(_FACTORS_DRAWN)
        return largest.index.tolist(), self.factors[self.factors["factor"].isin(largest.index)]


@dataclass
class _KnownText:
    """A text that was read, the encoder that codes it, and the codes it got last."""

    text: "ReadText"
    encoder: "FactorEncoder"
    codes: "csr_array | None" = None  # where the next λ starts from


def built_penalty(bundle: Bundle) -> float:
    """Return the λ that the bundle was made with."""
    return bundle.about.coding.penalty


def chosen_penalty(bundle: Bundle) -> float:
    """Return λ: the reader's, else the bundle's; an autoencoder's own codes know none."""
    chosen = url_state.value_of(controls.PENALTY)
    return built_penalty(bundle) if chosen is None or not bundle.abilities.penalty else chosen


def most_tokens(bundle: Bundle) -> int:
    """Return how many tokens of text the page takes: what it bears, or fewer the model reads."""
    encoder = live_model.model_of(bundle).encoder
    context = live_model.context_length(bundle) if encoder is None else encoder.model.max_length
    return min(MOST_TOKENS, context or MOST_TOKENS)


def decomposition_of(bundle: Bundle, text: str, penalty: float | None = None) -> "Decomposition":
    """Return the decomposition of a text at λ, from memory or from the model.

    ``penalty`` is another λ than the one of the page.

    Raises
    ------
    InputError
        The text is empty or too long, or the model is busy or cannot be loaded.
    """
    question = Question(text, chosen_penalty(bundle) if penalty is None else penalty)
    live = live_model.model_of(bundle)
    if (answer := live.answers.get(question)) is not None:
        return answer
    note = st.empty()
    with live_model.borrowed_encoder(bundle, note.caption) as encoder:
        from tfactors.explain.decomposition import take_apart

        known = _known_text(bundle, text, encoder)
        decomposition, known.codes = take_apart(
            known.text, known.encoder, question.penalty, known.codes
        )
    note.empty()
    size = len(decomposition.tokens) + _TOKENS_OF_NONE
    live.remember(question, decomposition, _DECOMPOSITIONS, size)
    return decomposition


def rows_at(table: pd.DataFrame, position: int, layer: int) -> pd.DataFrame:
    """Return the rows of one token at a layer, of a decomposition's factors or residuals."""
    return table[(table["position"] == position) & (table["layer"] == layer)]


def starting_place(bundle: Bundle, text: str) -> tuple[int, int]:
    """Return the token and the layer that a text opens at; the same for everyone, whatever λ is."""
    return richest_place(decomposition_of(bundle, text, built_penalty(bundle)))


def richest_place(decomposition: "Decomposition") -> tuple[int, int]:
    """Return the position and the layer where the factors carry the largest share of a token.

    That is (‖x − b‖² − ‖ε‖²) / ‖x‖², what αΦ explains beside the token's own part b. Asked are
    tokens that are a whole word of four letters or more, as words of content mostly are; where
    there is none, whole words of letters; else all.
    """
    tokens, cells = decomposition.tokens, decomposition.residuals
    spelled = tokens["token"].str.strip()
    whole = spelled.str.isalpha() & (spelled == tokens["word"].str.strip())
    for asked in (whole & (spelled.str.len() >= 4), whole):
        if asked.any():
            cells = cells[cells["position"].isin(tokens.loc[asked, "position"])]
            break
    total = np.maximum(cells["norm"] ** 2, np.finfo(np.float64).tiny)
    share = (cells["context"] ** 2 - cells["residual"] ** 2) / total
    cell = cells.loc[share.idxmax()]
    return int(cell["position"]), int(cell["layer"])


def penalty_path(bundle: Bundle, text: str, position: int, layer: int) -> PenaltyPath:
    """Return one token's codes at a layer over a range of λ around the bundle's."""
    question = PathQuestion(text, position, layer)
    live = live_model.model_of(bundle)
    if (answer := live.answers.get(question)) is not None:
        return answer
    from tfactors.coding.solver import SparseCoder

    penalties = np.geomspace(*controls.penalty_range(bundle), _PATH_STEPS)
    note = st.empty()
    with live_model.borrowed_encoder(bundle, note.caption) as encoder:
        known = _known_text(bundle, text, encoder)
        at = known.text.layers.index(layer)
        x = known.text.states[at, position : position + 1]
        coder = known.encoder.coder
        assert isinstance(coder, SparseCoder)  # of other codes there is no path
        codes = coder.path(x, penalties.tolist(), known.encoder.tol)
    note.empty()
    active = np.unique(np.concatenate([code.indices for code in codes]))
    # A line needs its zeros as well, or it would end in the air.
    values = np.stack([code.toarray()[0, active] for code in codes])
    whole = x if known.text.own is None else x + known.text.own[at, position]
    norm = float((whole.astype(np.float64) ** 2).sum())
    left = np.array([float(coder.squared_error(x, code)[0]) for code in codes])
    path = PenaltyPath(
        pd.DataFrame(
            {
                "penalty": np.repeat(penalties, len(active)),
                "factor": np.tile(active.astype(int), len(penalties)),
                "activation": values.ravel().astype(float),
            }
        ),
        pd.DataFrame(
            {
                "penalty": penalties,
                "l0": [code.nnz for code in codes],
                "explained": 1 - left / max(norm, np.finfo(np.float64).tiny),
            }
        ),
    )
    live.remember(question, path, _PATHS)
    return path


def _known_text(bundle: Bundle, text: str, encoder: "FactorEncoder") -> _KnownText:
    """Return a text as the model read it, from memory or from the model."""
    question = ReadQuestion(text)
    live = live_model.model_of(bundle)
    if (answer := live.answers.get(question)) is not None:
        return answer
    from tfactors.explain.decomposition import read_text
    from tfactors.explain.encoder import tokenize_checked

    count = len(tokenize_checked(text, encoder.model)[1])
    if count > MOST_TOKENS:
        raise InputError(
            f"the text has {count:,} tokens, and this page takes {MOST_TOKENS} apart at once; "
            "shorten it, or give its parts one after the other"
        )
    known = _KnownText(read_text(text, encoder), encoder)
    live.remember(question, known, _TEXTS, count + _TOKENS_OF_NONE)
    return known
