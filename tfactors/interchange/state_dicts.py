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
from tfactors.files import file_sha256, instead_of_content
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
    _refuse_several(path, state.tensors)
    if state.others:
        raise InputError(
            f"{path}: holds {', '.join(sorted(map(str, state.others))[:3])} besides tensors, and "
            "is not a state_dict of tensors that is known; save the autoencoder's state_dict()"
        )
    return _read_dictionary_learning(path, width, form, state)


def _refuse_several(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Raise where a file holds the decoders of several autoencoders, or one under a prefix."""
    decoders = (re.fullmatch(r"(.+)\.(?:W_dec|decoder\.weight)", name) for name in tensors)
    prefixes = [match[1] for match in decoders if match]
    if len(prefixes) > 1:
        named = ", ".join(prefixes[:3]) + (", …" if len(prefixes) > 3 else "")
        raise InputError(
            f"{path}: holds {len(prefixes)} autoencoders ({named[:200]}); save the state_dict() of "
            "one of them"
        )
    if prefixes:
        raise InputError(
            f"{path}: the names of its tensors begin with {prefixes[0][:80]!r}; save the "
            "state_dict() of that alone"
        )


# --- dictionary_learning: ae.pt, and config.json beside it --------------------------------------


def _read_dictionary_learning(
    path: Path, width: int, form: str, state: StateDict
) -> ImportedDictionary:
    """Read what dictionary_learning saves; names and order of the tensors tell its classes."""
    tensors = dict(state.tensors)
    config: dict[str, Any] = {}
    trainer: dict[str, Any] = {}
    buffer: dict[str, Any] = {}
    if (beside := path.with_name("config.json")).is_file():
        config = read_config(beside)
        trainer, buffer = (section(beside, config, name) for name in ("trainer", "buffer"))
    if {"encoder.weight", "b_dec"} <= tensors.keys() and "k" not in tensors:
        # Its TopK class of 2024 keeps k in the configuration alone.
        tensors["k"] = np.array(float(whole_number(beside, trainer, "k")))
        if not tensors["k"]:
            raise InputError(
                f"{path}: a TopK autoencoder whose k is not in the file; put the config.json that "
                "was saved with it beside the file"
            )
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
    if kind == "standard":
        _refuse_other_activations(beside, config)
    if form == "topk" and kind == "batchtopk":
        kind = "topk"
    if kind == "topk":
        tensors.pop("threshold", None)
    renamed |= {"encoder.weight": "W_enc", "encoder.bias": "b_enc", "decoder.weight": "W_dec"}
    tensors = {renamed.get(name, name): values for name, values in tensors.items()}
    place = str(trainer.get("submodule_name") or "")
    origin = Origin(
        "dictionary_learning",
        path.parent.name,
        file_sha256(path),
        kind,
        state.dtype,
        k,
        centred,
        layers=hidden_state_at(path, place),
        place=place,
        model=str(trainer.get("lm_name", "")),
        # Its buffer reads texts as the model's own tokenizer encodes them, marks and all.
        marks="ctx_len" in buffer,
        context=whole_number(beside, buffer, "ctx_len"),
    )
    return autoencoder(
        path, width, origin, tensors, encoder_rows_first, decoder_rows_first="W_enc" in names
    )


def _refuse_other_activations(beside: Path, config: dict[str, Any]) -> None:
    """Raise where a configuration of another library says that its encoder is more than a relu.

    Where it names no trainer it is none of dictionary_learning's, and the names of the tensors do
    not tell a TopK or BatchTopK autoencoder from one of the standard form.
    """
    kind = str(config.get("sae_type") or config.get("architecture") or "standard").lower()
    if "trainer" not in config and kind not in ("standard", "vanilla", "relu"):
        raise InputError(
            f"{beside}: says that the autoencoder is a {kind[:80]}, in a layout that tfactors does "
            "not know; save it in the layout of SAELens"
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
        if instead_of_content(path):
            raise unreadable(path, error) from error
        raise InputError(
            f"{path}: holds more than weights, and code in a file is never run here; save its "
            "state_dict() instead"
        ) from error
    except Exception as error:  # a damaged pickle makes torch raise anything
        if "TorchScript" in str(error):
            raise InputError(
                f"{path}: a program of TorchScript, and code in a file is never run here; save the "
                "autoencoder's state_dict()"
            ) from error
        raise unreadable(path, error) from error
    wrapped_in = ""
    for name in _WEIGHTS:
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state, wrapped_in = state[name], name
    if isinstance(state, dict | list | tuple):
        parts = list(state.values() if isinstance(state, dict) else state)
        inner = [part for part in parts if isinstance(part, dict) and _decoder_in(part)]
        if len(inner) > 1:
            raise InputError(
                f"{path}: holds {len(inner)} autoencoders; save the state_dict() of one of them"
            )
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


def _decoder_in(part: dict[Any, Any]) -> bool:
    """Return whether a dictionary is the state_dict of an autoencoder."""
    return any(str(name).endswith(("W_dec", "decoder.weight")) for name in part)
