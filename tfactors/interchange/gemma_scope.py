"""Turns autoencoders of Gemma Scope into dictionaries: Gemma 2's params.npz, 3's safetensors.

They are of the form JumpReLU, and their encoder reads x itself:

    α = relu(p) where p > θ, else 0, with p = x·W_enc + b_enc

Gemma 2's carry no configuration: folders say which layer (layer_20/width_16k/average_l0_71), and
the name of the repository what it is of (-res, -mlp, -att, -transcoders). An .npz of any other name
is read the same way. Gemma 3's config.json names the place. Nothing in a file is run: an .npz is
read without pickles.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.coding.imported_dictionary import ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import file_sha256, unpacks_too_far
from tfactors.interchange.tensors import (
    NO_AUTOENCODER,
    as_arrays,
    autoencoder,
    hidden_state_at,
    load_tensors,
    read_config,
    refuse,
    unreadable,
)

GEMMA_2_WEIGHTS, GEMMA_3_WEIGHTS = "params.npz", "params.safetensors"
# The parts of Gemma Scope's repositories, folders and downloads that are of another place.
_ELSEWHERE = re.compile(r"gemma-scope-.*-(mlp|att|transcoders)$|(embedding)$")


def read_gemma_2(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read params.npz; the layer follows from its folders, where they kept their names."""
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
        if unpacks_too_far(path.stat().st_size, unpacked):
            raise ValueError(f"it unpacks to {unpacked:,} bytes, as no weights do")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
        native = {n: v.astype(v.dtype.newbyteorder("=")) for n, v in arrays.items()}
        stored = {name: torch.from_numpy(values) for name, values in native.items()}
    except Exception as error:  # a damaged file makes numpy and zipfile raise anything
        raise unreadable(path, error) from error
    folders = path.absolute().parent.parts
    for folder in folders:
        if match := _ELSEWHERE.search(folder):
            place = match[1] or match[2]
            raise InputError(
                f"{path}: of Gemma Scope's {place}; tfactors reads the hidden states between the "
                "blocks, so take one of the residual stream (a repository that ends in -res)"
            )
    layers = [int(match[1]) for f in folders if (match := re.fullmatch(r"layer_(\d+)", f))]
    tensors, dtype = as_arrays(path, stored)
    return _read(path, width, tensors, dtype, (layers[-1] + 1,) if layers else (), "")


def read_gemma_3(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read params.safetensors, as config.json beside it means it."""
    config: dict[str, Any] = read_config(path.with_name("config.json"))
    tensors, dtype, _ = load_tensors(path)
    refuse(path, config, "architecture", (None, "jump_relu"))
    if config.get("hf_hook_point_out") not in (None, config.get("hf_hook_point_in")):
        raise InputError(f"{path}: a transcoder, which {NO_AUTOENCODER}")
    layers = hidden_state_at(path, str(config.get("hf_hook_point_in") or ""))
    return _read(path, width, tensors, dtype, layers, str(config.get("model_name") or ""))


def _read(
    path: Path,
    width: int,
    tensors: dict[str, np.ndarray],
    dtype: str,
    layers: tuple[int, ...],
    model: str,
) -> ImportedDictionary:
    """Return the dictionary of some tensors, whose names may begin with a small w."""
    origin = Origin(
        "gemma_scope",
        path.parent.name,
        file_sha256(path),
        "jumprelu",
        dtype,
        centred=False,
        layers=layers,
        model=model,
        bos=True,  # Gemma's tokenizer puts it before every text
    )
    renamed = {re.sub("^w_", "W_", name): values for name, values in tensors.items()}
    return autoencoder(path, width, origin, renamed, encoder_rows_first=False)
