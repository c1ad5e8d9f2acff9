"""Turns the tensors of any library's file into arrays with one row a factor, or says what is wrong.

Which axis is which follows from d alone, because the libraries disagree and files get transposed;
only where both axes are d does the format's own order count.

The name of a place in a model, as TransformerLens, transformers, sparsify or dictionary_learning
write it, becomes the index of a hidden state, or nothing where the name says nothing. A place
inside a block (an attention head, the output of an MLP, a layer norm) is no hidden state: its
autoencoder is refused, because its factors would be laid over vectors that it never saw.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.bundle.validation import quoted
from tfactors.coding.imported_dictionary import TENSORS, ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import instead_of_content

# Of what a configuration counts or scales by; what is larger is no number that anybody meant.
LARGEST = 1e30
NO_AUTOENCODER = (
    "reads one place of the model and writes another; tfactors imports autoencoders, which give "
    "back the hidden states that they read"
)
NORM_UNKNOWN = (
    "The file does not say the average norm of the states that it was trained on; that of this "
    "text stands in for it."
)


def autoencoder(
    path: Path,
    width: int,
    origin: Origin,
    tensors: dict[str, np.ndarray],
    encoder_rows_first: bool,
    decoder_rows_first: bool | None = None,
) -> ImportedDictionary:
    """Bring the tensors of an autoencoder into our order, and check that they belong together.

    Parameters
    ----------
    path : Path
        Named where something is wrong.
    width : int
        d, the numbers of a hidden state.
    origin : Origin
        What the file says of itself; its form says which tensors there have to be.
    tensors : dict of str to ndarray
        By the names of TENSORS.
    encoder_rows_first, decoder_rows_first : bool
        Whether the format has one row a factor; asked only where a matrix is square. By default
        the decoder has, but for dictionary_learning.

    Raises
    ------
    InputError
        A tensor is missing, unknown, or of a shape that does not fit.
    """
    if origin.form not in TENSORS:
        raise InputError(
            f"{path}: an autoencoder of the form {origin.form!r}; known are {', '.join(TENSORS)}"
        )
    _refuse_crosscoder(path, tensors)
    needed = set(TENSORS[origin.form])
    if "b_dec" in needed - tensors.keys():
        tensors = tensors | {"b_dec": np.zeros(width, np.float32)}
        note = "The file has no b_dec: nothing is added to what its factors write."
        origin = replace(origin, notes=(*origin.notes, note))
    if missing := sorted(needed - tensors.keys()):
        raise InputError(f"{path}: lacks {', '.join(missing)} of a {origin.form} autoencoder")
    if unknown := sorted(tensors.keys() - needed):
        raise InputError(
            f"{path}: holds {', '.join(unknown)}, which no {origin.form} autoencoder has"
        )
    if decoder_rows_first is None:
        decoder_rows_first = origin.format != "dictionary_learning"
    turned = {name: tensors[name] for name in sorted(needed)}
    turned["W_dec"] = rows_a_factor(path, "W_dec", turned["W_dec"], width, decoder_rows_first)
    if "W_enc" in turned:
        turned["W_enc"] = rows_a_factor(path, "W_enc", turned["W_enc"], width, encoder_rows_first)
    _shape_vectors(path, turned)
    factors = len(turned["W_dec"])
    if origin.form == "topk" and not 0 < origin.k <= factors:
        raise InputError(f"{path}: k is {origin.k}; expected 1 to {factors:,} for TopK")
    return ImportedDictionary(origin, turned)


def _shape_vectors(path: Path, turned: dict[str, np.ndarray]) -> None:
    """Bring what belongs to a factor or to a number of a state into one axis, or raise."""
    factors, width = turned["W_dec"].shape
    for name, values in turned.items():
        if name not in ("W_dec", "W_enc"):
            values = turned[name] = _as_vector(values)
        if name == "threshold" and values.size == 1:
            values = turned[name] = np.full(factors, values.item(), np.float32)
        expected = {"W_dec": (factors, width), "W_enc": (factors, width), "b_dec": (width,)}
        if values.shape != expected.get(name, (factors,)):
            raise InputError(
                f"{path}: {name} has shape {values.shape}; expected "
                f"{expected.get(name, (factors,))} beside {factors:,} factors of {width} numbers"
            )


def _as_vector(values: np.ndarray) -> np.ndarray:
    """Return a vector that was saved as one row or one column; anything else as it is."""
    return values.reshape(-1) if max(values.shape, default=1) == values.size else values


def rows_a_factor(
    path: Path, name: str, matrix: np.ndarray, width: int, rows_first: bool
) -> np.ndarray:
    """Return a matrix with one row a factor; d says which axis that is."""
    _refuse_crosscoder(path, {name: matrix})
    if not matrix.size:
        raise InputError(f"{path}: {name} is empty; give a dictionary that was trained")
    if matrix.ndim != 2 or width not in matrix.shape:
        shape = " × ".join(map(str, matrix.shape))
        raise InputError(
            f"{path}: {name} is {shape}, and the model's hidden states have {width} numbers; "
            "import it with the model that it was trained on"
        )
    if matrix.shape[0] != matrix.shape[1]:
        rows_first = matrix.shape[1] == width
    return np.ascontiguousarray(matrix if rows_first else matrix.T)


def _refuse_crosscoder(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Raise where a matrix has a third axis, before anything else is found wrong with it."""
    for name in ("W_dec", "W_enc"):
        if name in tensors and tensors[name].ndim == 3:
            raise InputError(
                f"{path}: {name} has a matrix for each of several layers, as crosscoders and "
                "cross-layer transcoders have; tfactors imports autoencoders of one hidden state"
            )


def load_tensors(path: Path) -> tuple[dict[str, np.ndarray], str, dict[str, str]]:
    """Return the tensors of a safetensors file as float32, their type, and the file's metadata."""
    import torch  # noqa: F401 - bfloat16, which numpy does not have
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except Exception as error:  # a damaged file makes libraries raise anything
        raise unreadable(path, error) from error
    arrays, dtype = as_arrays(path, tensors)
    return arrays, dtype, metadata


def as_arrays(path: Path, tensors: dict[str, Any]) -> tuple[dict[str, np.ndarray], str]:
    """Return tensors of torch as float32 arrays, and the type of the matrices among them.

    Raises
    ------
    InputError
        A matrix is of whole numbers, as one that was rounded to few bits is: what they stand for is
        not said. Or a tensor is not one of plain numbers (sparse, complex, without its data).
    """
    arrays = {}
    for name, values in tensors.items():
        if values.dim() == 2 and not values.dtype.is_floating_point:
            kind = str(values.dtype).removeprefix("torch.")
            raise InputError(
                f"{path}: {name[:80]} is of the type {kind}; expected floating-point numbers, in "
                "which the autoencoder was trained"
            )
        try:
            arrays[name] = np.array(values.detach().float().numpy())
        except (RuntimeError, TypeError) as error:
            raise unreadable(path, error) from error
    dtypes = {str(v.dtype).removeprefix("torch.") for v in tensors.values() if v.dim() == 2}
    return arrays, min(dtypes, default="float32")


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration beside the weights."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing; it says what kind of autoencoder this is") from error
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a configuration; expected a JSON object")
    return content


def refuse(path: Path, config: dict[str, Any], name: str, allowed: tuple[Any, ...]) -> None:
    """Raise if a setting of the configuration is none of the values that are understood."""
    if config.get(name) not in allowed:
        given = quoted(config.get(name))
        raise InputError(f"{path}: {name} is {given}, which tfactors does not support")


def whole_number(path: Path, config: dict[str, Any], name: str) -> int:
    """Return a count of the configuration, 0 where it says none."""
    value = number(path, config, name, "a whole number")
    if value is not None and value != int(value):
        raise InputError(f"{path}: {name} is {value!r}; expected a whole number")
    return max(0, int(value or 0))


def number(
    path: Path, config: dict[str, Any], name: str, expected: str = "a number"
) -> float | int | None:
    """Return a number of the configuration, finite and no truth, None where it says none."""
    value = config.get(name)
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or (plain and abs(value) < LARGEST):
        return value
    raise InputError(f"{path}: {name} is {quoted(value)}; expected {expected}")


def section(path: Path, config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a part of the configuration, empty where it is not there."""
    part = config.get(name)
    if part is not None and not isinstance(part, dict):
        raise InputError(f"{path}: {name} is {quoted(part)}; expected an object of JSON")
    return part or {}


def yes_or_no(path: Path, config: dict[str, Any], name: str, default: bool = False) -> bool:
    """Return a truth of the configuration, the default where it says nothing."""
    value = config.get(name)
    if value is None:
        return default
    if value not in (True, False):  # also 1 and 0
        raise InputError(f"{path}: {name} is {quoted(value)}; expected true or false")
    return bool(value)


def unreadable(path: Path, error: Exception) -> InputError:
    """Return what to raise where a file is not what its name says."""
    if instead := instead_of_content(path):
        return InputError(f"{path}: {instead}")
    reason = str(error).strip().splitlines()
    return InputError(
        f"{path}: damaged or not what its name says ({reason[0][:200] if reason else 'empty'}); "
        "fetch it again"
    )


# blocks.8.hook_resid_pre, model.layers.13.output, transformer.h.5, layers_3: block, place in it.
_BLOCK = re.compile(r"(?:.*\.)?(?:layers?|h|blocks?)[._](\d{1,6})(?:\.(.+))?")
# resid_post_layer_12, mlp_out_layer_3, as dictionary_learning's own scripts name them.
_SUBMODULE = re.compile(r"(\w+)_layer_(\d{1,6})")
_BEFORE = ("hook_resid_pre", "resid_pre", "input")
_AFTER = ("hook_resid_post", "resid_post", "output", None)
_EMBEDDINGS = ("embed_tokens", "embed_in")


def hidden_state_at(path: Path, place: str) -> tuple[int, ...]:
    """Return the hidden state at a place, as a tuple of one, or () where the name says nothing.

    >>> [hidden_state_at(Path("sae"), name) for name in ("blocks.8.hook_resid_pre", "layers.8")]
    [(8,), (9,)]
    >>> hidden_state_at(Path("sae"), "my own folder")
    ()

    Raises
    ------
    InputError
        The place is inside a block.
    """
    if place.split(".")[-1] in _EMBEDDINGS:
        return (0,)
    if match := _SUBMODULE.fullmatch(place):
        inside, block = match[1], int(match[2])
    elif match := _BLOCK.fullmatch(place):
        inside, block = match[2], int(match[1])
    else:
        return ()
    if inside in _BEFORE:
        return (block,)
    if inside in _AFTER:
        return (block + 1,)
    raise InputError(
        f"{path}: was trained on {place}, a place inside block {block}; tfactors reads the hidden "
        "states between the blocks, so take an autoencoder of the residual stream (resid_post)"
    )
