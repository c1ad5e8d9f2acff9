"""Turns a reader's own text into its factors: x = b + αΦ + ε for every token at every layer.

`tfactors.explain.encoder` reads and codes the text. `decompose` says what each token is made of and
what is left over:

    share explained = 1 − ‖ε‖² / ‖x‖²        of one token at one layer; L0 = its active factors
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tfactors.describe.labels import named
from tfactors.display.text import LONGEST_TOKEN, shorten
from tfactors.errors import InputError
from tfactors.explain.encoder import FactorEncoder, encoder_of, tokenize_checked
from tfactors.ragged import owners
from tfactors.text.words import spelled, word_at
from tfactors.visible import visible

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

    from tfactors.bundle import Bundle


# Letters of a column of tokens at most; a longer token moves its own line and no other.
_WIDEST = 24
# What a notebook shows of a text: tokens, factors of each, letters of a token and of a name.
_TOKENS, _TERMS, _LONGEST_TOKEN, _LONGEST_NAME = 48, 3, 40, 28


@dataclass(frozen=True)
class Decomposition:
    """A text taken apart: what every token is made of at every layer.

    Attributes
    ----------
    tokens : DataFrame
        One row a token: position, token (as written), word (the whole one it is part of), token_id.
    factors : DataFrame
        One row an active factor: layer, position, factor, activation; strongest first within a
        token.
    residuals : DataFrame
        One row a layer and token: layer, position, norm (of x), context (norm of x − b),
        residual (norm of ε), explained (1 − ‖ε‖²/‖x‖²), l0 (active factors).
    penalty : float
        λ of the codes.
    labels : sequence of str
        The label of each factor, for a notebook; empty where none are known.
    """

    tokens: "pd.DataFrame"
    factors: "pd.DataFrame"
    residuals: "pd.DataFrame"
    penalty: float
    labels: Sequence[str] = ()

    def _repr_html_(self) -> str:
        from tfactors.display import notebook, passages

        layer = int(np.max(self.residuals["layer"]))
        active = self.factors[self.factors["layer"] == layer]
        explained = self.residuals[self.residuals["layer"] == layer]["explained"]
        rows = []
        for token, share in list(zip(self.tokens.itertuples(), explained, strict=True))[:_TOKENS]:
            terms = active[active["position"] == token.position].head(_TERMS).itertuples()
            said = " + ".join(
                f"{term.activation:.1f} · {term.factor}{self._in_words(term.factor)}"
                for term in terms
            )
            name = passages.shorten(spelled(token.token), _LONGEST_TOKEN)
            rows.append((name, f"{share:.0%}: {said or '0'}"))
        more = f" (the first {_TOKENS} tokens)" if len(self.tokens) > _TOKENS else ""
        title = f"Layer {layer}: share explained, and activation · factor{more}"
        return notebook.framed(title, notebook.table(rows))

    def _in_words(self, factor: int) -> str:
        """Return the name of a factor in brackets, where it has one."""
        from tfactors.display import passages

        name = named(self.labels[factor]) if factor < len(self.labels) else ""
        return f" ({passages.shorten(name, _LONGEST_NAME)})" if name else ""

    def to_json(self) -> str:
        """Return everything as one JSON object of lists of rows."""
        tables = {
            name: json.loads(getattr(self, name).to_json(orient="records", double_precision=6))
            for name in ("tokens", "factors", "residuals")
        }
        return json.dumps({"penalty": self.penalty} | tables, ensure_ascii=False)

    def describe(
        self, labels: Sequence[str] | None = None, layer: int | None = None, top: int = 5
    ) -> str:
        """Return a text to read: for each layer and token its strongest factors.

        Parameters
        ----------
        labels : sequence of str, optional
            A label for each factor, where there are any.
        layer : int, optional
            Only this layer; all by default.
        top : int
            Factors named a token.
        """
        known = sorted(self.residuals["layer"].unique())
        if layer is not None and layer not in known:
            raise InputError(f"layer {layer}: expected one of {', '.join(map(str, known))}")
        active = dict(list(self.factors.groupby(["layer", "position"])))
        tokens = [visible(shorten(spelled(token), LONGEST_TOKEN)) for token in self.tokens["token"]]
        width = min(max(map(len, tokens)), _WIDEST)
        lines = []
        for shown in known if layer is None else [layer]:
            rows = self.residuals[self.residuals["layer"] == shown]
            lines.append(
                f"layer {shown}: {rows['explained'].mean():.0%} explained, "
                f"{rows['l0'].mean():.1f} active factors a token"
            )
            for row, token in zip(rows.itertuples(), tokens, strict=True):
                strongest = active.get((shown, row.position))
                factors = [] if strongest is None else strongest.head(top).itertuples()
                terms = (_term(labels, term.factor, term.activation) for term in factors)
                said = visible(", ".join(terms))
                lines.append(f"  {token:<{width}}  {row.explained:4.0%}  {said}")
        return "\n".join(lines)


def _term(labels: Sequence[str] | None, factor: int, activation: float) -> str:
    """Return a factor with its label, where it has one, and its activation."""
    label = "" if labels is None else str(labels[factor]).strip()
    return f"{factor} {label} {activation:.1f}" if label else f"{factor} {activation:.1f}"


@dataclass(frozen=True)
class ReadText:
    """A text as the model read it, before any λ: what stays the same while λ is moved.

    Attributes
    ----------
    tokens : DataFrame
        As in `Decomposition`.
    layers : list of int
        The layers that can be coded, ascending.
    states : (layers, tokens, d) float32
        What is coded: scaled hidden states, less what each token brings of its own.
    own : (layers, tokens, d) float32 or None
        That part b; None where nothing is subtracted by token.
    """

    tokens: "pd.DataFrame"
    layers: list[int]
    states: np.ndarray
    own: np.ndarray | None = None


def read_text(text: str, encoder: FactorEncoder) -> ReadText:
    """Let the model read a text, once for any number of λ.

    Raises
    ------
    InputError
        An empty text, or one that is too long for the model.
    """
    import pandas as pd

    token_ids, tokens, word_starts = tokenize_checked(text, encoder.model)
    words = [word_at(tokens, word_starts.tolist(), at) for at in range(len(tokens))]
    position = np.arange(len(tokens), dtype=np.int32)
    table = {"position": position, "token": tokens, "word": words, "token_id": token_ids}
    states, own = encoder.parts([token_ids], encoder.layers)
    return ReadText(pd.DataFrame(table), encoder.layers, states, own)


def take_apart(
    read: ReadText, encoder: FactorEncoder, penalty: float, start: "csr_array | None" = None
) -> "tuple[Decomposition, csr_array]":
    """Code a text that was read, at any λ; needs the dictionary, not the model.

    Parameters
    ----------
    read : ReadText
        The text.
    encoder : FactorEncoder
        Its dictionary and tolerance are used.
    penalty : float
        λ.
    start : csr_array, optional
        The codes that a call with another λ returned. The search begins there, which changes the
        time and not the answer.

    Returns
    -------
    decomposition : Decomposition
    codes : (layers · tokens, m) csr_array
        The codes of all layers, one layer below the other.

    Raises
    ------
    InputError
        A penalty below 0.
    """
    import pandas as pd

    if not 0 <= penalty < float("inf"):
        raise InputError(f"penalty {penalty}: expected a number of 0 or more")
    layers, tokens, width = read.states.shape
    x = read.states.reshape(-1, width)
    codes = encoder.coder.encode(x, penalty, encoder.tol, start)
    l0 = np.diff(codes.indptr)
    layer = np.repeat(np.array(read.layers, np.int16), tokens)
    position = np.tile(np.arange(tokens, dtype=np.int32), layers)
    row = owners(l0)
    strongest_first = np.lexsort((-codes.data, row))
    factors = pd.DataFrame(
        {
            "layer": layer[row],
            "position": position[row],
            "factor": codes.indices[strongest_first].astype(np.int32),
            "activation": codes.data[strongest_first],
        }
    )
    whole = x if read.own is None else x + read.own.reshape(-1, width)
    total = np.einsum("nd,nd->n", whole, whole, dtype=np.float64)
    context = np.einsum("nd,nd->n", x, x, dtype=np.float64)
    left = encoder.coder.squared_error(x, codes)
    residuals = pd.DataFrame(
        {
            "layer": layer,
            "position": position,
            "norm": np.sqrt(total),
            "context": np.sqrt(context),
            "residual": np.sqrt(left),
            "explained": 1 - left / np.maximum(total, np.finfo(np.float64).tiny),
            "l0": l0.astype(np.int32),
        }
    )
    return Decomposition(read.tokens, factors, residuals, float(penalty)), codes


def decompose(
    bundle: "Bundle",
    text: str,
    penalty: float | None = None,
    encoder: FactorEncoder | None = None,
) -> Decomposition:
    """Take a text apart into the factors of a bundle, at each of its layers.

    Parameters
    ----------
    bundle : Bundle
        Names the model, and holds the dictionary, the scales and λ.
    text : str
        At most as many tokens as the model reads at once.
    penalty : float, optional
        λ, by default the bundle's.
    encoder : FactorEncoder, optional
        Made with `FactorEncoder.from_bundle`; give it to many calls to load the model only once.

    Raises
    ------
    InputError
        An empty text, one that is too long, a penalty below 0.
    ModelError
        The bundle's model cannot be loaded.
    """
    encoder = encoder or encoder_of(bundle)
    if penalty not in (None, encoder.penalty) and not encoder.exact:
        raise InputError("penalty: the codes of an autoencoder's encoder have none; leave it out")
    penalty = encoder.penalty if penalty is None else float(penalty)
    decomposition, _ = take_apart(read_text(text, encoder), encoder, penalty)
    return replace(decomposition, labels=bundle.factors["label"].tolist())
