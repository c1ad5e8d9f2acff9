"""A dictionary from elsewhere has to prove on real hidden states that it belongs to them.

    encoder   1 − Σ‖z − αΦ‖² / Σ‖z − z̄‖² > 0: it reconstructs better than the mean
    solver    with P(α) the minimised objective and P(0) that of the empty code, the share
              1 − ΣP(α) / ΣP(0) closes a tenth or more of what random directions leave open

A file that was transposed, another model, another layer or another scale of the states fails.
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
from tfactors.interchange.dictionaries import read_dictionary
from tfactors.stages.run import Run

# The proof is made on so many tokens, at every layer, and with so many states in all.
PROOF_TOKENS, PROOF_STATES = 1024, 2048
# How much of what random directions leave open a dictionary has to close.
SMALLEST_GAIN = 0.1


def import_stage(run: Run) -> dict[str, Any]:
    """Write the imported dictionary, where another build would learn one."""
    found = read_dictionary(run.settings.dictionary, run.model.width, run.settings.form)
    token_ids = chain.from_iterable(f["token_ids"] for f in run.files.iter_windows(16))
    states = run.model.hidden_states(list(until(token_ids, PROOF_TOKENS)), run.layers)
    states *= run.scale[:, None, None]
    proof = prove(found, run.settings.coding, run.settings.penalty, sampled(states, found))
    write_dictionary(run.folder, found.atoms)
    if kept := found.kept():
        write_imported(run.folder, kept)
    return {"samples": 0, "imported": found.origin.to_json(), "proof": proof}


def prove(
    found: ImportedDictionary, coding: str, penalty: float, states: np.ndarray
) -> dict[str, float]:
    """Return how well a dictionary reconstructs states z (n, d), in numbers; raise if it does not.

    Raises
    ------
    InputError
        It does not, with the numbers and, where the file seems to be transposed, that.
    """
    measured, limit = _measure(found, coding, penalty, states)
    if measured > limit:
        return {"explained": measured, "limit": limit, "states": len(states)}
    what = (
        f"explains {measured:.0%} of the variance"
        if coding == "encoder"
        else f"explains {measured:.0%}, where {limit:.0%} takes more than random directions"
    )
    raise InputError(
        f"{found.origin.file}: does not reconstruct the model's hidden states: on {len(states):,} "
        f"of them it {what}; {_advice(found, coding, penalty, states)}"
    )


def _advice(found: ImportedDictionary, coding: str, penalty: float, states: np.ndarray) -> str:
    """Return what to check; of square matrices also which are turned, if turning them helps."""
    matrices = {n: v for n, v in found.tensors.items() if n in ("W_dec", "W_enc")}
    if len({side for matrix in matrices.values() for side in matrix.shape}) > 1:
        return "check model, layer and scale"
    names = [n for n in ("W_dec", "W_enc") if n in matrices and (n, coding) != ("W_enc", "solver")]
    for turned in [[name] for name in names] + [names] * (len(names) - 1):
        other = {name: np.ascontiguousarray(matrices[name].T) for name in turned}
        measured, limit = _measure(
            ImportedDictionary(found.origin, found.tensors | other), coding, penalty, states
        )
        if measured > limit:
            return (
                f"with {' and '.join(turned)} transposed it does, so its orientation is wrong: "
                "rows and columns are the wrong way round"
            )
    return "check model, layer and scale, and the orientation: its matrices are square"


def _measure(
    found: ImportedDictionary, coding: str, penalty: float, states: np.ndarray
) -> tuple[float, float]:
    """Return the share that is explained, and what it has to exceed."""
    if coding == "encoder":
        coder = EncoderCoder(found)
        errors = coder.squared_error(states, coder.encode(states)).sum(dtype=np.float64)
        spread = ((states - states.mean(axis=0, dtype=np.float64)) ** 2).sum()
        return float(1 - errors / spread), 0.0
    random = np.random.default_rng(0).standard_normal(found.atoms.shape).astype(np.float32)
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    mine, theirs = (_explained(atoms, penalty, states) for atoms in (found.atoms, random))
    return mine, theirs + SMALLEST_GAIN * (1 - theirs)


def _explained(atoms: np.ndarray, penalty: float, states: np.ndarray) -> float:
    """1 − ΣP(α) / ΣP(0) of exact codes."""
    coder = SparseCoder(atoms)
    codes = coder.encode(states, penalty)
    errors = coder.squared_error(states, codes).sum(dtype=np.float64)
    empty = 0.5 * np.einsum("ij,ij->", states, states, dtype=np.float64)
    return float(1 - (0.5 * errors + penalty * codes.data.sum(dtype=np.float64)) / empty)


def until(token_ids: Iterator[np.ndarray], tokens: int) -> Iterator[np.ndarray]:
    """Yield windows until they hold so many tokens."""
    for window in islice(token_ids, tokens):
        if tokens <= 0:
            return
        yield window
        tokens -= len(window)


def sampled(states: np.ndarray, found: ImportedDictionary) -> np.ndarray:
    """Return at most PROOF_STATES of the states (layers, tokens, d), less the offset."""
    flat = states.reshape(-1, states.shape[-1])
    step = -(-len(flat) // PROOF_STATES)
    chosen = np.ascontiguousarray(flat[::step])
    return chosen if found.offset is None else chosen - found.offset
