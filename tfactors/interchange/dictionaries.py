"""Turns a file or folder into a dictionary, whichever library wrote it.

Known are the 2021 code, SAELens, sparsify, dictionary_learning, Gemma Scope, Llama Scope, OpenAI's
and Goodfire's files, and our own export. An
:class:`ImportedDictionary` has one row a factor in every matrix. The proof by reconstruction
(`dictionary_proof`) can still refuse it. Nothing in a file is run: .npy without pickle,
safetensors, and ae.pt as weights only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfactors.bundle.validation import typed
from tfactors.coding.imported_dictionary import ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import file_sha256
from tfactors.interchange.gemma_scope import (
    GEMMA_2_WEIGHTS,
    GEMMA_3_WEIGHTS,
    read_gemma_2,
    read_gemma_3,
)
from tfactors.interchange.llama_scope import config_of, read_llama_scope, weights_in
from tfactors.interchange.saelens import read_saelens
from tfactors.interchange.sparsify import read_sparsify
from tfactors.interchange.state_dicts import read_torch
from tfactors.interchange.tensors import autoencoder, load_tensors, rows_a_factor, unreadable

SAELENS_WEIGHTS, SPARSIFY_WEIGHTS, TORCH_WEIGHTS = (
    "sae_weights.safetensors",
    "sae.safetensors",
    "ae.pt",
)
# The parts of an origin that say how the encoder works, kept in our own files.
ENCODER = (
    *("form", "k", "centred", "rescaled", "scale", "baseline", "marks", "refit", "penalty"),
    *("dtype", "bos", "context"),
)
# Of these, what older files do not have: they were written where there was no choice.
ADDED = ("baseline", "marks", "refit", "bos", "context")


def read_dictionary(path: str | Path, width: int, form: str = "") -> ImportedDictionary:
    """Read a dictionary for a model with hidden states of ``width`` numbers.

    Parameters
    ----------
    path : str or Path
        A .npy or .safetensors file, an ae.pt, or the folder that SAELens, sparsify,
        dictionary_learning, Gemma Scope or Llama Scope saved.
    width : int
        d.
    form : str
        ``topk`` or ``batchtopk``, for an ae.pt without the config.json that would say it.

    Raises
    ------
    InputError
        Names the file and says what is wrong with it.
    """
    found = _read(Path(path), width, form)
    if form and found.origin.form != form:
        raise InputError(
            f"{path}: holds a {found.origin.form} autoencoder, so --form {form} does not fit it; "
            "leave it out"
        )
    return found


def _read(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read a dictionary with the reader that its name, or the names in its folder, call for."""
    if path.is_dir():
        for name, reader in _FOLDERS.items():
            if (path / name).is_file() and not _of_llama_scope(path / name):
                return reader(path / name, width, form)
        if weights := weights_in(path):
            return read_llama_scope(weights, width, form)
        alone = [file for suffix in ("*.pth", "*.pt", "*.npz") for file in path.glob(suffix)]
        if len(alone) == 1:  # a repository of one file, as Goodfire's
            return _SUFFIXES[alone[0].suffix](alone[0], width, form)
        raise InputError(f"{path}: {_contents_of(path)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; give the dictionary to import")
    reader_of_file = _FOLDERS.get(path.name) or _SUFFIXES.get(path.suffix)
    if path.suffix in (".safetensors", ".pt") and _of_llama_scope(path):
        reader_of_file = read_llama_scope
    if reader_of_file is None:
        raise InputError(
            f"{path}: not a known kind of dictionary; expected .npy, .npz, .safetensors, .pt "
            "or a folder"
        )
    return reader_of_file(path, width, form)


def _of_llama_scope(weights: Path) -> bool:
    """Return whether a file of weights lies with a configuration of Language-Model-SAEs.

    SAELens writes a cfg.json, dictionary_learning a config.json that says something else.
    """
    return not weights.with_name("cfg.json").is_file() and config_of(weights) is not None


def _contents_of(folder: Path) -> str:
    """Say what a folder without a dictionary holds: perhaps one for each layer, further down."""
    depths = ("*/", "*/*/", "*/*/*/")  # layer_20/width_16k/average_l0_71 is the deepest of them
    files = [file for name in _FOLDERS for depth in depths for file in folder.glob(depth + name)]
    below = sorted((file.parent.relative_to(folder) for file in files), key=_by_number)
    if below:
        named = ", ".join(map(str, below[:3])) + (", …" if len(below) > 3 else "")
        return f"holds {len(below)} dictionaries in folders of their own ({named}); give one"
    return (
        f"holds no dictionary; expected {SAELENS_WEIGHTS} (SAELens), {SPARSIFY_WEIGHTS} "
        f"(sparsify), {TORCH_WEIGHTS} (dictionary_learning), {GEMMA_2_WEIGHTS} (Gemma Scope) or "
        "hyperparams.json with checkpoints/final.safetensors (Llama Scope)"
    )


def _by_number(path: Path) -> list[str]:
    """Return a key that sorts layers.2 before layers.10."""
    return [part.zfill(9) if part.isdigit() else part for part in re.split(r"(\d+)", str(path))]


# --- .npy, as the 2021 code saves it ------------------------------------------------------------


def _read_npy(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read a matrix alone, one column a factor."""
    try:
        matrix = np.load(path, allow_pickle=False)
        if not isinstance(matrix, np.ndarray):
            raise ValueError("several arrays, zipped")
    except Exception as error:  # a damaged file makes numpy raise anything
        raise unreadable(path, error) from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise InputError(
            f"{path}: an array of shape {matrix.shape} and type {matrix.dtype}; expected a matrix "
            f"of {width} × factors floating-point numbers"
        )
    decoder = rows_a_factor(
        path, "the array", np.ascontiguousarray(matrix, np.float32), width, rows_first=False
    )
    dtype = matrix.dtype.name if matrix.dtype.itemsize <= 8 else "float64"  # as torch knows them
    origin = Origin("npy", path.name, file_sha256(path), dtype=dtype)
    return ImportedDictionary(origin, {"W_dec": decoder})


# --- our own .safetensors -----------------------------------------------------------------------


def _read_safetensors(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read what `tfactors export` wrote."""
    tensors, _, metadata = load_tensors(path)
    if "tfactors" not in metadata:
        raise InputError(
            f"{path}: not written by 'tfactors export'; of SAELens give the folder with "
            f"{SAELENS_WEIGHTS}, of sparsify that with {SPARSIFY_WEIGHTS}"
        )
    place = {"format": "safetensors", "file": path.name, "sha256": file_sha256(path)}
    try:
        record = json.loads(metadata["tfactors"])
        encoder = {name: record[name] for name in ENCODER if name in record or name not in ADDED}
        origin = typed(encoder | place, Origin)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise unreadable(path, error) from error
    return autoencoder(path, width, origin, tensors, encoder_rows_first=True)


_Reader = Callable[[Path, int, str], ImportedDictionary]
_FOLDERS: dict[str, _Reader] = {
    SAELENS_WEIGHTS: read_saelens,
    SPARSIFY_WEIGHTS: read_sparsify,
    TORCH_WEIGHTS: read_torch,
    GEMMA_2_WEIGHTS: read_gemma_2,
    GEMMA_3_WEIGHTS: read_gemma_3,
}
_SUFFIXES: dict[str, _Reader] = {
    ".npy": _read_npy,
    ".npz": read_gemma_2,
    ".safetensors": _read_safetensors,
    ".pt": read_torch,
    ".pth": read_torch,
}
