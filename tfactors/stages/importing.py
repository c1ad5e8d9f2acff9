"""Turns a dictionary that somebody else learnt, a model and texts into a bundle: `tfactors import`.

It is a bundle like any other, surveyed with exact codes or, for an autoencoder, with the codes of
its own encoder. Before anything is written the dictionary has to prove itself on real hidden states
(:mod:`tfactors.stages.dictionary_proof`).
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.bundle import Bundle
from tfactors.coding.imported_dictionary import PLAIN, ImportedDictionary, Origin
from tfactors.coding.state_transform import scaling
from tfactors.errors import InputError
from tfactors.interchange.dictionaries import read_dictionary
from tfactors.model.hidden_states import layer_scales
from tfactors.model.location import shared_path
from tfactors.ranks import join
from tfactors.stages.build import build_run
from tfactors.stages.dictionary_proof import (
    PROOF_TOKENS,
    first_windows,
    prove_dictionary,
    sample_states,
)
from tfactors.stages.run import Run
from tfactors.stages.settings import IMPORT, SHORTEST_WINDOW, Settings, changed
from tfactors.text.windows import document_windows, read_documents

# Places in a window are numbers of 16 bits.
LONGEST_WINDOW = 32_767
# λ where nobody says another: of the 2021 code on raw states, ours on states of norm √d.
PENALTIES = {"none": 0.3, "unit": 2.0, "state": 1.2, "norm": 1.2}


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
    folder : str or Path
        Where the bundle goes.
    path : str or Path
        The dictionary; see :func:`tfactors.interchange.dictionaries.read_dictionary`.
    changes : dict
        Settings that were given; what is not comes from the file, then from the defaults.
    show_progress, device
        As :func:`tfactors.stages.build.build`.

    Raises
    ------
    InputError
        The file, the model or a setting cannot be used, or the dictionary does not reconstruct the
        model's hidden states. Nothing is written then.
    """
    settings = changed(IMPORT, **changes, dictionary=str(Path(path).absolute()))
    run = Run(Path(folder), settings, show_progress, join(device))
    run.settings = Settings.from_json(run.ranks.lead(partial(_check_settings, run, path, changes)))
    return build_run(run)


def _check_settings(run: Run, path: str | Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the import, as JSON, once the dictionary has proved itself."""
    dictionary = read_dictionary(path, run.model.width, run.settings.form)
    run.settings = settings = _resolve_settings(run.settings, changes, dictionary)
    run.model = run.model.between_marks(settings.marks, settings.bos)  # the file may ask for them
    records = (run.folder / "manifest.json", run.work / "settings.json")
    # Else it has proved itself already, or will when it is known what each token brings.
    if not any(record.exists() for record in records) and run.settings.baseline == "none":
        states = _first_states(run, dictionary)
        prove_dictionary(dictionary, run.settings.coding, run.settings.penalty, states)
    return run.settings.to_json()


def _resolve_settings(
    settings: Settings, changes: dict[str, Any], dictionary: ImportedDictionary
) -> Settings:
    """Return the settings with what the file says, and refuse what contradicts it."""
    origin = dictionary.origin
    plain = origin.form == PLAIN
    coding = changes.get("coding") or ("solver" if plain else "encoder")
    scale = changes.get("scale") or origin.scale
    baseline = changes.get("baseline") or origin.baseline
    layers = tuple(changes.get("layers") or origin.layers)
    if coding == "encoder" and plain:
        raise InputError(f"{origin.file}: has no encoder; leave out --coding encoder")
    if coding == "encoder" and changes.get("penalty") is not None:
        raise InputError("--penalty: the codes of an encoder have none; add --coding solver")
    if coding == "encoder" and changes.get("refit"):
        raise InputError("--refit: the codes of an encoder are its own; add --coding solver")
    if coding == "encoder" and scale != origin.scale:
        raise InputError(f"--scale {scale}: {origin.file} was trained with {origin.scale}")
    if coding == "encoder" and baseline != origin.baseline:
        raise InputError(f"--baseline {baseline}: {origin.file} was trained with {origin.baseline}")
    if not layers and not plain:
        said = (
            f"was trained on {origin.place[:80]!r}, which names no hidden state that tfactors knows"
            if origin.place
            else "does not say which hidden state it was trained on"
        )
        raise InputError(
            f"{origin.file}: {said}; give --layers (0 = embeddings, 1 = the output of the first "
            "block)"
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
    asked = changes.get("marks") is not None  # then the reader decides, and not the file
    bos = origin.bos and not asked if changes.get("bos") is None else changes["bos"]
    marks = changes["marks"] if asked else origin.marks and not bos
    title = changes.get("title") or f"{origin.file} on {shared_path(settings.model)}"
    resolved = {
        "coding": coding,
        "scale": scale,
        "baseline": baseline,
        "marks": marks,
        "bos": bos,
        "window_length": changes.get("window_length") or _window_length(origin, bos),
        "refit": origin.refit if changes.get("refit") is None else changes["refit"],
        "layers": layers,
        "penalty": float(penalty),
        "factors": len(dictionary.atoms),
        "title": title,
    }
    return changed(IMPORT, **changes | resolved, dictionary=settings.dictionary)


def _window_length(origin: Origin, bos: bool) -> int:
    """Return how many tokens a window holds: as many as in training, less the mark before them."""
    if not origin.context:
        return IMPORT.window_length
    return min(max(origin.context - bos, SHORTEST_WINDOW), LONGEST_WINDOW)


def _first_states(run: Run, dictionary: ImportedDictionary) -> np.ndarray:
    """Return states (n, d) of the first windows of the corpora, before there is a folder."""
    length = min(run.settings.window_length, run.model.max_length)
    documents = chain.from_iterable(
        read_documents(spec, run.settings.column) for spec in run.settings.corpora
    )
    windows = chain.from_iterable(
        document_windows(0, document.text, run.model.tokenizer, length) for document in documents
    )
    token_ids = list(
        first_windows((np.asarray(window.token_ids) for window in windows), PROOF_TOKENS)
    )
    if not token_ids:
        raise InputError(
            f"{', '.join(run.settings.corpora) or 'no corpus'}: no text to import the dictionary "
            "with; name a text file, a folder or a packaged corpus after it"
        )
    states = run.model.hidden_states(token_ids, run.layers)
    if run.settings.scale != "none":
        norms = np.linalg.norm(states, axis=2).mean(axis=1, dtype=np.float64)
        scale = layer_scales(norms, run.model.width)
        transform = scaling(dict(zip(run.layers, scale.tolist(), strict=True)), run.settings.scale)
        transform.scale_states(states, run.layers)
    return sample_states(states, dictionary)
