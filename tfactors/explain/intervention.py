"""One factor of a text is taken away, weakened or strengthened: what changes at the end.

At layer l the hidden states of one token, or of all, are moved along the factor, in scaled states

    x′ = x + ((times − 1) α_c + add) Φ_c        times = 0, add = 0: the factor is taken away

and the rest of the network runs on (`Model.last_states`). Of the final states y and their mean ȳ,
the sentence embedding, all raw:

    change of a token  ‖y′ − y‖ / ‖y‖     of the embedding  ‖ȳ′ − ȳ‖ / ‖ȳ‖ and cos(ȳ, ȳ′)

Beside it stands the change that steps of the same lengths in random directions make, and cos(ȳ, z̄)
with another text before and after. Where the model was saved with its head, so do the words that
become more and less probable. `tfactors.explain.effects` measures the same for every factor of a
bundle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.errors import InputError
from tfactors.explain.encoder import (
    FactorEncoder,
    check_position,
    encoder_of,
    tokenize_checked,
)
from tfactors.text.words import spelled

if TYPE_CHECKING:
    import pandas as pd

    from tfactors.bundle import Bundle


DIRECTIONS = 16  # random ones beside an intervention
WORDS = 8  # that gain most, and that lose most


@dataclass(frozen=True)
class Move:
    """Which factor is moved, where and how far.

    Attributes
    ----------
    factor, layer : int
        Which factor, and at which hidden state; at the last one nothing is left to run.
    position : int, optional
        The token, counted from 0; every token by default.
    times : float
        What the activation is multiplied by; 0 takes the factor away.
    add : float
        What is added to it then, also where it is silent. ``times=1, add=3`` adds 3 Φ.
    seed : int
        Seed of the random directions.
    penalty : float, optional
        λ of the activations; by default the encoder's.
    """

    factor: int
    layer: int
    position: int | None = None
    times: float = 0.0
    add: float = 0.0
    seed: int = 0
    penalty: float | None = None

    def check(self, encoder: FactorEncoder, tokens: int) -> None:
        """Raise InputError where an encoder or a text of so many tokens does not allow it."""
        encoder.check(self.layer, self.factor)
        if self.position is not None:
            check_position(self.position, tokens)
        if not (np.isfinite(self.times) and np.isfinite(self.add)):
            raise InputError(f"times {self.times}, add {self.add}: expected finite numbers")

    def steps(self, activation: np.ndarray) -> np.ndarray:
        """Return how far each token is moved from its activation, (n,) both, in scaled states."""
        step = (self.times - 1) * activation + self.add
        if self.position is not None:
            step = np.where(np.arange(len(step)) == self.position, step, 0)
        return step


@dataclass(frozen=True)
class Unmoved:
    """A text of n tokens as the model reads it, in raw states.

    Attributes
    ----------
    entering : (n, d) float32
        The states that enter a layer.
    last : (n, d) float32
        The last ones.
    """

    entering: np.ndarray
    last: np.ndarray


# Hands out what `read_unmoved` returns for token ids and a layer, perhaps from memory.
ReadUnmoved = Callable[[np.ndarray, int], Unmoved]


def read_unmoved(encoder: FactorEncoder, token_ids: np.ndarray, layer: int) -> Unmoved:
    """Let the model read a text in which nothing is moved."""
    return Unmoved(*encoder.model.hidden_states([token_ids], [layer, encoder.model.blocks]))


@dataclass(frozen=True)
class Intervention:
    """What moving one factor of a text does to the end of the network.

    Attributes
    ----------
    factor, layer : int
        What was moved, and where.
    position : int or None
        At which token; None for all.
    times, add : float
        The new activation is ``times`` × the old one + ``add``.
    tokens : DataFrame
        One row a token: position, token, activation (before), step (how far the scaled state was
        moved), change (of its final state, relative), cosine (with what it was).
    change : float
        Relative change of the sentence embedding.
    cosine : float
        Cosine of the sentence embedding before and after.
    random : (directions,) array
        The relative change that each of some random directions of the same length makes.
    similarity : (float, float) or None
        Cosine with the other text's embedding, before and after; None without one.
    words : DataFrame or None
        None without a head, else one row a word that gains or loses: token, before, after
        (probabilities), gain; largest gain first, largest loss last.
    words_at : int
        The token whose prediction that is.
    """

    factor: int
    layer: int
    position: int | None
    times: float
    add: float
    tokens: "pd.DataFrame"
    change: float
    cosine: float
    random: np.ndarray
    similarity: tuple[float, float] | None
    words: "pd.DataFrame | None"
    words_at: int

    @property
    def ratio(self) -> float:
        """The change against the mean change of random directions; NaN where nothing moved."""
        mean = float(self.random.mean())
        return self.change / mean if mean > 0 else float("nan")

    def _repr_html_(self) -> str:
        from tfactors.display import notebook, passages

        tokens = self.tokens["token"].tolist()
        where = "every token" if self.position is None else f"“{spelled(tokens[self.position])}”"
        moved = self.tokens.index[self.tokens["step"] != 0].tolist()
        amount = f"× {self.times:g}" + (f" + {self.add:g}" if self.add else "")
        return notebook.framed(
            f"Factor {self.factor} {amount} at layer {self.layer}, at {where}",
            notebook.table(self._said(tokens))
            + passages.strip(tokens, self.tokens["change"].to_numpy(), moved),
        )

    def _said(self, tokens: list[str]) -> list[tuple[str, str]]:
        """Return the numbers of the change, each with its name."""
        rows = [
            ("sentence embedding", f"changes by {self.change:.2%}, cosine {self.cosine:.4f}"),
            (
                f"{len(self.random)} random directions",
                f"{self.random.mean():.2%} on average, {self.random.max():.2%} at most",
            ),
        ]
        if self.similarity:
            before, after = self.similarity
            rows.append(("cosine with the other text", f"{before:.4f} before, {after:.4f} after"))
        if self.words is not None:
            changed = (
                f"{row.token!r} {row.before:.2%} → {row.after:.2%}"
                for row in self.words.itertuples()
            )
            rows.append((f"words at “{spelled(tokens[self.words_at])}”", "; ".join(changed)))
        return rows


def intervene(
    bundle: "Bundle",
    text: str,
    factor: int,
    layer: int,
    position: int | None = None,
    times: float = 0.0,
    add: float = 0.0,
    other: str | None = None,
    seed: int = 0,
    encoder: FactorEncoder | None = None,
) -> Intervention:
    """Move one factor of a text at a layer, and see what the rest of the network makes of it.

    Parameters
    ----------
    bundle : Bundle
        Names the model, and holds the dictionary, the scales and λ.
    text : str
        At most as many tokens as the model reads at once.
    factor : int
        Which factor.
    layer : int
        Where; at the last layer nothing is left to run.
    position : int, optional
        The token, counted from 0; every token by default.
    times : float
        What the activation is multiplied by; 0 takes the factor away.
    add : float
        What is added to it then, also where it is silent. ``times=1, add=3`` adds 3 Φ.
    other : str, optional
        Another text, to see how the cosine of the two embeddings changes.
    seed : int
        Seed of the random directions.
    encoder : FactorEncoder, optional
        Made with `FactorEncoder.from_bundle`; give it to many calls to load the model only once.

    Raises
    ------
    InputError
        A text, factor, layer, position or number that cannot be used.
    ModelError
        The bundle's model cannot be loaded.
    """
    encoder = encoder or encoder_of(bundle)
    ids, tokens, _ = tokenize_checked(text, encoder.model)
    other_ids = tokenize_checked(other, encoder.model)[0] if other else None
    move = Move(factor, layer, position, times, add, seed)
    return intervene_tokens(encoder, ids, tokens, move, other_ids)


def intervene_tokens(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    tokens: Sequence[str],
    move: Move,
    other_ids: np.ndarray | None = None,
    read: ReadUnmoved | None = None,
) -> Intervention:
    """Do the same with a text that is tokens already.

    Parameters
    ----------
    encoder : FactorEncoder
        Model, dictionary, scales and λ.
    token_ids : (n,) integers
        The text.
    tokens : (n,) strings
        How its tokens are written.
    move : Move
        What is moved, where and how far.
    other_ids : (k,) integers, optional
        Another text, to see how the cosine of the two embeddings changes.
    read : callable, optional
        Hands out what `read_unmoved` returns for token ids and a layer, perhaps from memory.

    Raises
    ------
    InputError
        A factor, layer, position or number that cannot be used.
    """
    import pandas as pd

    model, n = encoder.model, len(token_ids)
    move.check(encoder, n)
    read = read or partial(read_unmoved, encoder)
    unmoved = read(token_ids, move.layer)
    last = unmoved.last
    activation = _activation(encoder, token_ids, unmoved.entering, move)
    steps = move.steps(activation)
    final = _final_states(encoder, token_ids, unmoved, move, steps)
    before, after = last.mean(axis=0, dtype=np.float64), final.mean(axis=1, dtype=np.float64)
    changes = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before)
    table = pd.DataFrame(
        {
            "position": np.arange(n),
            "token": list(tokens),
            "activation": activation,
            "step": steps.astype(np.float32),
            "change": np.linalg.norm(final[0] - last, axis=1) / np.linalg.norm(last, axis=1),
            "cosine": [cosine(a, b) for a, b in zip(last, final[0], strict=True)],
        }
    )
    similarity = None
    if other_ids is not None:
        there = read(other_ids, model.blocks).last.mean(axis=0, dtype=np.float64)
        similarity = (cosine(before, there), cosine(after[0], there))
    words_at = move.position
    if words_at is None:  # the next token after the text, or the token that changes most
        words_at = n - 1 if model.causal else int(table["change"].argmax())
    return Intervention(
        factor=move.factor,
        layer=move.layer,
        position=move.position,
        times=move.times,
        add=move.add,
        tokens=table,
        change=float(changes[0]),
        cosine=cosine(before, after[0]),
        random=changes[1:],
        similarity=similarity,
        words=_changed_words(encoder, last[words_at], final[0, words_at]),
        words_at=words_at,
    )


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two vectors; 0 where one is zero."""
    norms = float(np.linalg.norm(a.astype(np.float64)) * np.linalg.norm(b.astype(np.float64)))
    return float(a.astype(np.float64) @ b.astype(np.float64)) / norms if norms else 0.0


def _activation(
    encoder: FactorEncoder, token_ids: np.ndarray, entering: np.ndarray, move: Move
) -> np.ndarray:
    """Return the activation of the factor at each token, (n,) float32, from raw states (n, d)."""
    states = entering[None].copy()
    encoder.transform.apply(states, [move.layer], token_ids, np.arange(len(token_ids)))
    penalty = encoder.penalty if move.penalty is None else move.penalty
    codes = encoder.coder.encode(states[0], penalty, encoder.tol)
    return codes[:, [move.factor]].toarray()[:, 0]


def _final_states(
    encoder: FactorEncoder, token_ids: np.ndarray, unmoved: Unmoved, move: Move, steps: np.ndarray
) -> np.ndarray:
    """Return the last states after a move along the factor, then along random directions.

    These are raw states, (1 + DIRECTIONS, n, d) float32.
    """
    model, atom = encoder.model, encoder.coder.dictionary[move.factor]
    random = np.random.default_rng([move.seed, move.factor])
    directions = random.standard_normal((DIRECTIONS, model.width))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    scale = encoder.transform.multipliers(unmoved.entering[None], [move.layer])[0]
    raw_steps = (steps[:, None] / scale).astype(np.float32)
    moved = [unmoved.entering + raw_steps * u for u in (atom, *directions.astype(np.float32))]
    # States that nothing moved are the last ones to the bit, not to the rounding of a batch.
    final = np.repeat(unmoved.last[None], 1 + DIRECTIONS, axis=0)
    if raw_steps.any():
        rerun = model.last_states([token_ids] * len(moved), move.layer, np.concatenate(moved))
        final = rerun.reshape(final.shape)
    return final


def _changed_words(
    encoder: FactorEncoder, before: np.ndarray, after: np.ndarray
) -> "pd.DataFrame | None":
    """Return the words that change most by what the head makes of a final state, (d,) each."""
    import pandas as pd

    head = head_of(encoder.model.name, encoder.model.device, encoder.model.dtype)
    if head is None:
        return None
    p = _softmax(head(np.stack([before, after]).astype(np.float32)))
    gain = p[1] - p[0]
    order = np.argsort(-gain, kind="stable")
    chosen = np.concatenate([order[:WORDS], order[-WORDS:]]) if len(order) > 2 * WORDS else order
    chosen = chosen[gain[chosen] != 0]
    tokenizer = encoder.model.tokenizer
    return pd.DataFrame(
        {
            "token": [tokenizer.decode([int(token)]) for token in chosen],
            "before": p[0, chosen],
            "after": p[1, chosen],
            "gain": gain[chosen],
        }
    )


@lru_cache(maxsize=1)
def head_of(name: str, device: str, dtype: str = "float32") -> Any:
    """Return the head of the model used last, or None where it was saved without one."""
    from tfactors.model.language_head import language_head

    return language_head(name, device, dtype)[0]


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
