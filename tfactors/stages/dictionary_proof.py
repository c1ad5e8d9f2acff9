"""Turns a dictionary from elsewhere into that of a build, once it proves to fit the states.

    encoder   1 − Σ‖z − αΦ‖² / Σ‖z − z̄‖² > 0: it reconstructs better than the mean
    solver    with P(α) the minimised objective and P(0) that of the empty code, the share
              1 − ΣP(α) / ΣP(0) closes a tenth or more of what random directions leave open

A file that was transposed, another model, another layer or another scale of the states fails. So
does a BatchTopK autoencoder whose threshold was never set: all that is positive would be active.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import numpy as np

from tfactors.bundle.writing import write_dictionary, write_imported
from tfactors.coding.imported_dictionary import EncoderCoder, ImportedDictionary
from tfactors.coding.solver import SparseCoder
from tfactors.errors import InputError
from tfactors.explain.read_states import read_states
from tfactors.interchange.dictionaries import read_dictionary
from tfactors.stages.import_notes import import_notes
from tfactors.stages.run import Run

# The proof is made on so many tokens, at every layer, and with so many states in all.
PROOF_TOKENS, PROOF_STATES = 1024, 2048
# How much of what random directions leave open a dictionary has to close.
SMALLEST_GAIN = 0.1


def take_in_dictionary(run: Run) -> dict[str, Any]:
    """Write the imported dictionary, where another build would learn one."""
    dictionary = read_dictionary(run.settings.dictionary, run.model.width, run.settings.form)
    token_ids = chain.from_iterable(f["token_ids"] for f in run.files.iter_windows(16))
    texts = list(first_windows(token_ids, PROOF_TOKENS))
    states = read_states(run.model, run.transform_of(None), texts, run.layers)[0]
    sample = sample_states(states, dictionary)
    proof = prove_dictionary(dictionary, run.settings.coding, run.settings.penalty, sample)
    write_dictionary(run.folder, dictionary.atoms)
    if encoder_tensors := dictionary.kept():
        write_imported(run.folder, encoder_tensors)
    notes = import_notes(dictionary, run.settings, run.model, proof.get("l0"))
    return {
        "samples": 0,
        "imported": dictionary.origin.to_json(),
        "proof": proof,
        **({"notes": notes} if notes else {}),
    }


def prove_dictionary(
    dictionary: ImportedDictionary, coding: str, penalty: float, states: np.ndarray
) -> dict[str, float]:
    """Return how well a dictionary reconstructs states; raise where it does not.

    Parameters
    ----------
    dictionary : ImportedDictionary
        What was read, for states of d numbers.
    coding : str
        "solver" or "encoder": what makes the codes.
    penalty : float
        λ, of the solver.
    states : (n, d) float32
        Scaled hidden states z, less the dictionary's offset.

    Returns
    -------
    dict
        explained (the share above), limit (what it has to exceed), states (n), and of an encoder
        l0 (its mean number of active factors).

    Raises
    ------
    InputError
        It does not, with the numbers and, where the file seems to be transposed, that.
    """
    counted: dict[str, float] = {}
    if coding == "encoder":
        counted["l0"] = EncoderCoder(dictionary).encode(states).nnz / len(states)
        _refuse_unset_threshold(dictionary, counted["l0"])
    explained, limit = _explained_and_limit(dictionary, coding, penalty, states)
    if explained > limit:
        return {"explained": explained, "limit": limit, "states": len(states)} | counted
    shortfall = (
        f"explains {explained:.0%} of the variance"
        if coding == "encoder"
        else f"explains {explained:.0%}, where {limit:.0%} takes more than random directions"
    )
    raise InputError(
        f"{dictionary.origin.file}: does not reconstruct the model's hidden states: on "
        f"{len(states):,} of them it {shortfall}; {_advice(dictionary, coding, penalty, states)}"
    )


def _refuse_unset_threshold(dictionary: ImportedDictionary, l0: float) -> None:
    """Raise where a BatchTopK autoencoder has no threshold yet, and so fires more than k.

    Libraries write -1 or 0 until so many steps of training are done.
    """
    origin = dictionary.origin
    if origin.form != "batchtopk" or not 0 < origin.k < l0:
        return
    highest = float(dictionary.tensors["threshold"].max())
    if highest <= 0:
        way_out = "give --form topk, or " if origin.format == "dictionary_learning" else ""
        raise InputError(
            f"{origin.file}: its threshold is {highest:g}, as before training sets one: "
            f"{l0:.1f} factors are active a token where k is {origin.k}; {way_out}train it until "
            "the threshold is set"
        )


def _advice(dictionary: ImportedDictionary, coding: str, penalty: float, states: np.ndarray) -> str:
    """Return what to check; of square matrices also which are turned, if turning them helps."""
    matrices = {n: v for n, v in dictionary.tensors.items() if n in ("W_dec", "W_enc")}
    if len({side for matrix in matrices.values() for side in matrix.shape}) > 1:
        return "check model, layer and scale"
    names = [n for n in ("W_dec", "W_enc") if n in matrices and (n, coding) != ("W_enc", "solver")]
    for turned in [[name] for name in names] + [names] * (len(names) - 1):
        transposed = {name: np.ascontiguousarray(matrices[name].T) for name in turned}
        other = ImportedDictionary(dictionary.origin, dictionary.tensors | transposed)
        explained, limit = _explained_and_limit(other, coding, penalty, states)
        if explained > limit:
            return (
                f"with {' and '.join(turned)} transposed it does, so its orientation is wrong: "
                "rows and columns are the wrong way round"
            )
    return "check model, layer and scale, and the orientation: its matrices are square"


def _explained_and_limit(
    dictionary: ImportedDictionary, coding: str, penalty: float, states: np.ndarray
) -> tuple[float, float]:
    """Return the share that is explained, and what it has to exceed."""
    if coding == "encoder":
        coder = EncoderCoder(dictionary)
        errors = coder.squared_error(states, coder.encode(states)).sum(dtype=np.float64)
        spread = ((states - states.mean(axis=0, dtype=np.float64)) ** 2).sum()
        return float(1 - errors / spread), 0.0
    random = np.random.default_rng(0).standard_normal(dictionary.atoms.shape).astype(np.float32)
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    by_chance = _explained_by_solver(random, penalty, states)
    explained = _explained_by_solver(dictionary.atoms, penalty, states)
    return explained, by_chance + SMALLEST_GAIN * (1 - by_chance)


def _explained_by_solver(atoms: np.ndarray, penalty: float, states: np.ndarray) -> float:
    """Return 1 − ΣP(α) / ΣP(0) of exact codes."""
    coder = SparseCoder(atoms)
    codes = coder.encode(states, penalty)
    errors = coder.squared_error(states, codes).sum(dtype=np.float64)
    empty = 0.5 * np.einsum("ij,ij->", states, states, dtype=np.float64)
    return float(1 - (0.5 * errors + penalty * codes.data.sum(dtype=np.float64)) / empty)


def first_windows(token_ids: Iterator[np.ndarray], tokens: int) -> Iterator[np.ndarray]:
    """Yield the token ids (t,) of windows until they hold so many tokens."""
    for window in islice(token_ids, tokens):
        if tokens <= 0:
            return
        yield window
        tokens -= len(window)


def sample_states(states: np.ndarray, dictionary: ImportedDictionary) -> np.ndarray:
    """Return at most PROOF_STATES of the states (layers, tokens, d), less the offset, (n, d)."""
    flat = states.reshape(-1, states.shape[-1])
    step = -(-len(flat) // PROOF_STATES)
    chosen = np.ascontiguousarray(flat[::step])
    return chosen if dictionary.offset is None else chosen - dictionary.offset
