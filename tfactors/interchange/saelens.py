"""Turns folders of SAELens into dictionaries, as SAELens means them: cfg.json beside the weights.

Version 6 parts what the autoencoder is from how it was trained (``metadata``); before it, both
stood side by side, and some keys had other names and other defaults. Nothing in a file is run.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.bundle.validation import FieldError, quoted, typed
from tfactors.coding.imported_dictionary import PLAIN, ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import file_sha256
from tfactors.interchange.tensors import (
    NO_AUTOENCODER,
    NORM_UNKNOWN,
    autoencoder,
    hidden_state_at,
    load_tensors,
    number,
    read_config,
    refuse,
    rows_a_factor,
    section,
    whole_number,
    yes_or_no,
)

# How SAELens names the scales of hidden states that are known here.
SAELENS_SCALES = {
    "none": "none",
    "unit": "expected_average_only_in",
    "state": "constant_norm_rescale",
    "norm": "layer_norm",
}


def read_saelens(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read what SAELens saves; versions before 6 name some keys otherwise."""
    config = read_config(path.with_name("cfg.json"))
    tensors, dtype, _ = load_tensors(path)
    meta: dict[str, Any] = config | section(path, config, "metadata")
    architecture = str(config.get("architecture", "standard"))
    # Before version 6 a TopK autoencoder was a standard one with another activation function.
    activation = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    kwargs = section(path, config, "activation_fn_kwargs")
    k = number(path, config, "k") or number(path, kwargs, "k") or 0
    if architecture == "standard" and activation == "topk":
        architecture = "topk"
    if architecture == "topk":  # of BatchTopK an average, and not always whole
        k = whole_number(path, {"k": k}, "k")
    _refuse_what_is_not_read(path, config, meta, architecture)
    if "log_threshold" in tensors:
        tensors["threshold"] = np.exp(tensors.pop("log_threshold"))
    rescaled = yes_or_no(path, config, "rescale_acts_by_decoder_norm")
    if "topk_threshold" in tensors:  # in training; for use SAELens saves these two as JumpReLU
        architecture = "batchtopk" if architecture == "matryoshka_batchtopk" else architecture
        tensors["threshold"] = tensors.pop("topk_threshold")
        if rescaled and "W_dec" in tensors:  # p · norm > θ, so p > θ / norm
            decoder = rows_a_factor(path, "W_dec", tensors["W_dec"], width, rows_first=True)
            norms = np.linalg.norm(decoder, axis=1).clip(1e-8)
            if tensors["threshold"].size not in (1, len(norms)):
                found = tensors["threshold"].size
                raise InputError(f"{path}: {found} thresholds beside {len(norms):,} factors")
            threshold = tensors["threshold"].reshape(-1) / norms
            tensors["threshold"] = threshold.astype(np.float32)
    for name in ("scaling_factor", "finetuning_scaling_factor"):  # ones, where it was not tuned
        if (scaling := tensors.pop(name, None)) is not None and not np.allclose(scaling, 1):
            raise InputError(f"{path}: {name} is not 1, which tfactors does not support")
    folded = _fold_scale_of_training(path, config, tensors)
    scale = "none" if folded else _scale(path, config)
    hook = _place(meta)
    origin = Origin(
        "saelens",
        path.parent.name,
        file_sha256(path),
        architecture,
        "float32" if folded else dtype,
        int(k),
        centred=yes_or_no(path, config, "apply_b_dec_to_input", default=True),
        rescaled=rescaled,
        scale=scale,
        layers=hidden_state_at(path, hook),
        model=str(meta.get("model_name") or ""),
        bos=yes_or_no(path, meta, "prepend_bos", default=_bos_by_default(meta)),
        context=whole_number(path, meta, "context_size"),
        folded=folded or 1.0,
        notes=_notes(path, meta, scale),
        place=hook,
    )
    exported = meta.get("tfactors")  # what our own export says
    if isinstance(exported, dict):
        origin = replace(origin, marks=exported.get("marks") is True)
        if exported.get("stand_in") and "W_dec" in tensors:
            decoder = rows_a_factor(path, "W_dec", tensors["W_dec"], width, rows_first=True)
            return _without_encoder(path, origin, exported, decoder)
    return autoencoder(path, width, origin, tensors, encoder_rows_first=False)


def _without_encoder(
    path: Path, origin: Origin, exported: dict[str, Any], decoder: np.ndarray
) -> ImportedDictionary:
    """Return a dictionary that our own export gave a stand-in of an encoder, without it."""
    try:
        layers = typed(exported.get("layers", ()), tuple[int, ...])
    except FieldError as error:
        raise InputError(f"{path}: its layers: {error}; export it again") from None
    origin = replace(
        origin,
        form=PLAIN,
        penalty=float(number(path, exported, "penalty") or 0),
        layers=layers,
        refit=exported.get("refit") is True,
        baseline="token" if exported.get("baseline") == "token" else "none",
    )
    return ImportedDictionary(origin, {"W_dec": decoder})


def _refuse_what_is_not_read(
    path: Path, config: dict[str, Any], meta: dict[str, Any], architecture: str
) -> None:
    """Raise for kinds and settings of SAELens that are not understood."""
    if "transcoder" in architecture:
        raise InputError(f"{path}: a {architecture}, which {NO_AUTOENCODER}")
    written = meta.get("hook_name_out")
    if written and written != (meta.get("hook_name") or meta.get("hook_point")):
        raise InputError(f"{path}: a transcoder, which {NO_AUTOENCODER}")
    for name in ("activation_fn", "activation_fn_str"):
        refuse(path, config, name, (None, "relu", *["topk"] * ("topk" in architecture)))
    refuse(path, config, "finetuning_scaling_factor", (None, False))
    refuse(path, config, "reshape_activations", (None, "none"))
    kwargs = section(path, meta, "model_from_pretrained_kwargs")
    refuse(path, kwargs, "center_writing_weights", (None, False))
    for name in ("hook_head_index", "hook_point_head_index"):
        refuse(path, meta, name, (None,))


def _place(meta: dict[str, Any]) -> str:
    """Return the place in the model; early versions write its block as ``{layer}``."""
    hook = str(meta.get("hook_name") or meta.get("hook_point") or "").strip()
    block = meta.get("hook_layer", meta.get("hook_point_layer"))
    return hook.replace("{layer}", str(block)) if type(block) is int else hook


def _fold_scale_of_training(
    path: Path, config: dict[str, Any], tensors: dict[str, np.ndarray]
) -> float | None:
    """Bring a checkpoint's tensors to raw states, in place; return what these were scaled by.

    Training keeps the number by which it scales its states in a file beside the weights, and folds
    it into them, as here, when it is done.
    """
    beside = path.with_name("activation_scaler.json")
    if _scale(path, config) != "unit" or not beside.is_file():
        return None
    factor = number(beside, read_config(beside), "scaling_factor")
    if factor is None:
        return None
    if not factor > 0:
        raise InputError(f"{beside}: scaling_factor is {factor:g}; expected more than 0")
    for name, times in (("W_enc", factor), ("W_dec", 1 / factor), ("b_dec", 1 / factor)):
        if name in tensors:
            tensors[name] = tensors[name] * np.float32(times)
    return float(factor)


def _scale(path: Path, config: dict[str, Any]) -> str:
    """Return how hidden states are scaled before the encoder reads them."""
    normalise = config.get("normalize_activations") or "none"
    scales = {name: scale for scale, name in SAELENS_SCALES.items()} | {True: "unit"}
    if not isinstance(normalise, str | bool) or normalise not in scales:
        raise InputError(
            f"{path}: normalize_activations is {quoted(normalise)}; supported are "
            f"{', '.join(SAELENS_SCALES.values())}"
        )
    return scales[normalise]


def _bos_by_default(meta: dict[str, Any]) -> bool:
    """Return whether texts began with BOS where the file does not say: so before version 6."""
    if "tfactors" in meta:  # our own export names no version
        return False
    version = str(meta.get("sae_lens_version") or "0")
    digits = "".join(letter for letter in version.split(".")[0] if letter.isdecimal())
    return int(digits[:9] or 0) < 6


def _notes(path: Path, meta: dict[str, Any], scale: str) -> tuple[str, ...]:
    """Return what the file says of its training that is not followed here."""
    notes = [NORM_UNKNOWN] if scale == "unit" and "tfactors" not in meta else []
    slices = meta.get("seqpos_slice")
    places = [place for place in slices if place is not None] if isinstance(slices, list) else []
    if places and places != [1]:  # place 0 is that of BOS, which is never surveyed
        said = json.dumps(slices)[:80]
        notes.append(
            f"The autoencoder was trained on some places of each text (seqpos_slice is {said}); "
            "all places are surveyed."
        )
    if revision := section(path, meta, "model_from_pretrained_kwargs").get("revision"):
        notes.append(
            f"The autoencoder was trained on the revision {str(revision)[:80]!r} of its model; "
            "nothing here says whether this model is that one."
        )
    return tuple(notes)
