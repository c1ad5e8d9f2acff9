"""Turns files of sparsify into dictionaries, as sparsify means them.

A file of weights, beside which lies the library's configuration, and the width d of the model give
an :class:`ImportedDictionary`. Nothing in a file is run.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from tfactors.coding.imported_dictionary import ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import file_sha256
from tfactors.interchange.tensors import (
    NO_AUTOENCODER,
    autoencoder,
    hidden_state_at,
    load_tensors,
    read_config,
    refuse,
    whole_number,
)


def read_sparsify(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read what sparsify saves: TopK autoencoders."""
    config = read_config(path.with_name("cfg.json"))
    if "architecture" in config:
        raise InputError(
            f"{path}: the cfg.json beside it is SAELens's; call the file sae_weights.safetensors, "
            "as SAELens does, and give its folder"
        )
    tensors, dtype, _ = load_tensors(path)
    if config.get("transcode"):
        raise InputError(f"{path}: transcode is true: a transcoder, which {NO_AUTOENCODER}")
    for name in ("skip_connection", "embed_skip", "gram_lookup", "signed"):
        refuse(path, config, name, (None, False))
    refuse(path, config, "activation", (None, "topk"))
    renamed = {"encoder.weight": "W_enc", "encoder.bias": "b_enc"}
    tensors = {renamed.get(name, name): values for name, values in tensors.items()}
    # The folder carries the hook point: layers.5, or h.5, is the output of block 5.
    origin = Origin(
        "sparsify",
        path.parent.name,
        file_sha256(path),
        "topk",
        dtype,
        whole_number(path, config, "k"),
        layers=hidden_state_at(path, path.absolute().parent.name),
        context=whole_number(path, _run_config(path), "ctx_len"),
    )
    return autoencoder(path, width, origin, tensors, encoder_rows_first=True)


def _run_config(path: Path) -> dict[str, Any]:
    """Return the configuration of the training run, which lies beside the folders of its layers."""
    beside = path.absolute().parent.with_name("config.json")
    with suppress(InputError):  # a file of that name that is somebody else's
        return read_config(beside)
    return {}
