"""Turns autoencoders of Language-Model-SAEs into dictionaries: Llama Scope, and what it trains now.

A folder holds hyperparams.json and checkpoints/final.safetensors (2024, the files of Llama Scope),
or config.json and sae_weights.safetensors (since). With s = √d / the average norm of the states
that it was trained on, n the norm of a factor's row of the decoder W and k its top_k,

    p = s·x·Eᵀ + β,      x̂ = (αW + b) / s

    relu                 α = relu(p)
    topk                 α = relu(p) where n·p is among the k largest of its token, else 0
    jumprelu             α = p where n·p > θ, else 0; in the files of 2024 where n·p / s > θ

n counts where ``sparsity_include_decoder_norm`` says so. What is returned reads raw states: s is
folded into E, W and b. Lorsa, cross-layer transcoders and crosscoders read several tokens, layers
or places, and are refused.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.coding.imported_dictionary import ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import file_sha256
from tfactors.interchange.state_dicts import load_state_dict
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
    whole_number,
    yes_or_no,
)

CONFIGS = ("hyperparams.json", "config.json")
# In the order in which the library itself looks for them.
WEIGHTS = tuple(
    f"{stem}.{suffix}"
    for stem in ("sae_weights", "checkpoints/pruned", "checkpoints/final")
    for suffix in ("safetensors", "pt")
)
_NORM = "dataset_average_activation_norm"
_RENAMED = {
    "encoder.weight": "W_enc",
    "encoder.bias": "b_enc",
    "decoder.weight": "W_dec",
    "decoder.bias": "b_dec",
    "W_E": "W_enc",
    "b_E": "b_enc",
    "W_D": "W_dec",
    "b_D": "b_dec",
    "log_jumprelu_threshold": "log_threshold",
    "activation_function.log_jumprelu_threshold": "log_threshold",
}
_FORMS = {"relu": "standard", "topk": "topk", "jumprelu": "jumprelu"}


def config_of(weights: Path) -> Path | None:
    """Return the library's configuration of a file of weights, or None: another's file.

    It lies beside the file, or beside its folder ``checkpoints``.
    """
    folders = [weights.parent, *[weights.parent.parent] * (weights.parent.name == "checkpoints")]
    for path in (folder / name for folder in folders for name in CONFIGS):
        # A file of that name may be somebody else's.
        with suppress(InputError):
            if path.is_file() and {"hook_point_in", "sae_type"} & read_config(path).keys():
                return path
    return None


def weights_in(folder: Path) -> Path | None:
    """Return the file of weights that the library would load from a folder, None without one."""
    there = (folder / name for name in WEIGHTS if (folder / name).is_file())
    return next((path for path in there if config_of(path)), None)


def read_llama_scope(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read a file of weights as the configuration beside it means them."""
    beside = config_of(path)
    if beside is None:
        raise InputError(
            f"{path}: lacks the {' or '.join(CONFIGS)} that was saved with it, which says how its "
            "encoder reads; put it beside the file"
        )
    config = read_config(beside)
    stored, dtype = _stored(path)
    place = _place(path, config)
    tensors = {_RENAMED.get(n, n): t for n, t in stored.items() if not n.startswith(_NORM)}
    decoder = rows_a_factor(path, "W_dec", _needed(path, tensors), width, "W_D" in stored)
    tensors["W_dec"] = decoder
    scale, (into, out), notes = _scales(path, config, stored, place, width)
    norms = np.ones(len(decoder), np.float32)
    if yes_or_no(path, config, "sparsity_include_decoder_norm", default=True):
        norms = np.linalg.norm(decoder, axis=1)
    form = _form(path, config)
    if form == "jumprelu":
        tensors["threshold"] = _thresholds(path, config, tensors, norms, into)
    tensors.pop("log_threshold", None)
    if "W_enc" in tensors:
        tensors["W_enc"] = tensors["W_enc"] * np.float32(into)
    for name in ("W_dec", "b_dec"):
        if name in tensors:
            tensors[name] = tensors[name] / np.float32(out)
    said = beside.with_name("lm_config.json")
    language_model = read_config(said) if said.is_file() else {}
    origin = Origin(
        "llama_scope",
        (path.parent.parent if path.parent.name == "checkpoints" else path.parent).name,
        file_sha256(path),
        form,
        dtype if into == out == 1 else "float32",
        whole_number(path, config, "top_k") if form == "topk" else 0,
        centred=_centred(path, beside, config),
        rescaled=form == "topk" and bool((norms != 1).any()),
        scale=scale,
        layers=hidden_state_at(path, place),
        model=str(language_model.get("model_name") or ""),
        bos=yes_or_no(said, language_model, "prepend_bos", default=True),
        folded=float(into),
        notes=notes,
        place=place,
    )
    return autoencoder(
        path,
        width,
        origin,
        tensors,
        encoder_rows_first="W_E" not in stored,
        decoder_rows_first=True,
    )


def _stored(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Return the tensors of a file of weights as float32, and their type."""
    if path.suffix == ".pt":
        state = load_state_dict(path)
        return state.tensors, state.dtype
    tensors, dtype, _ = load_tensors(path)
    return tensors, dtype


def _needed(path: Path, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """Return the decoder, or say what kind of dictionary has none."""
    if {"W_Q", "W_K"} & tensors.keys():
        raise InputError(
            f"{path}: a Lorsa, which reads every token before its own; tfactors imports "
            "autoencoders of one hidden state"
        )
    if "W_dec" not in tensors:
        raise InputError(f"{path}: lacks the weights of a decoder (decoder.weight or W_D)")
    return tensors["W_dec"]


def _place(path: Path, config: dict[str, Any]) -> str:
    """Return the place in the model that is read and written; raise for what is no autoencoder."""
    kind = str(config.get("sae_type") or "sae")
    if kind != "sae":
        raise InputError(
            f"{path}: a {kind}, which reads several tokens, layers or places; tfactors imports "
            "autoencoders of one hidden state"
        )
    place = str(config.get("hook_point_in") or "")
    if (config.get("hook_point_out") or place) != place:
        raise InputError(f"{path}: a transcoder, which {NO_AUTOENCODER}")
    refuse(path, config, "use_glu_encoder", (None, False))
    return place


def _form(path: Path, config: dict[str, Any]) -> str:
    """Return the form of the encoder."""
    named = str(config.get("act_fn") or "relu").lower()
    if named not in _FORMS:
        raise InputError(
            f"{path}: act_fn is {named!r}, which has no threshold of its own; convert it to "
            "JumpReLU with the library that trained it"
        )
    return _FORMS[named]


def _centred(path: Path, beside: Path, config: dict[str, Any]) -> bool:
    """Return whether the encoder reads x − b: the default of 2024 alone."""
    default = beside.name == "hyperparams.json"
    applied = yes_or_no(path, config, "apply_decoder_bias_to_pre_encoder", default)
    return applied and yes_or_no(path, config, "use_decoder_bias", default=True)


def _scales(
    path: Path, config: dict[str, Any], stored: dict[str, np.ndarray], place: str, width: int
) -> tuple[str, tuple[float, float], tuple[str, ...]]:
    """Return how states are scaled, the factors s to fold before and after, and notes."""
    kind = str(config.get("norm_activation") or "none")
    if kind == "token-wise":
        return "state", (1.0, 1.0), ()
    if kind in ("none", "inference"):
        return "none", (1.0, 1.0), ()
    if kind != "dataset-wise":
        raise InputError(
            f"{path}: norm_activation is {kind!r}; supported are dataset-wise, token-wise, "
            "inference and none"
        )
    given = config.get(_NORM)
    said = given if isinstance(given, dict) else {}
    norms = [number(path, said, end) for end in ("in", "out")]
    if norms[0] is None and (known := stored.get(f"{_NORM}.{place}")) is not None:
        if known.size != 1:
            raise InputError(f"{path}: {_NORM} has shape {known.shape}; expected one number")
        norms = [float(known.reshape(()))] * 2
    if norms[0] is None:
        return "unit", (1.0, 1.0), (NORM_UNKNOWN,)
    before, after = (float(norm if norm is not None else norms[0]) for norm in norms)
    if not (0 < before < np.inf and 0 < after < np.inf):
        raise InputError(f"{path}: {_NORM} is {before:g} and {after:g}; expected more than 0")
    return "none", (width**0.5 / before, width**0.5 / after), ()


def _thresholds(
    path: Path,
    config: dict[str, Any],
    tensors: dict[str, np.ndarray],
    norms: np.ndarray,
    into: float,
) -> np.ndarray:
    """Return what p has to exceed, (m,), of thresholds on n·p, or on n·p / s."""
    if "log_threshold" in tensors:
        limits = np.exp(tensors["log_threshold"].astype(np.float64).reshape(-1))
    elif (limit := number(path, config, "jump_relu_threshold")) is not None:
        limits = np.array([limit * into])
    else:
        raise InputError(f"{path}: lacks the thresholds of a jumprelu autoencoder")
    if limits.size not in (1, len(norms)):
        raise InputError(f"{path}: {limits.size} thresholds beside {len(norms):,} factors")
    with np.errstate(divide="ignore", invalid="ignore"):
        found = limits / norms  # of a decoder of zeros infinite: it never fires
    return np.where(norms > 0, found, np.inf).astype(np.float32)
