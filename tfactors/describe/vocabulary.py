"""The tokens of a model's vocabulary that lie nearest to each factor.

In come the dictionary and the model; out come, for each factor, tokens with their cosine to the
factor at the model's input. The input embedding of a token is what layer 0 holds where the token
stands alone, less the mean over the vocabulary (what all tokens share would else be the largest
part of every cosine).

A model that was saved with its language-model head also has, for each factor, the tokens whose
logit it raises and lowers most: the head's logits for a last hidden state that is the factor alone,
as long as states are on average, less those for a state of zeros.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

TOKENS = 10
_FACTORS_AT_ONCE = 512
_TOKENS_AT_ONCE = 4096
_PLACEHOLDER = re.compile(r"[\[<]\W*(unused|extra|reserved|pad|unk|mask)\w*\W*[\]>]", re.IGNORECASE)
# How tokenizers write that a token begins a word: SentencePiece, and byte-level BPE.
_BLANKS = ("▁", "Ġ")


def readable_tokens(tokenizer: Any, size: int) -> list[str]:
    """Return each token as a reader would write it, empty where it is not text.

    What goes on inside a word begins with “…”.
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

    ``values`` is (factors, vocabulary), its rows the factors from ``first`` on; tokens that are not
    text are passed over. With the kind "logit_low" the smallest values count.
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
    """Return the tokens whose logits each atom (m, d) raises and lowers most, some atoms a table.

    ``length`` is that of a raw last hidden state, on average; ``head`` gives the logits of such.
    """
    nothing = head(np.zeros((1, atoms.shape[1]), np.float32))
    tables = []
    for start in range(0, len(atoms), _FACTORS_AT_ONCE):
        states = np.float32(length) * atoms[start : start + _FACTORS_AT_ONCE]
        change = (head(states) - nothing)[:, : len(tokens)]
        tables += [table(kind, change, start, tokens) for kind in ("logit", "logit_low")]
    return tables


def near_input(atoms: np.ndarray, model: Any, tokens: Sequence[str]) -> list[pa.Table]:
    """Return the tokens nearest to each atom (m, d) at the model's input, some atoms a table."""
    embeddings = input_embeddings(model)
    return [
        table("input", atoms[start : start + _FACTORS_AT_ONCE] @ embeddings.T, start, tokens)
        for start in range(0, len(atoms), _FACTORS_AT_ONCE)
    ]
