"""Turns a dictionary and its model into the tokens of the vocabulary nearest to each factor.

Tokens are near by their cosine to the factor at the model's input. The input embedding of a token
is what layer 0 holds where the token stands alone, less the mean over the vocabulary (what all
tokens share would else be the largest part of every cosine).

A model that was saved with its language-model head also has, for each factor, the tokens whose
logit it raises and lowers most: the head's logits for a last hidden state that is the factor alone,
as long as states are on average, less those for a state of zeros.

Every product is one thread's, so that its bits do not depend on the number of threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfactors.parallel import ahead

TOKENS = 10
_FACTORS_AT_ONCE = 512
_TOKENS_AT_ONCE = 4096
_PLACEHOLDER = re.compile(r"[\[<]\W*(unused|extra|reserved|pad|unk|mask)\w*\W*[\]>]", re.IGNORECASE)
# How tokenizers write that a token begins a word: SentencePiece, and byte-level BPE.
_BLANKS = ("▁", "Ġ")


def readable_tokens(tokenizer: Any, size: int) -> list[str]:
    """Return each token as a reader would write it, empty where it is not text.

    What goes on inside a word begins with “…”.

    Parameters
    ----------
    tokenizer : Any
        The model's, of transformers.
    size : int
        Rows of the model's vocabulary, which may be more than the tokenizer knows.
    """
    special = set(tokenizer.all_special_ids)
    raw = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    marked = any(token and token.startswith(_BLANKS) for token in raw)
    shown = []
    for number, token in enumerate(raw):
        if not token or number in special or _PLACEHOLDER.fullmatch(token):
            shown.append("")
            continue
        text = tokenizer.convert_tokens_to_string([token]).strip()
        inside = not token.startswith(_BLANKS) if marked else text.startswith("##")
        text = text.removeprefix("##") if not marked else text
        legible = text.isprintable() and "\ufffd" not in text
        goes_on = inside and text[:1].isalnum()
        shown.append(f"{'…' if goes_on else ''}{text}" if text and legible else "")
    return shown + [""] * (size - len(raw))


def input_embeddings(model: Any) -> np.ndarray:
    """Return the vocabulary at the model's input, (vocabulary, d) float32, mean 0, rows of norm 1.

    ``model`` is a `tfactors.model.hidden_states.Model`.
    """
    parts = [
        model.hidden_states([np.array([token]) for token in range(start, stop)], [0])[0]
        for start in range(0, model.vocabulary, _TOKENS_AT_ONCE)
        for stop in [min(start + _TOKENS_AT_ONCE, model.vocabulary)]
    ]
    embeddings = np.concatenate(parts)
    embeddings -= embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    norm = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.divide(embeddings, norm, where=norm > 0, out=np.zeros_like(embeddings))


def table(kind: str, values: np.ndarray, first: int, tokens: Sequence[str]) -> pa.Table:
    """Return rows of vocabulary.parquet: the largest values of each of some factors.

    Parameters
    ----------
    kind : str
        "input", "logit" or "logit_low"; with the last the smallest values count.
    values : (f, vocabulary) float32
        How near each token is to each factor.
    first : int
        The factor of the first row; the others follow.
    tokens : sequence of str
        As :func:`readable_tokens` gives them; those that are not text are passed over.
    """
    legible = np.array([bool(token) for token in tokens])
    sign = np.float32(-1 if kind == "logit_low" else 1)
    ranked = np.where(legible, sign * values, -np.inf)
    number = min(TOKENS, int(legible.sum()))
    nearest = np.argsort(-ranked, axis=1, kind="stable")[:, :number]
    factors = np.arange(first, first + len(values), dtype=np.int32)
    columns = {
        "factor": np.repeat(factors, number),
        "kind": pa.array([kind] * nearest.size, pa.string()),
        "rank": np.tile(np.arange(number, dtype=np.int16), len(values)),
        "token": pa.array([tokens[token] for token in nearest.ravel().tolist()], pa.string()),
        "value": np.take_along_axis(values, nearest, 1).ravel().astype(np.float32),
    }
    return pa.table(columns)


def near_logits(
    atoms: np.ndarray,
    length: float,
    head: Callable[[np.ndarray], np.ndarray],
    tokens: Sequence[str],
) -> list[pa.Table]:
    """Return the tokens whose logits each atom raises and lowers most, some atoms a table.

    Parameters
    ----------
    atoms : (m, d) float32
        Rows of norm 1.
    length : float
        The mean norm of the model's raw last hidden states.
    head : callable
        Turns last hidden states (n, d) into logits (n, vocabulary).
    tokens : sequence of str
        As :func:`readable_tokens` gives them.
    """
    zeros = np.zeros((1, atoms.shape[1]), np.float32)

    def of_some(start: int) -> list[pa.Table]:
        states = np.float32(length) * atoms[start : start + _FACTORS_AT_ONCE]
        change = (head(states) - head(zeros))[:, : len(tokens)]
        return [table(kind, change, start, tokens) for kind in ("logit", "logit_low")]

    parts = ahead(of_some, range(0, len(atoms), _FACTORS_AT_ONCE))
    return [rows for _, tables in parts for rows in tables]


def near_input(atoms: np.ndarray, model: Any, tokens: Sequence[str]) -> list[pa.Table]:
    """Return the tokens nearest to each atom (m, d) at the model's input, some atoms a table."""
    embeddings = input_embeddings(model)

    def of_some(start: int) -> pa.Table:
        return table("input", atoms[start : start + _FACTORS_AT_ONCE] @ embeddings.T, start, tokens)

    return [rows for _, rows in ahead(of_some, range(0, len(atoms), _FACTORS_AT_ONCE))]
