"""Turns what torch.save wrote into dictionaries: of dictionary_learning, Goodfire and OpenAI.

The names of the tensors tell whose they are. A pickle can hold a program, so it is read as weights
only; a file that holds more is refused, and the line says how to save it again.

    dictionary_learning   its classes, each with names of its own; config.json may lie beside
    Goodfire              α = relu(x·Wᵀ + β): encoder_linear, decoder_linear (two nn.Linear)
    OpenAI                TopK or ReLU of (z − b)·Wᵀ + β: pre_bias, latent_bias; where it is TopK,
                          z is x less its mean, over its deviation
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.coding.imported_dictionary import ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import file_sha256
from tfactors.interchange.tensors import (
    as_arrays,
    autoencoder,
    hidden_state_at,
    read_config,
    section,
    unreadable,
    whole_number,
)

# Where a training loop keeps the weights among other things that it saves.
_WEIGHTS = ("sae", "state_dict", "model_state_dict", "model", "autoencoder")
# What torch.compile and torch's wrappers for several devices put before every name.
_WRAPPERS = re.compile(r"^(?:_orig_mod\.|module\.)+")


@dataclass(frozen=True)
class StateDict:
    """What torch.save wrote.

    Attributes
    ----------
    tensors : dict of float32 arrays
        By name.
    dtype : str
        Number type of the matrices in the file.
    others : dict
        What else it holds.
    wrapped_in : str
        The name under which the file keeps all this, or "".
    """

    tensors: dict[str, np.ndarray]
    dtype: str
    others: dict[str, Any]
    wrapped_in: str = ""


def read_torch(path: Path, width: int, form: str) -> ImportedDictionary:
    """Read a state_dict; the names of its tensors tell which library's it is."""
    state = load_state_dict(path)
    if state.wrapped_in == "sae":
        raise InputError(
            f"{path}: of Language-Model-SAEs, without the config.json or hyperparams.json that was "
            "saved with it, which says how its encoder reads; put it beside the file"
        )
    if "encoder_linear.weight" in state.tensors:
        return _read_goodfire(path, width, state)
    if {"pre_bias", "latent_bias"} & state.tensors.keys():
        return _read_openai(path, width, state)
    if state.others:
        raise InputError(
            f"{path}: holds {', '.join(sorted(map(str, state.others))[:3])} besides tensors, and "
            "is not a state_dict of tensors that is known; save the autoencoder's state_dict()"
        )
    return _read_dictionary_learning(path, width, form, state)


# --- dictionary_learning: ae.pt, and config.json beside it --------------------------------------


def _read_dictionary_learning(
    path: Path, width: int, form: str, state: StateDict
) -> ImportedDictionary:
    """Read what dictionary_learning saves; names and order of the tensors tell its classes."""
    tensors = dict(state.tensors)
    trainer: dict[str, Any] = {}
    buffer: dict[str, Any] = {}
    if (beside := path.with_name("config.json")).is_file():
        config = read_config(beside)
        trainer, buffer = (section(beside, config, name) for name in ("trainer", "buffer"))
    names = set(tensors)
    k = whole_number(path, {"k": _number_of(path, "k", tensors.pop("k", np.zeros(())))}, "k")
    centred, encoder_rows_first = True, True
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
        renamed = {}
    elif "decoder.bias" in names:
        kind, centred, renamed = "standard", False, {"decoder.bias": "b_dec"}
    else:
        kind, renamed = "standard", {"bias": "b_dec"}
    if form == "topk" and kind == "batchtopk":
        kind = "topk"
    if kind == "topk":
        tensors.pop("threshold", None)
    renamed |= {"encoder.weight": "W_enc", "encoder.bias": "b_enc", "decoder.weight": "W_dec"}
    tensors = {renamed.get(name, name): values for name, values in tensors.items()}
    origin = Origin(
        "dictionary_learning",
        path.parent.name,
        file_sha256(path),
        kind,
        state.dtype,
        k,
        centred,
        layers=hidden_state_at(path, str(trainer.get("submodule_name") or "")),
        model=str(trainer.get("lm_name", "")),
        # Its buffer reads texts as the model's own tokenizer encodes them, marks and all.
        marks="ctx_len" in buffer,
        context=whole_number(beside, buffer, "ctx_len"),
    )
    return autoencoder(
        path, width, origin, tensors, encoder_rows_first, decoder_rows_first="W_enc" in names
    )


def _number_of(path: Path, name: str, values: np.ndarray) -> float:
    """Return the one number that a tensor holds."""
    if values.size != 1:
        raise InputError(f"{path}: {name} has shape {values.shape}; expected one number")
    return float(values.reshape(()))


# --- Goodfire: Llama-3.1-8B-Instruct-SAE-l19.pth -------------------------------------------------


def _read_goodfire(path: Path, width: int, state: StateDict) -> ImportedDictionary:
    """Read two linear layers with a relu between them; the file's name says the block."""
    renamed = {
        "encoder_linear.weight": "W_enc",
        "encoder_linear.bias": "b_enc",
        "decoder_linear.weight": "W_dec",
        "decoder_linear.bias": "b_dec",
    }
    if "decoder_linear.weight" not in state.tensors:
        raise InputError(
            f"{path}: has encoder_linear without decoder_linear, so it is none of Goodfire's "
            "autoencoders that tfactors knows; save it in the layout of SAELens"
        )
    block = re.search(r"[-_]l(\d+)(?![a-z0-9])", path.stem)
    origin = Origin(
        "goodfire",
        path.name,
        file_sha256(path),
        "standard",
        state.dtype,
        centred=False,
        layers=(int(block[1]) + 1,) if block else (),
        bos=True,  # Llama's tokenizer puts it before every text
    )
    tensors = {renamed.get(name, name): values for name, values in state.tensors.items()}
    return autoencoder(path, width, origin, tensors, True, decoder_rows_first=False)


# --- OpenAI: gpt2-small/resid_post_mlp_v5_32k/autoencoders/6.pt ----------------------------------

# What training counted, and no code depends on.
_COUNTED = ("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square")
_OPENAI_PLACE = re.compile(r"(mlp_post_act|resid_(?:delta|post)_(?:attn|mlp))(?:_v\d\w*)?")


def _read_openai(path: Path, width: int, state: StateDict) -> ImportedDictionary:
    """Read an autoencoder of sparse_autoencoder; its folders say the place in the model."""
    tensors = {name: values for name, values in state.tensors.items() if name not in _COUNTED}
    if "decoder.linear.weight" in tensors:  # the encoder's, once more: the decoder is tied to it
        tensors["decoder.weight"] = tensors.pop("decoder.linear.weight").T
        tensors.setdefault("encoder.weight", tensors["decoder.weight"].T)
    activation = str(state.others.get("activation", "ReLU"))
    how = section(path, state.others, "activation_state_dict")
    then = str(how.get("postact_fn", "ReLU"))
    if activation not in ("ReLU", "TopK") or then != "ReLU":
        given = activation if activation not in ("ReLU", "TopK") else f"{activation} with {then}"
        raise InputError(
            f"{path}: its activation is {given}; supported are ReLU, and TopK with ReLU"
        )
    topk = activation == "TopK"
    renamed = {
        "encoder.weight": "W_enc",
        "decoder.weight": "W_dec",
        "pre_bias": "b_dec",
        "latent_bias": "b_enc",
    }
    origin = Origin(
        "openai",
        path.name,
        file_sha256(path),
        "topk" if topk else "standard",
        state.dtype,
        whole_number(path, how, "k") if topk else 0,
        scale="norm" if topk else "none",  # as its own reader decides it
        layers=_openai_layers(path),
    )
    tensors = {renamed.get(name, name): values for name, values in tensors.items()}
    return autoencoder(path, width, origin, tensors, True, decoder_rows_first=False)


def _openai_layers(path: Path) -> tuple[int, ...]:
    """Return the hidden state that OpenAI's folders name, () where they were not kept."""
    parts = path.absolute().parts
    if len(parts) < 3 or parts[-2] != "autoencoders" or not path.stem.isdigit():
        return ()
    place = _OPENAI_PLACE.fullmatch(parts[-3])
    if place is None:
        return ()
    if place[1] != "resid_post_mlp":
        raise InputError(
            f"{path}: of {place[1]}, a place inside block {path.stem}; tfactors reads the hidden "
            "states between the blocks, so take one of resid_post_mlp"
        )
    return (int(path.stem) + 1,)


# --- torch.save ----------------------------------------------------------------------------------


def load_state_dict(path: Path) -> StateDict:
    """Return what a file of torch holds, read as weights only.

    Raises
    ------
    InputError
        It is damaged, holds more than weights, or no tensors.
    """
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
    except Exception as error:  # a damaged pickle makes torch raise anything
        raise unreadable(path, error) from error
    wrapped_in = ""
    for name in _WEIGHTS:
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state, wrapped_in = state[name], name
    if not isinstance(state, dict) or not any(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(
            f"{path}: not a state_dict of tensors; save the autoencoder's state_dict()"
        )
    tensors = {
        _WRAPPERS.sub("", str(name)): value
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }
    others = {
        str(name): value for name, value in state.items() if not isinstance(value, torch.Tensor)
    }
    arrays, dtype = as_arrays(path, tensors)
    return StateDict(arrays, dtype, others, wrapped_in)
