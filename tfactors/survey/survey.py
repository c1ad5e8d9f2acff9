"""One pass over the corpus: what every factor does at every layer.

Turns the codes of one batch of windows after another, sparse rows layer by layer, into what each
factor does at each layer: its numbers, examples and words (`tfactors.survey.layer`), the contexts
of the first examples (`tfactors.survey.contexts`), a random sample of its activations
(`tfactors.survey.activation_sample`), and how well held-out tokens are reconstructed
(`tfactors.survey.moments`). The state has a fixed size, whatever the length of the corpus.

Nothing depends on the order of the windows: of equal activations the earlier window wins, and sums
are exact. So the surveys of several processes merge into the one that one process would have made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from tfactors.parallel import cores
from tfactors.survey.activation_sample import ActivationSample
from tfactors.survey.contexts import TopContexts
from tfactors.survey.layer import BYTES_A_WORD, WORD_TABLE_BYTES, LayerSurvey
from tfactors.survey.moments import ExactSum, Moments

SLOTS_AN_ACTIVATION = 4
"""Slots of a word table for each activation that there can be, so that it never fills."""


class Survey:
    """The pass over the corpus: one :class:`LayerSurvey` a layer and the words met so far.

    Parameters
    ----------
    layers : sequence of int
        The hidden states that are surveyed.
    factors : int
        Rows of the dictionary, m.
    importance_k : int
        Activations whose mean is the importance, K.
    examples : int
        Examples a factor and layer.
    contexts : int
        Of these so many with their whole context.
    table_bytes : int
        Memory of the word tables of all layers, at most.
    most_tokens : int, optional
        Tokens that come, at most: of few the word tables are small from the start.

    Attributes
    ----------
    tokens : int
        Tokens taken in.
    norms : ExactSum of (layers,)
        Σ‖x‖ of each layer.
    states, contexts, samples, held_out : lists, an entry a layer
        The running states of the parts of the survey.
    """

    def __init__(
        self,
        layers: Sequence[int],
        factors: int,
        importance_k: int = 200,
        examples: int = 200,
        contexts: int = 20,
        table_bytes: int = WORD_TABLE_BYTES,
        most_tokens: int | None = None,
    ) -> None:
        slots = 1 << int(np.log2(table_bytes / len(layers) / BYTES_A_WORD))
        if most_tokens is not None:
            slots = min(slots, 1 << (SLOTS_AN_ACTIVATION * most_tokens * factors).bit_length())
        self.layers = list(layers)
        self.tokens = 0
        self.norms = ExactSum()  # Σ‖x‖ of each layer, (layers,)
        self.states = [LayerSurvey.empty(factors, importance_k, examples, slots) for _ in layers]
        self.contexts = [TopContexts.empty(factors, contexts) for _ in layers]
        self.samples = [ActivationSample.empty(layer, factors) for layer in layers]
        self.held_out = [Moments() for _ in layers]
        self._words: dict[str, int] = {}
        self._word_totals: list[int] = []

    @property
    def vocabulary(self) -> list[str]:
        """The words met so far, in the order of their numbers."""
        return list(self._words)

    @property
    def word_totals(self) -> np.ndarray:
        """How many tokens each word of the vocabulary has had, (words,) int64."""
        return np.asarray(self._word_totals, np.int64)

    def number_words(self, words: Sequence[str]) -> np.ndarray:
        """Return the numbers of the words of a batch's tokens, new words numbered as they come."""
        return np.array([self._count_word(word, 1) for word in words], np.int64)

    def _count_word(self, word: str, tokens: int) -> int:
        """Add so many tokens to a word, and return its number."""
        number = self._words.setdefault(word, len(self._words))
        if number == len(self._word_totals):
            self._word_totals.append(0)
        self._word_totals[number] += tokens
        return number

    def add(
        self,
        codes: Sequence[csr_array],
        windows: np.ndarray,
        positions: np.ndarray,
        words: Sequence[str],
    ) -> None:
        """Take in one batch: the codes of the same n tokens at every layer, in corpus order.

        A batch holds whole windows.
        """
        numbers = self.number_words(words)
        self.tokens += len(numbers)

        def add(layer: int) -> None:
            self.states[layer].add(codes[layer], windows, positions, numbers)
            self.contexts[layer].add(codes[layer], windows, positions)
            self.samples[layer].add(codes[layer], windows, positions, numbers)

        with ThreadPoolExecutor(max_workers=cores()) as pool:
            list(pool.map(add, range(len(self.states))))

    def merge(self, other: Survey) -> None:
        """Take in the survey of other windows, which is used up.

        The result is that of one pass over all windows, exactly, as long as the word tables have
        not had to forget.
        """
        words = zip(other._words, other._word_totals, strict=True)
        numbers = np.array([self._count_word(word, total) for word, total in words], np.int64)
        self.tokens += other.tokens
        self.norms.merge(other.norms)
        for state, more_state in zip(self.states, other.states, strict=True):
            state.merge(more_state, numbers)
        for contexts, more_contexts in zip(self.contexts, other.contexts, strict=True):
            contexts.merge(more_contexts)
        for sample, more_draws in zip(self.samples, other.samples, strict=True):
            sample.merge(more_draws, numbers)
        for held, more in zip(self.held_out, other.held_out, strict=True):
            held.merge(more)

    def save(self, path: Path) -> None:
        """Write the whole state to an .npz file, from which :meth:`load` goes on exactly."""
        arrays: dict[str, Any] = {
            "layers": np.asarray(self.layers),
            "tokens": np.asarray(self.tokens),
            **_arrays("norms", self.norms),
            "words_json": np.frombuffer(json.dumps(list(self._words)).encode(), np.uint8),
            "word_totals": self.word_totals,
        }
        for i, moments in enumerate(self.held_out):
            for part, state in self._parts(i).items():
                arrays |= {f"{part}{i}.{name}": value for name, value in vars(state).items()}
            arrays[f"moments{i}.numbers"] = np.array([moments.tokens, moments.active])
            arrays |= _arrays(f"moments{i}", moments.sums)
        with path.open("wb") as file:
            np.savez(file, **arrays)

    def _parts(self, i: int) -> dict[str, Any]:
        """Return the arrays of one layer by the name under which they are saved."""
        return {"state": self.states[i], "contexts": self.contexts[i], "sample": self.samples[i]}

    @classmethod
    def load(cls, path: Path) -> Survey:
        """Read a state written by :meth:`save`."""
        with np.load(path, allow_pickle=False) as arrays:
            survey = cls.__new__(cls)
            survey.layers = arrays["layers"].tolist()
            survey.tokens = int(arrays["tokens"])
            survey.norms = ExactSum(arrays["norms.high"], arrays["norms.low"])
            words = json.loads(arrays["words_json"].tobytes())
            survey._words = {word: number for number, word in enumerate(words)}
            survey._word_totals = arrays["word_totals"].tolist()
            survey.states, survey.contexts, survey.samples, survey.held_out = [], [], [], []
            for i in range(len(survey.layers)):
                survey.states.append(_restored(LayerSurvey, arrays, f"state{i}"))
                survey.contexts.append(_restored(TopContexts, arrays, f"contexts{i}"))
                survey.samples.append(_restored(ActivationSample, arrays, f"sample{i}"))
                sums = ExactSum(arrays[f"moments{i}.high"], arrays[f"moments{i}.low"])
                tokens, active = arrays[f"moments{i}.numbers"].tolist()
                survey.held_out.append(Moments(tokens, active, sums))
        return survey


def _arrays(name: str, total: ExactSum) -> dict[str, np.ndarray]:
    return {f"{name}.high": total.high, f"{name}.low": total.low}


def _restored(kind: Any, arrays: Any, prefix: str) -> Any:
    """Return a record of arrays, of a dataclass, from those saved under a prefix."""
    return kind(*(arrays[f"{prefix}.{name}"] for name in kind.__dataclass_fields__))
