"""A model with its dictionary: from token ids to codes.

Turns texts into the states z = s·x − b of the bundle's layers
(`tfactors.coding.state_transform`) and their codes, solved as in
:mod:`tfactors.coding.sparse_coding` or given by the encoder of an imported autoencoder. All that
asks a model for one activation goes through :class:`FactorEncoder`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tfactors.errors import InputError
from tfactors.explain.read_states import read_states
from tfactors.model.hidden_states import Model, load_model
from tfactors.model.loading import ModelError
from tfactors.model.location import VARIABLE, model_to_load
from tfactors.text.windows import tokenize

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from tfactors.bundle import Bundle
    from tfactors.coding.imported_dictionary import EncoderCoder
    from tfactors.coding.solver import SparseCoder
    from tfactors.coding.state_transform import StateTransform


@dataclass(frozen=True)
class FactorEncoder:
    """A model with its dictionary: token ids to codes; safe to share between threads.

    Attributes
    ----------
    model : Model
        The frozen transformer.
    coder : SparseCoder or EncoderCoder
        Solves the codes over the dictionary Φ, or is the encoder of an imported autoencoder.
    transform : StateTransform
        Turns hidden states of each layer that can be coded into what is coded.
    penalty : float
        λ.
    tol : float
        Largest relative duality gap of a code.
    """

    model: Model
    coder: "SparseCoder | EncoderCoder"
    transform: "StateTransform"
    penalty: float
    tol: float = 1e-3

    @classmethod
    def from_bundle(cls, bundle: "Bundle", device: str = "cpu") -> "FactorEncoder":
        """Load the model and the dictionary that a bundle was made with.

        Raises
        ------
        ModelError
            The model is not here, or its weights are not the ones of the bundle.
        """
        from tfactors.coding.baseline import TokenBaseline
        from tfactors.coding.imported_dictionary import ImportedDictionary
        from tfactors.coding.solver import SparseCoder
        from tfactors.coding.state_transform import scaling

        about = bundle.about.model
        expected = about.sha256
        name = model_to_load(about, bundle.path)
        model = load_model(name, device, about.marks, about.bos, about.dtype)
        if model.sha256 != expected:
            raise ModelError(
                f"model {name!r}: its weights have sha256 {model.sha256[:12]}…, the bundle was "
                f"made with {expected[:12]}…; give the folder of that model in {VARIABLE}, or "
                "build the bundle again"
            )
        coding = bundle.about.coding
        imported = (
            ImportedDictionary.from_record(
                bundle.imported, bundle.dictionary, bundle.imported_tensors()
            )
            if bundle.imported
            else None
        )
        if imported:
            coder = imported.coder(bundle.coding_method, coding.refit)
        else:
            coder = SparseCoder(bundle.dictionary, refit=coding.refit)
        offset = imported.offset if imported else None
        baseline = None
        if bundle.about.baseline:
            stored = bundle.baseline()
            baseline = TokenBaseline(tuple(bundle.layers), **stored, embed=model.unit_embeddings)
        scaled = scaling(bundle.scale, coding.scale_by)
        transform = replace(scaled, offset=offset, baseline=baseline)
        return cls(model, coder, transform, coding.penalty, coding.tol)

    @property
    def exact(self) -> bool:
        """Whether codes are solved; those of an autoencoder's own encoder know no λ."""
        from tfactors.coding.imported_dictionary import EncoderCoder

        return not isinstance(self.coder, EncoderCoder)

    @property
    def layers(self) -> list[int]:
        """The layers that can be coded, ascending."""
        return sorted(self.transform.scale)

    @property
    def n_factors(self) -> int:
        """Rows of the dictionary."""
        return self.coder.dictionary.shape[0]

    def check(self, layer: int, factor: int | None = None) -> None:
        """Raise InputError for a layer or a factor that this encoder does not have."""
        if layer not in self.transform.scale:
            known = ", ".join(map(str, self.layers))
            raise InputError(f"layer {layer}: expected one of {known}")
        if factor is not None and not 0 <= factor < self.n_factors:
            raise InputError(f"factor {factor}: expected 0 to {self.n_factors - 1:,}")

    def states(
        self,
        texts: Sequence[np.ndarray],
        layers: Sequence[int],
        positions: Sequence[int] | None = None,
        starts: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Return the states that are coded, z; arguments as `Model.hidden_states`."""
        return self.parts(texts, layers, positions, starts)[0]

    def parts(
        self,
        texts: Sequence[np.ndarray],
        layers: Sequence[int],
        positions: Sequence[int] | None = None,
        starts: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return z, and what each token brings of its own, or None, as `read_states`."""
        for layer in layers:
            self.check(layer)
        return read_states(self.model, self.transform, texts, layers, positions, starts)

    def encode(
        self,
        texts: Sequence[np.ndarray],
        layer: int,
        penalty: float | None = None,
        positions: Sequence[int] | None = None,
        starts: Sequence[int] | None = None,
    ) -> "csr_array":
        """Return the codes of all tokens at one layer, or of one position of each text.

        Parameters
        ----------
        texts : sequence of array
            Token ids of each text.
        layer : int
            Which hidden state.
        penalty : float, optional
            λ, by default the encoder's.
        positions : sequence of int, optional
            Code only this token of each text; far cheaper than all.
        starts : sequence of int, optional
            Position id of each text's first token (see `Model.hidden_states`).

        Returns
        -------
        (tokens, m) csr_array, float32; (len(texts), m) with ``positions``
        """
        states = self.states(texts, [layer], positions, starts)[0]
        return self.coder.encode(states, self._penalty(penalty), self.tol)

    def activation(
        self,
        texts: Sequence[np.ndarray],
        positions: Sequence[int],
        factor: int,
        layer: int,
        starts: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Return the activation of one factor at one position of each text.

        Parameters
        ----------
        texts : sequence of array
            Token ids of each text.
        positions : sequence of int
            The token of each text.
        factor, layer : int
            Which factor, and at which hidden state.
        starts : sequence of int, optional
            Position id of each text's first token (see `Model.hidden_states`).

        Returns
        -------
        (len(texts),) float32
        """
        self.check(layer, factor)
        codes = self.encode(texts, layer, positions=positions, starts=starts)
        return activations_of(codes, np.arange(len(texts)), np.full(len(texts), factor))

    def _penalty(self, penalty: float | None) -> float:
        return self.penalty if penalty is None else penalty


def activations_of(codes: "csr_array", rows: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return the activations of some factors in some rows of codes.

    Parameters
    ----------
    codes : (tokens, m) csr_array
        Codes, indices sorted in each row.
    rows, factors : (n,) integers
        Which entries.

    Returns
    -------
    (n,) float32, 0 where a factor is silent
    """
    activations = np.zeros(len(rows), np.float32)
    for i, (row, factor) in enumerate(zip(rows, factors, strict=True)):
        start, stop = codes.indptr[row], codes.indptr[row + 1]
        at = start + np.searchsorted(codes.indices[start:stop], factor)
        if at < stop and codes.indices[at] == factor:
            activations[i] = codes.data[at]
    return activations


def check_position(position: int, tokens: int) -> None:
    """Raise InputError for a position that a text of so many tokens does not have."""
    if not 0 <= position < tokens:
        raise InputError(f"position {position}: the text has {tokens} tokens, counted from 0")


def tokenize_checked(text: str, model: Model) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Tokenise a reader's text, as `tfactors.text.windows.tokenize`; a mask typed in it is one.

    Raises
    ------
    InputError
        The text is empty or too long for the model.
    """
    token_ids, tokens, word_starts = tokenize(text, model.tokenizer, keep_mask=True)
    if not tokens:
        raise InputError("the text holds no words; give at least one")
    if len(tokens) > model.max_length:
        raise InputError(
            f"the text has {len(tokens):,} tokens and {model.name} reads at most "
            f"{model.max_length:,} at once; give a shorter one"
        )
    return token_ids, tokens, word_starts


@lru_cache(maxsize=1)
def encoder_of(bundle: "Bundle") -> FactorEncoder:
    """Return the encoder of the bundle used last, so that a notebook loads its model once."""
    return FactorEncoder.from_bundle(bundle)
