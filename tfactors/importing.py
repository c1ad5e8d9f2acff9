"""A bundle over a dictionary that somebody else learnt: `tfactors import`.

In go a dictionary's file, a model and texts; out comes a bundle like any other, surveyed with exact
codes or, for an autoencoder, with the codes of its own encoder. Before anything is written the
dictionary has to prove on real hidden states that it belongs to them:

    encoder   1 − Σ‖z − αΦ‖² / Σ‖z − z̄‖² > 0: it reconstructs better than the mean
    solver    with P(α) the minimised objective and P(0) that of the empty code, the share
              1 − ΣP(α) / ΣP(0) closes a tenth or more of what random directions leave open

A file that was transposed, another model, another layer or another scale of the states fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from tfactors import corpus
from tfactors.build import build_run
from tfactors.bundle import Bundle, write_dictionary, write_imported
from tfactors.bundle_model import shared_path
from tfactors.dictionary_files import read_dictionary
from tfactors.errors import InputError
from tfactors.hidden_states import layer_scales
from tfactors.imported_dictionary import PLAIN, EncoderCoder, ImportedDictionary
from tfactors.ranks import join
from tfactors.run import Run
from tfactors.settings import Settings, with_changes
from tfactors.sparse_coding import SparseCoder

# The proof is made on so many tokens, at every layer, and with so many states in all.
PROOF_TOKENS, PROOF_STATES = 1024, 2048
# How much of what random directions leave open a dictionary has to close.
SMALLEST_GAIN = 0.1
# λ where nobody says another: of the 2021 code on raw states, ours on states of norm √d.
PENALTIES = {"none": 0.3, "unit": 2.0}


def import_dictionary(
    folder: str | Path,
    path: str | Path,
    changes: dict[str, Any],
    show_progress: bool = True,
    device: str = "cpu",
) -> Bundle:
    """Make a bundle over a dictionary from a file, or go on with one that was interrupted.

    Parameters
    ----------
    folder : where the bundle goes.
    path : the dictionary; see :func:`tfactors.dictionary_files.read_dictionary`.
    changes : settings that were given; what is not comes from the file, then from the defaults.

    Raises
    ------
    InputError
        The file, the model or a setting cannot be used, or the dictionary does not reconstruct the
        model's hidden states. Nothing is written then.
    """
    settings = with_changes("default", **changes, dictionary=str(Path(path).absolute()))
    run = Run(Path(folder), settings, show_progress, join(device))
    run.settings = Settings.from_json(run.ranks.lead(partial(_checked, run, path, changes)))
    return build_run(run)


def _checked(run: Run, path: str | Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the import, as JSON, once the dictionary has proved itself."""
    found = read_dictionary(path, run.model.width, run.settings.form)
    run.settings = _resolved(run.settings, changes, found)
    begun = (run.folder / "manifest.json", run.work / "settings.json")
    if not any(path.exists() for path in begun):
        prove(found, run.settings.coding, run.settings.penalty, _first_states(run, found))
    return run.settings.to_json()


def import_stage(run: Run) -> dict[str, Any]:
    """Write the imported dictionary, where another build would learn one."""
    found = read_dictionary(run.settings.dictionary, run.model.width, run.settings.form)
    token_ids = chain.from_iterable(f["token_ids"] for f in run.files.iter_windows(16))
    states = run.model.hidden_states(list(_until(token_ids, PROOF_TOKENS)), run.layers)
    states *= run.scale[:, None, None]
    proof = prove(found, run.settings.coding, run.settings.penalty, _sampled(states, found))
    write_dictionary(run.folder, found.atoms)
    if kept := found.kept():
        write_imported(run.folder, kept)
    return {"samples": 0, "imported": found.origin.to_json(), "proof": proof}


def _resolved(settings: Settings, changes: dict[str, Any], found: ImportedDictionary) -> Settings:
    """Return the settings with what the file says, and refuse what contradicts it."""
    origin = found.origin
    plain = origin.form == PLAIN
    coding = changes.get("coding") or ("solver" if plain else "encoder")
    scale = changes.get("scale") or origin.scale
    layers = tuple(changes.get("layers") or origin.layers)
    if coding == "encoder" and plain:
        raise InputError(f"{origin.file}: has no encoder; leave out --coding encoder")
    if coding == "encoder" and changes.get("penalty") is not None:
        raise InputError("--penalty: the codes of an encoder have none; add --coding solver")
    if coding == "encoder" and scale != origin.scale:
        raise InputError(f"--scale {scale}: {origin.file} was trained with {origin.scale}")
    if not layers and not plain:
        raise InputError(
            f"{origin.file}: does not say which hidden state it was trained on; give --layers "
            "(0 = embeddings, 1 = the output of the first block)"
        )
    penalty = changes.get("penalty")
    if coding == "encoder":
        penalty = 0.0
    elif penalty is None:
        if not plain:
            raise InputError(
                f"{origin.file}: an autoencoder has no λ; give --penalty with --coding solver"
            )
        penalty = origin.penalty or PENALTIES[scale]
    title = changes.get("title") or f"{origin.file} on {shared_path(settings.model)}"
    resolved = {
        "coding": coding, "scale": scale, "layers": layers, "penalty": float(penalty),
        "factors": len(found.atoms), "title": title,
    }  # fmt: skip
    return with_changes("default", **changes | resolved, dictionary=settings.dictionary)


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
        f"explains {measured:.0%} of the variance" if coding == "encoder"
        else f"explains {measured:.0%}, where {limit:.0%} takes more than random directions"
    )  # fmt: skip
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


def _first_states(run: Run, found: ImportedDictionary) -> np.ndarray:
    """Return states of the first windows of the corpora, before there is a folder."""
    length = min(run.settings.window_length, run.model.max_length)
    documents = chain.from_iterable(
        corpus.read_documents(spec, run.settings.column) for spec in run.settings.corpora
    )
    windows = chain.from_iterable(
        corpus.document_windows(0, document.text, run.model.tokenizer, length)
        for document in documents
    )
    token_ids = list(_until((np.asarray(w.token_ids) for w in windows), PROOF_TOKENS))
    if not token_ids:
        raise InputError(
            f"{', '.join(run.settings.corpora) or 'no corpus'}: no text to import the dictionary "
            "with; name a text file, a folder or a packaged corpus after it"
        )
    states = run.model.hidden_states(token_ids, run.layers)
    if run.settings.scale == "unit":
        norms = np.linalg.norm(states, axis=2).mean(axis=1, dtype=np.float64)
        states *= layer_scales(norms, run.model.width).astype(np.float32)[:, None, None]
    return _sampled(states, found)


def _until(token_ids: Iterator[np.ndarray], tokens: int) -> Iterator[np.ndarray]:
    """Yield windows until they hold so many tokens."""
    for window in islice(token_ids, tokens):
        if tokens <= 0:
            return
        yield window
        tokens -= len(window)


def _sampled(states: np.ndarray, found: ImportedDictionary) -> np.ndarray:
    """Return at most PROOF_STATES of the states (layers, tokens, d), less the offset."""
    flat = states.reshape(-1, states.shape[-1])
    step = -(-len(flat) // PROOF_STATES)
    chosen = np.ascontiguousarray(flat[::step])
    return chosen if found.offset is None else chosen - found.offset
