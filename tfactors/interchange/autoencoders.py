"""Turns files of SAELens, sparsify and dictionary_learning into dictionaries, as those mean them.

A file of weights, beside which lies the library's configuration, and the width d of the model give
an :class:`ImportedDictionary`. Nothing in a file is run: safetensors, and ae.pt as weights only.
Gemma Scope has files of its own: :mod:`tfactors.interchange.gemma_scope`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.coding.imported_dictionary import PLAIN, ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import file_sha256
from tfactors.interchange.tensors import (
    autoencoder,
    hidden_state_at,
    load_tensors,
    read_config,
    refuse,
    rows_a_factor,
    unreadable,
)

NO_AUTOENCODER = (
    "reads one place of the model and writes another; tfactors imports autoencoders, which give "
    "back the hidden states that they read"
)

# --- SAELens: cfg.json + sae_weights.safetensors ------------------------------------------------

# How SAELens names the scales of hidden states that are known here.
SAELENS_SCALES = {
    "none": "none",
    "unit": "expected_average_only_in",
    "state": "constant_norm_rescale",
}


def read_saelens(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read what SAELens saves; versions before 6 name some keys otherwise."""
    config = read_config(path.with_name("cfg.json"))
    tensors, dtype, _ = load_tensors(path)
    meta: dict[str, Any] = config | (config.get("metadata") or {})
    architecture = config.get("architecture", "standard")
    # Before version 6 a TopK autoencoder was a standard one with another activation function.
    activation = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    k = config.get("k") or (config.get("activation_fn_kwargs") or {}).get("k") or 0
    if architecture == "standard" and activation == "topk":
        architecture = "topk"
    if "transcoder" in architecture:
        raise InputError(f"{path}: a {architecture}, which {NO_AUTOENCODER}")
    refuse(path, config, "finetuning_scaling_factor", (None, False))
    refuse(path, config, "reshape_activations", (None, "none"))
    refuse(
        path,
        meta.get("model_from_pretrained_kwargs") or {},
        "center_writing_weights",
        (None, False),
    )
    normalise = config.get("normalize_activations") or "none"
    scales = {name: scale for scale, name in SAELENS_SCALES.items()} | {True: "unit"}
    if normalise not in scales:
        raise InputError(
            f"{path}: normalize_activations is {normalise!r}; supported are "
            f"{', '.join(SAELENS_SCALES.values())}"
        )
    if "log_threshold" in tensors:
        tensors["threshold"] = np.exp(tensors.pop("log_threshold"))
    rescaled = bool(config.get("rescale_acts_by_decoder_norm", False))
    if "topk_threshold" in tensors:  # in training; for use SAELens saves these two as JumpReLU
        architecture = "batchtopk" if architecture == "matryoshka_batchtopk" else architecture
        tensors["threshold"] = tensors.pop("topk_threshold")
        if rescaled and "W_dec" in tensors:  # p · norm > θ, so p > θ / norm
            decoder = rows_a_factor(path, "W_dec", tensors["W_dec"], width, rows_first=True)
            norms = np.linalg.norm(decoder, axis=1).clip(1e-8)
            tensors["threshold"] = (tensors["threshold"] / norms).astype(np.float32)
    for name in ("scaling_factor", "finetuning_scaling_factor"):  # ones, where it was not tuned
        if (scaling := tensors.pop(name, None)) is not None and not np.allclose(scaling, 1):
            raise InputError(f"{path}: {name} is not 1, which tfactors does not support")
    hook = str(meta.get("hook_name") or meta.get("hook_point") or "")
    origin = Origin(
        "saelens",
        path.parent.name,
        file_sha256(path),
        architecture,
        dtype,
        int(k),
        centred=bool(config.get("apply_b_dec_to_input", True)),
        rescaled=rescaled,
        scale=scales[normalise],
        layers=hidden_state_at(path, hook),
        model=str(meta.get("model_name") or ""),
    )
    exported = meta.get("tfactors")  # what our own export says of a dictionary without an encoder
    if isinstance(exported, dict) and exported.get("stand_in") and "W_dec" in tensors:
        penalty, layers = float(exported.get("penalty", 0)), tuple(exported.get("layers", ()))
        marks, refit = (exported.get(name) is True for name in ("marks", "refit"))
        origin = replace(origin, form=PLAIN, penalty=penalty, layers=layers)
        origin = replace(origin, marks=marks, refit=refit)
        if exported.get("baseline") == "token":
            origin = replace(origin, baseline="token")
        decoder = rows_a_factor(path, "W_dec", tensors["W_dec"], width, rows_first=True)
        return ImportedDictionary(origin, {"W_dec": decoder})
    return autoencoder(path, width, origin, tensors, encoder_rows_first=False)


# --- sparsify: cfg.json + sae.safetensors -------------------------------------------------------


def read_sparsify(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read what sparsify saves: TopK autoencoders."""
    config = read_config(path.with_name("cfg.json"))
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
        int(config.get("k") or 0),
        layers=hidden_state_at(path, path.absolute().parent.name),
    )
    return autoencoder(path, width, origin, tensors, encoder_rows_first=True)


# --- dictionary_learning: ae.pt, and config.json beside it --------------------------------------


def read_torch(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read what dictionary_learning saves; names and order of the tensors tell its classes."""
    tensors, dtype = _load_torch(path)
    trainer: dict[str, Any] = {}
    if (beside := path.with_name("config.json")).is_file():
        trainer = read_config(beside).get("trainer") or {}
    names = set(tensors)
    k, centred, encoder_rows_first = int(tensors.pop("k", np.zeros(()))), True, True
    dictionary_class = str(trainer.get("dict_class", ""))
    if "decoder_bias" in names:
        kind, centred = "gated", True
        renamed = {"gate_bias": "b_gate", "mag_bias": "b_mag", "decoder_bias": "b_dec"}
    elif "W_enc" in names and "threshold" in names and "k" not in names:
        kind, centred, encoder_rows_first, renamed = "jumprelu", False, False, {}
    elif {"W_enc", "threshold", "k", "group_sizes"} <= names:
        # A Matryoshka autoencoder is a BatchTopK one that was trained on nested parts of itself.
        kind, encoder_rows_first, renamed = "batchtopk", False, {}
        del tensors["group_sizes"]
    elif "k" in names and "encoder.weight" in names:
        kind = form or ("batchtopk" if "BatchTopK" in dictionary_class else "")
        kind = kind or ("topk" if "TopK" in dictionary_class else "")
        if kind not in ("topk", "batchtopk"):
            raise InputError(
                f"{path}: TopK and BatchTopK look alike without the config.json that was saved "
                "with them; put it beside the file, or give --form topk or --form batchtopk"
            )
        if kind == "topk":
            tensors.pop("threshold", None)
        renamed = {}
    elif "decoder.bias" in names:
        kind, centred, renamed = "standard", False, {"decoder.bias": "b_dec"}
    else:
        kind, renamed = "standard", {"bias": "b_dec"}
    renamed |= {"encoder.weight": "W_enc", "encoder.bias": "b_enc", "decoder.weight": "W_dec"}
    tensors = {renamed.get(name, name): values for name, values in tensors.items()}
    origin = Origin(
        "dictionary_learning",
        path.parent.name,
        file_sha256(path),
        kind,
        dtype,
        k,
        centred,
        layers=hidden_state_at(path, str(trainer.get("submodule_name") or "")),
        model=str(trainer.get("lm_name", "")),
    )
    return autoencoder(
        path, width, origin, tensors, encoder_rows_first, decoder_rows_first="W_enc" in names
    )


def _load_torch(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Return the tensors of a state_dict as float32, and the type of its matrices."""
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():  # about old pickles: what is wrong is said below
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds more than weights, and code in a file is never run here; save its "
            "state_dict() instead"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise unreadable(path, error) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(
            f"{path}: not a state_dict of tensors; save the autoencoder's state_dict()"
        )
    dtypes = {str(v.dtype).removeprefix("torch.") for v in state.values() if v.dim() == 2}
    return {n: v.float().numpy() for n, v in state.items()}, min(dtypes, default="float32")
