"""A dictionary that was learnt elsewhere, in one form whatever file it came from, and its codes.

Turns what :mod:`tfactors.interchange.dictionaries` read into unit atoms Φ, an offset b, and a coder
that takes scaled hidden states z = s·x − b to codes. A plain dictionary (2021) has no offset and is
coded exactly. A sparse autoencoder brings its own encoder. With p = z·Wᵀ + β its codes are

    standard            α = relu(p)
    TopK                α = relu(p) where p is among the k largest of its token, else 0
    BatchTopK, JumpReLU α = relu(p) where p > θ, else 0
    Gated               α = relu(eʳ ∘ z·Wᵀ + β_mag) where z·Wᵀ + β_gate > 0, else 0

each times the norm of its row of the decoder, because our atoms have norm 1. A row of zeros writes
nothing: its factor is dead, and keeps its number; so is one whose row is not a number, as long as
its encoder never calls for it. These are the forms of
Cunningham et al. (arXiv 2309.08600), Gao et al. (2406.04093), Bussmann et al. (2412.06410) and
Rajamanoharan et al. (2407.14435 and 2404.16014) as the published libraries compute them. Codes of
an encoder are not optimal for any λ, so they have no duality gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from tfactors.coding.solver import ROWS, UNIT, SparseCoder, codes_of_rows
from tfactors.errors import InputError

PLAIN = "dictionary"
# The forms of a dictionary, and the tensors that each consists of.
TENSORS: dict[str, tuple[str, ...]] = {
    PLAIN: ("W_dec",),
    "standard": ("W_enc", "W_dec", "b_dec", "b_enc"),
    "topk": ("W_enc", "W_dec", "b_dec", "b_enc"),
    "batchtopk": ("W_enc", "W_dec", "b_dec", "b_enc", "threshold"),
    "jumprelu": ("W_enc", "W_dec", "b_dec", "b_enc", "threshold"),
    "gated": ("W_enc", "W_dec", "b_dec", "b_gate", "b_mag", "r_mag"),
}


@dataclass(frozen=True)
class Origin:
    """Where an imported dictionary comes from and how its encoder works; JSON in the manifest.

    Attributes
    ----------
    format : str
        ``npy``, ``saelens``, ``sparsify``, ``dictionary_learning``, ``gemma_scope``,
        ``llama_scope``, ``goodfire``, ``openai`` or ``safetensors``.
    file : str
        Name of the file or folder.
    sha256 : str
        SHA-256 of the file that holds the weights.
    form : str
        One of TENSORS.
    dtype : str
        Number type of the weights in the file.
    k : int
        Active factors a token of TopK, on average of BatchTopK; 0 where the file does not say.
    centred : bool
        Whether the encoder reads x − b, as most do, or x.
    rescaled : bool
        Whether TopK compares p · norm of the decoder's row instead of p.
    scale : str
        ``none`` for raw hidden states, ``unit`` for states of mean norm √d, ``state`` for states
        that have that norm each, ``norm`` for states of mean 0 and deviation 1.
    baseline : str
        ``token`` where what each token brings of its own was subtracted, else ``none``.
    marks : bool
        Whether the model read every window between its tokenizer's marks.
    refit : bool
        Whether codes were refitted without λ.
    penalty : float
        λ that it was learnt with, 0 where the file does not say.
    layers : tuple of int
        The hidden states that the file says it was trained on; empty if it does not say.
    model : str
        The model that the file names, or "".
    bos : bool
        Whether the model read every text behind the token that begins a text.
    context : int
        Tokens of a text that it was trained on, that token counted; 0 where the file does not say.
    folded : float
        What the file multiplies raw states by; its tensors are those for raw states.
    notes : tuple of str
        What the file says and we do not follow, a sentence each; not part of the JSON.
    place : str
        What the file calls the place in the model; not part of the JSON.
    """

    format: str
    file: str
    sha256: str
    form: str = PLAIN
    dtype: str = "float32"
    k: int = 0
    centred: bool = True
    rescaled: bool = False
    scale: str = "none"
    baseline: str = "none"
    marks: bool = False
    refit: bool = False
    penalty: float = 0.0
    layers: tuple[int, ...] = ()
    model: str = ""
    bos: bool = False
    context: int = 0
    folded: float = 1.0
    notes: tuple[str, ...] = ()
    place: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        record = asdict(self) | {"layers": list(self.layers)}
        del record["notes"], record["place"]
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Origin:
        """Read a record written by :meth:`to_json`."""
        return cls(**record | {"layers": tuple(record["layers"])})


@dataclass(frozen=True)
class ImportedDictionary:
    """A dictionary from a file; every matrix has one row a factor.

    Attributes
    ----------
    origin : Origin
        Where it comes from.
    tensors : dict of float32 arrays
        Those that TENSORS lists, as they were read: ``W_dec`` and ``W_enc`` (m, d), ``b_dec`` (d,),
        the others (m,).
    atoms : (m, d) float32
        The rows of ``W_dec`` with norm 1; the very bits of the file where they have it there. Zeros
        where the row is zeros or holds what is not a number.
    norms : (m,) float32
        Norms of the rows of ``W_dec``; exactly 1 where all are so to 1e-4, and 0 of zero atoms.
    unwritten : (u,) int
        The factors whose encoder is whole and whose row of ``W_dec`` holds what is not a number:
        they are dead as long as their encoder never calls for them.
    """

    origin: Origin
    tensors: dict[str, np.ndarray]
    atoms: np.ndarray = field(init=False)
    norms: np.ndarray = field(init=False)
    unwritten: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        decoder = self.tensors["W_dec"]
        whole = np.isfinite(decoder).all(axis=1)
        nothing = ~(np.isfinite(decoder) & (decoder != 0)).any(axis=1)
        broken = self._broken_encoders()
        self._refuse_what_lives(whole, nothing, broken)
        written = np.where((whole & ~nothing)[:, None], decoder, np.float32(0))
        norms = np.sqrt(np.einsum("ij,ij->i", written, written, dtype=np.float64))
        alive = norms > 0
        unit = bool((np.abs(norms[alive] - 1) < 0.9 * UNIT).all())
        if unit:
            atoms = decoder if whole.all() else written
        else:
            atoms = (written / np.where(alive, norms, 1)[:, None]).astype(np.float32)
        object.__setattr__(self, "atoms", atoms)
        object.__setattr__(self, "norms", np.where(unit & alive, 1.0, norms).astype(np.float32))
        object.__setattr__(self, "unwritten", np.flatnonzero(~whole & ~broken))

    def _broken_encoders(self) -> np.ndarray:
        """Return which factors' encoders hold what is not a number, (m,) bool.

        A threshold of infinity, or a bias of less than any number, says that a factor never fires.
        """
        broken = np.zeros(len(self.tensors["W_dec"]), bool)
        for name, values in self.tensors.items():
            if name in ("W_dec", "b_dec"):
                continue
            never = {"threshold": np.inf, "b_enc": -np.inf, "b_gate": -np.inf}.get(name)
            odd = ~np.isfinite(values) & ~(values == never if never else False)
            broken |= odd.reshape(len(broken), -1).any(axis=1)
        return broken

    def readable_encoder(self) -> dict[str, np.ndarray]:
        """Return the tensors with zeros in the rows of broken encoders, which never fire then."""
        broken = self._broken_encoders()
        tensors = dict(self.tensors)
        for name, values in self.tensors.items():
            if name in ("b_enc", "b_gate"):
                tensors[name] = np.maximum(values, np.finfo(np.float32).min)
            if broken.any() and name != "b_dec":
                rows = broken.reshape(-1, *[1] * (values.ndim - 1))
                tensors[name] = np.where(rows, np.float32(0), tensors[name])
        return tensors

    def _refuse_what_lives(
        self, whole: np.ndarray, nothing: np.ndarray, broken: np.ndarray
    ) -> None:
        """Raise where numbers are missing that somebody needs: only the dead may lack them."""
        file, offset = self.origin.file, self.tensors.get("b_dec")
        if offset is not None and not np.isfinite(offset).all():
            raise InputError(f"{file}: b_dec holds NaN or infinity")
        missing = ~whole if self.origin.form == PLAIN else broken & ~nothing
        if missing.any():
            row = int(np.argmax(missing))
            odd = (n for n, v in self.tensors.items() if n != "b_dec" and np.isnan(v[row]).any())
            raise InputError(
                f"{file}: {next(odd, 'W_dec')} holds NaN or infinity for factor {row}, and only a "
                "factor that never fires may lack its numbers; mend the file, or set the row to "
                "zeros"
            )
        if nothing.all():
            raise InputError(
                f"{file}: factor 0 has a decoder of zeros or NaN, and so have all others; "
                "give a dictionary that was trained"
            )

    @property
    def offset(self) -> np.ndarray | None:
        """What is subtracted from scaled hidden states before they are coded, (d,), or None."""
        offset = self.tensors.get("b_dec")
        return offset if offset is not None and offset.any() else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know of the file, a sentence each: what of it is not followed."""
        dead = int((self.norms == 0).sum())
        if not dead:
            return self.origin.notes
        first = ", ".join(map(str, np.flatnonzero(self.norms == 0)[:3]))
        counted = f"{dead:,} factor{'s have' if dead > 1 else ' has'} no direction in the file"
        named = f"{first}{', …' if dead > 3 else ''}"
        return (
            *self.origin.notes,
            f"{counted} (zeros or NaN: {named}): dead, under {'their' if dead > 1 else 'its'} "
            f"number{'s' if dead > 1 else ''}.",
        )

    def coder(self, coding: str, refit: bool = False) -> SparseCoder | EncoderCoder:
        """Return what codes hidden states: ``solver`` for exact codes, ``encoder`` for its own."""
        if coding == "encoder":
            return EncoderCoder(self)
        return SparseCoder(self.atoms, refit=refit)

    def kept(self) -> dict[str, np.ndarray]:
        """Return the tensors that the atoms alone do not give back."""
        given = {"W_dec"} if self.atoms is self.tensors["W_dec"] else set()
        return {name: tensor for name, tensor in self.tensors.items() if name not in given}

    @classmethod
    def from_record(
        cls, record: dict[str, Any], atoms: np.ndarray, tensors: dict[str, np.ndarray]
    ) -> ImportedDictionary:
        """Return the dictionary of which a bundle keeps the record, the atoms and the tensors."""
        return cls(Origin.from_json(record), {"W_dec": atoms} | tensors)


class EncoderCoder:
    """The encoder of an autoencoder, to be used in the place of a `SparseCoder`.

    Attributes
    ----------
    dictionary : (m, d) float32
        The unit atoms.
    """

    def __init__(self, imported: ImportedDictionary) -> None:
        self.dictionary = imported.atoms
        self._origin, self._norms = imported.origin, imported.norms
        self._unwritten = imported.unwritten
        t = imported.readable_encoder()
        self._weights = t["W_enc"]
        # What the encoder sees where it reads x itself: z·Wᵀ + b·Wᵀ.
        seen = 0.0 if imported.origin.centred else t["b_dec"] @ t["W_enc"].T
        if imported.origin.form == "gated":
            self._bias = t["b_gate"] + seen
            self._gain = np.exp(t["r_mag"])
            self._magnitude = t["b_mag"] + self._gain * seen
        else:
            self._bias = t["b_enc"] + seen
        self._threshold = t.get("threshold", np.float32(0)) + np.zeros_like(self._norms)

    def encode(
        self,
        X: np.ndarray,
        penalty: float = 0.0,
        tol: float = 0.0,
        start: csr_array | None = None,
    ) -> csr_array:
        """Return codes (n, m) of states (n, d); what a solver needs besides changes nothing."""
        parts = [csr_array((0, len(self.dictionary)), dtype=np.float32)]
        parts += [csr_array(self._dense(x)) for x in _blocks(np.asarray(X, np.float32))]
        data = np.concatenate([part.data for part in parts])
        indices = np.concatenate([part.indices for part in parts])
        counts = np.concatenate([np.diff(part.indptr) for part in parts])
        return codes_of_rows(counts, indices, data, len(self.dictionary))

    def squared_error(self, X: np.ndarray, codes: csr_array) -> np.ndarray:
        """Return ‖z − αΦ‖² of every row, (n,) float32."""
        errors = [np.zeros(0, np.float32)]
        for i, x in enumerate(_blocks(np.asarray(X, np.float32))):
            residual = x - codes[i * ROWS : i * ROWS + len(x)] @ self.dictionary
            errors.append(np.einsum("ij,ij->i", residual, residual))
        return np.concatenate(errors)

    def read_out(self, factor: int) -> tuple[np.ndarray, float]:
        """Return w (d,) and the constant of z·w + constant, which an active factor's code is."""
        if self._origin.form == "gated":
            gain, bias = self._gain[factor], self._magnitude[factor]
        else:
            gain, bias = np.float32(1), self._bias[factor]
        norm = self._norms[factor]
        return self._weights[factor] * gain * norm, float(bias * norm)

    def _dense(self, z: np.ndarray) -> np.ndarray:
        """Return the codes of one block of states, (rows, m) float32."""
        values = self._fired(z)
        if len(self._unwritten) and (found := values[:, self._unwritten] > 0).any():
            factor = self._unwritten[int(np.argmax(found.any(axis=0)))]
            raise InputError(
                f"{self._origin.file}: W_dec holds NaN or infinity for factor {factor}, and it "
                "fires on this text; only a factor that never fires may lack its direction: mend "
                "the file"
            )
        return values * self._norms

    def _fired(self, z: np.ndarray) -> np.ndarray:
        """Return what the encoder makes of one block of states, (rows, m) float32."""
        p = z @ self._weights.T
        if self._origin.form == "gated":
            values = np.maximum(self._gain * p + self._magnitude, 0)
            values[p + self._bias <= 0] = 0
            return values
        p += self._bias
        if self._origin.form in ("batchtopk", "jumprelu"):
            p[p <= self._threshold] = 0
        elif self._origin.form == "topk" and self._origin.k < p.shape[1]:
            ranked = p * self._norms if self._origin.rescaled else p
            others = np.argpartition(-ranked, self._origin.k, axis=1)[:, self._origin.k :]
            np.put_along_axis(p, others, 0, axis=1)
        return np.maximum(p, 0)


def _blocks(X: np.ndarray) -> Iterator[np.ndarray]:
    """Yield blocks of rows, so that dense codes of many tokens never lie in memory together."""
    return (X[first : first + ROWS] for first in range(0, len(X), ROWS))
