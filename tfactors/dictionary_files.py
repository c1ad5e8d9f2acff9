"""Files of dictionaries, read and written: 2021, SAELens, sparsify, dictionary_learning, our own.

In goes a path and the width d of the model; out comes an :class:`ImportedDictionary` with one row a
factor in every matrix. Which axis is which follows from d alone, because the libraries disagree and
files get transposed; only where both axes are d does the format's own convention decide, and the
proof by reconstruction (:mod:`tfactors.importing`) can still refuse it. Nothing in a file is run:
.npy without pickle, safetensors, and ae.pt as weights only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.errors import InputError
from tfactors.imported_dictionary import PLAIN, TENSORS, ImportedDictionary, Origin

if TYPE_CHECKING:
    from tfactors.bundle import Bundle

SAELENS_WEIGHTS, SPARSIFY_WEIGHTS, TORCH_WEIGHTS = (
    "sae_weights.safetensors",
    "sae.safetensors",
    "ae.pt",
)
EXPORTS = ("saelens", "npy", "safetensors")
# The parts of an origin that say how the encoder works, kept in our own files.
_ENCODER = ("form", "k", "centred", "rescaled", "scale", "penalty", "dtype")


def read_dictionary(path: str | Path, width: int, form: str = "") -> ImportedDictionary:
    """Read a dictionary for a model with hidden states of ``width`` numbers.

    Parameters
    ----------
    path : a .npy or .safetensors file, an ae.pt, or the folder that SAELens, sparsify or
        dictionary_learning saved.
    width : d.
    form : ``topk`` or ``batchtopk``, for an ae.pt without the config.json that would say it.

    Raises
    ------
    InputError
        Names the file and says what is wrong with it.
    """
    path = Path(path)
    if path.is_dir():
        for name, reader in _FOLDERS.items():
            if (path / name).is_file():
                return reader(path / name, width, form)
        raise InputError(
            f"{path}: holds no dictionary; expected {SAELENS_WEIGHTS} (SAELens), "
            f"{SPARSIFY_WEIGHTS} (sparsify) or {TORCH_WEIGHTS} (dictionary_learning)"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; give the dictionary to import")
    by_name = _FOLDERS.get(path.name) or _SUFFIXES.get(path.suffix)
    if by_name is None:
        raise InputError(
            f"{path}: not a known kind of dictionary; expected .npy, .safetensors, .pt or a folder"
        )
    return by_name(path, width, form)


def write_dictionary_file(bundle: Bundle, path: str | Path, format: str) -> None:
    """Write the dictionary of a bundle for other tools: ``saelens``, ``npy`` or ``safetensors``.

    An imported one is written with the bits it was read with. A dictionary that was learnt here has
    no encoder; SAELens needs one, so one step towards the code is written, relu(z·Φᵀ − λ).

    Raises
    ------
    InputError
        The path is taken, or the format is none of EXPORTS.
    """
    path = Path(path)
    if format not in EXPORTS:
        raise InputError(f"format {format!r}: expected one of {', '.join(EXPORTS)}")
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path}: exists already; give another path for --out")
    imported = ImportedDictionary.from_bundle(bundle) or _learnt(bundle)
    path.parent.mkdir(parents=True, exist_ok=True)
    if format == "npy":
        columns = np.ascontiguousarray(imported.tensors["W_dec"].T)
        with path.open("wb") as file:
            np.save(file, columns.astype(_numpy_dtype(imported.origin.dtype)), allow_pickle=False)
    elif format == "safetensors":
        record = {name: getattr(imported.origin, name) for name in _ENCODER}
        record["penalty"] = bundle.manifest["coding"]["penalty"]
        _save_tensors(path, imported.tensors, imported.origin.dtype, {"tfactors": record})
    else:
        _write_saelens(bundle, imported, path)


def _learnt(bundle: Bundle) -> ImportedDictionary:
    """Return a dictionary that was learnt here as one that could be imported again."""
    scale = "none" if set(bundle.scale.values()) == {1.0} else "unit"
    penalty = bundle.manifest["coding"]["penalty"]
    origin = Origin("tfactors", bundle.path.name, "", scale=scale, penalty=penalty)
    return ImportedDictionary(origin, {"W_dec": bundle.dictionary})


# --- .npy, as the 2021 code saves it ------------------------------------------------------------


def _read_npy(path: Path, width: int, form: str) -> ImportedDictionary:
    try:
        matrix = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise InputError(
            f"{path}: an array of shape {matrix.shape} and type {matrix.dtype}; expected a matrix "
            f"of {width} × factors floating-point numbers"
        )
    decoder = _rows(path, "the array", _float32(matrix), width, rows_first=False)
    origin = Origin("npy", path.name, _sha256(path), dtype=str(matrix.dtype))
    return ImportedDictionary(origin, {"W_dec": decoder})


# --- SAELens: cfg.json + sae_weights.safetensors ------------------------------------------------


def _read_saelens(path: Path, width: int, form: str) -> ImportedDictionary:
    config = _config(path.with_name("cfg.json"))
    tensors, dtype, _ = _load_tensors(path)
    meta: dict[str, Any] = config | (config.get("metadata") or {})
    architecture = config.get("architecture", "standard")
    # Before version 6 a TopK autoencoder was a standard one with another activation function.
    activation = config.get("activation_fn", config.get("activation_fn_str", "relu"))
    k = config.get("k") or (config.get("activation_fn_kwargs") or {}).get("k") or 0
    if architecture == "standard" and activation == "topk":
        architecture = "topk"
    _refuse(path, config, "finetuning_scaling_factor", (None, False))
    _refuse(path, config, "reshape_activations", (None, "none"))
    normalise = config.get("normalize_activations") or "none"
    scales = {"none": "none", "expected_average_only_in": "unit", True: "unit"}
    if normalise not in scales:
        raise InputError(
            f"{path}: normalize_activations is {normalise!r}, a scale of its own for each state; "
            f"supported are none and expected_average_only_in"
        )
    if "log_threshold" in tensors:
        tensors["threshold"] = np.exp(tensors.pop("log_threshold"))
    if "topk_threshold" in tensors:
        tensors["threshold"] = tensors.pop("topk_threshold")
    for name in ("scaling_factor", "finetuning_scaling_factor"):  # of no use at inference
        tensors.pop(name, None)
    origin = Origin(
        "saelens", path.parent.name, _sha256(path), architecture, dtype, int(k),
        bool(config.get("apply_b_dec_to_input", True)),
        bool(config.get("rescale_acts_by_decoder_norm", False)), scales[normalise], 0.0,
        _layer_of_hook(str(meta.get("hook_name") or meta.get("hook_point") or "")),
        str(meta.get("model_name") or ""),
    )  # fmt: skip
    ours = meta.get("tfactors")
    if isinstance(ours, dict) and ours.get("stand_in") and "W_dec" in tensors:
        penalty, layers = float(ours.get("penalty", 0)), tuple(ours.get("layers", ()))
        origin = replace(origin, form=PLAIN, penalty=penalty, layers=layers)
        decoder = _rows(path, "W_dec", tensors["W_dec"], width, rows_first=True)
        return ImportedDictionary(origin, {"W_dec": decoder})
    return _autoencoder(path, width, origin, tensors, encoder_rows_first=False)


def _write_saelens(bundle: Bundle, imported: ImportedDictionary, folder: Path) -> None:
    origin, tensors = imported.origin, dict(imported.tensors)
    factors, width = tensors["W_dec"].shape
    tensors.setdefault("b_dec", np.zeros(width, np.float32))
    form = origin.form
    if form == PLAIN:  # SAELens knows only autoencoders: one step of the solver from zero
        penalty = bundle.manifest["coding"]["penalty"]
        tensors |= {"W_enc": imported.atoms, "b_enc": np.full(factors, -penalty, np.float32)}
        form = "standard"
    elif form == "batchtopk":  # at inference a BatchTopK is a JumpReLU, and SAELens saves it so
        form = "jumprelu"
    tensors["W_enc"] = np.ascontiguousarray(tensors["W_enc"].T)
    coding = bundle.manifest["coding"]
    config: dict[str, Any] = {
        "architecture": form,
        "d_in": width,
        "d_sae": factors,
        "dtype": origin.dtype if origin.dtype != "float64" else "float32",
        "device": "cpu",
        "apply_b_dec_to_input": origin.centred,
        "normalize_activations": "none" if origin.scale == "none" else "expected_average_only_in",
        "reshape_activations": "none",
        "metadata": {
            "model_name": bundle.manifest["model"]["name"],
            "hook_name": _hook_of_layer(bundle.layers[0]) if len(bundle.layers) == 1 else None,
            "tfactors": {
                "stand_in": origin.form == PLAIN,  # the encoder is one step towards the code
                "penalty": coding["penalty"],
                "scale": coding["scale"],
                "layers": bundle.layers,
            },
        },
    }
    if form == "topk":
        config |= {"k": origin.k, "rescale_acts_by_decoder_norm": origin.rescaled}
    folder.mkdir(parents=True, exist_ok=True)
    _save_tensors(folder / SAELENS_WEIGHTS, tensors, config["dtype"])
    (folder / "cfg.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")


# --- sparsify: cfg.json + sae.safetensors -------------------------------------------------------


def _read_sparsify(path: Path, width: int, form: str) -> ImportedDictionary:
    config = _config(path.with_name("cfg.json"))
    tensors, dtype, _ = _load_tensors(path)
    for name in ("transcode", "skip_connection", "embed_skip", "gram_lookup"):
        _refuse(path, config, name, (None, False))
    _refuse(path, config, "activation", (None, "topk"))
    renamed = {"encoder.weight": "W_enc", "encoder.bias": "b_enc"}
    found = {renamed.get(name, name): values for name, values in tensors.items()}
    # The folder carries the hook point: layers.5, or h.5, is the output of block 5.
    hook = re.fullmatch(r"(?:.*\.)?(?:layers?|h|blocks?)\.(\d+)", path.parent.name)
    origin = Origin(
        "sparsify", path.parent.name, _sha256(path), "topk", dtype, int(config.get("k") or 0),
        layers=(int(hook[1]) + 1,) if hook else (),
    )  # fmt: skip
    return _autoencoder(path, width, origin, found, encoder_rows_first=True)


# --- dictionary_learning: ae.pt, and config.json beside it --------------------------------------


def _read_torch(path: Path, width: int, form: str) -> ImportedDictionary:
    tensors, dtype = _load_torch(path)
    trainer: dict[str, Any] = {}
    if (beside := path.with_name("config.json")).is_file():
        trainer = _config(beside).get("trainer") or {}
    names, found = set(tensors), dict(tensors)
    k, centred, encoder_rows_first = int(found.pop("k", np.zeros(()))), True, True
    dictionary_class = str(trainer.get("dict_class", ""))
    if "decoder_bias" in names:
        kind, centred = "gated", True
        renamed = {"gate_bias": "b_gate", "mag_bias": "b_mag", "decoder_bias": "b_dec"}
    elif "W_enc" in names and "threshold" in names and "k" not in names:
        kind, centred, encoder_rows_first, renamed = "jumprelu", False, False, {}
    elif {"W_enc", "threshold", "k", "group_sizes"} <= names:
        # A Matryoshka autoencoder is a BatchTopK one that was trained on nested parts of itself.
        kind, encoder_rows_first, renamed = "batchtopk", False, {}
        del found["group_sizes"]
    elif "k" in names and "encoder.weight" in names:
        kind = form or ("batchtopk" if "BatchTopK" in dictionary_class else "")
        kind = kind or ("topk" if "TopK" in dictionary_class else "")
        if kind not in ("topk", "batchtopk"):
            raise InputError(
                f"{path}: TopK and BatchTopK look alike without the config.json that was saved "
                "with them; put it beside the file, or give --form topk or --form batchtopk"
            )
        if kind == "topk":
            found.pop("threshold", None)
        renamed = {}
    elif "decoder.bias" in names:
        kind, centred, renamed = "standard", False, {"decoder.bias": "b_dec"}
    else:
        kind, renamed = "standard", {"bias": "b_dec"}
    renamed |= {"encoder.weight": "W_enc", "encoder.bias": "b_enc", "decoder.weight": "W_dec"}
    found = {renamed.get(name, name): values for name, values in found.items()}
    hook = re.fullmatch(r"resid_(pre|post)_layer_(\d+)", str(trainer.get("submodule_name", "")))
    origin = Origin(
        "dictionary_learning", path.parent.name, _sha256(path), kind, dtype, k, centred,
        layers=(int(hook[2]) + (hook[1] == "post"),) if hook else (),
        model=str(trainer.get("lm_name", "")),
    )  # fmt: skip
    return _autoencoder(
        path, width, origin, found, encoder_rows_first, decoder_rows_first="W_enc" in names
    )


def _load_torch(path: Path) -> tuple[dict[str, np.ndarray], str]:
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
        raise _unreadable(path, error) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(
            f"{path}: not a state_dict of tensors; save the autoencoder's state_dict()"
        )
    dtypes = {str(v.dtype).removeprefix("torch.") for v in state.values() if v.dim() == 2}
    return {n: v.float().numpy() for n, v in state.items()}, min(dtypes, default="float32")


# --- our own .safetensors -----------------------------------------------------------------------


def _read_safetensors(path: Path, width: int, form: str) -> ImportedDictionary:
    tensors, _, metadata = _load_tensors(path)
    if "tfactors" not in metadata:
        raise InputError(
            f"{path}: not written by 'tfactors export'; of SAELens give the folder with "
            f"{SAELENS_WEIGHTS}, of sparsify that with {SPARSIFY_WEIGHTS}"
        )
    try:
        record = json.loads(metadata["tfactors"])
        encoder = {name: record[name] for name in _ENCODER}
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error
    origin = Origin("safetensors", path.name, _sha256(path), **encoder)
    return _autoencoder(path, width, origin, tensors, encoder_rows_first=True)


_Reader = Callable[[Path, int, str], ImportedDictionary]
_FOLDERS: dict[str, _Reader] = {
    SAELENS_WEIGHTS: _read_saelens,
    SPARSIFY_WEIGHTS: _read_sparsify,
    TORCH_WEIGHTS: _read_torch,
}
_SUFFIXES: dict[str, _Reader] = {
    ".npy": _read_npy,
    ".safetensors": _read_safetensors,
    ".pt": _read_torch,
    ".pth": _read_torch,
}


# --- what the formats share ---------------------------------------------------------------------


def _autoencoder(
    path: Path,
    width: int,
    origin: Origin,
    tensors: dict[str, np.ndarray],
    encoder_rows_first: bool,
    decoder_rows_first: bool | None = None,
) -> ImportedDictionary:
    """Bring the tensors of an autoencoder into our order, and check that they belong together."""
    if origin.form not in TENSORS:
        raise InputError(
            f"{path}: an autoencoder of the form {origin.form!r}; known are {', '.join(TENSORS)}"
        )
    needed = set(TENSORS[origin.form])
    if missing := sorted(needed - tensors.keys()):
        raise InputError(f"{path}: lacks {', '.join(missing)} of a {origin.form} autoencoder")
    if unknown := sorted(tensors.keys() - needed):
        raise InputError(
            f"{path}: holds {', '.join(unknown)}, which no {origin.form} autoencoder has"
        )
    if decoder_rows_first is None:
        decoder_rows_first = origin.format != "dictionary_learning"
    kept = {name: tensors[name] for name in sorted(needed)}
    kept["W_dec"] = _rows(path, "W_dec", kept["W_dec"], width, decoder_rows_first)
    if "W_enc" in kept:
        kept["W_enc"] = _rows(path, "W_enc", kept["W_enc"], width, encoder_rows_first)
    factors = len(kept["W_dec"])
    for name, values in kept.items():
        if name == "threshold" and values.ndim == 0:
            values = kept[name] = np.full(factors, values, np.float32)
        expected = {"W_dec": (factors, width), "W_enc": (factors, width), "b_dec": (width,)}
        if values.shape != expected.get(name, (factors,)):
            raise InputError(
                f"{path}: {name} has shape {values.shape}; expected "
                f"{expected.get(name, (factors,))} beside {factors:,} factors of {width} numbers"
            )
    if origin.form == "topk" and not 0 < origin.k <= factors:
        raise InputError(f"{path}: k is {origin.k}; expected 1 to {factors:,} for TopK")
    return ImportedDictionary(origin, kept)


def _rows(path: Path, name: str, matrix: np.ndarray, width: int, rows_first: bool) -> np.ndarray:
    """Return a matrix with one row a factor; d says which axis that is."""
    if matrix.ndim != 2 or width not in matrix.shape:
        shape = " × ".join(map(str, matrix.shape))
        raise InputError(
            f"{path}: {name} is {shape}, and the model's hidden states have {width} numbers; "
            "import it with the model that it was trained on"
        )
    if matrix.shape[0] != matrix.shape[1]:
        rows_first = matrix.shape[1] == width
    return np.ascontiguousarray(matrix if rows_first else matrix.T)


def _load_tensors(path: Path) -> tuple[dict[str, np.ndarray], str, dict[str, str]]:
    """Return the tensors of a safetensors file as float32, their type, and the file's metadata."""
    import torch  # noqa: F401 - bfloat16, which numpy does not have
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    dtypes = {str(v.dtype).removeprefix("torch.") for v in tensors.values() if v.dim() == 2}
    found = {name: np.array(values.float().numpy()) for name, values in tensors.items()}
    return found, min(dtypes, default="float32"), metadata


def _save_tensors(
    path: Path, tensors: dict[str, np.ndarray], dtype: str, metadata: dict[str, Any] | None = None
) -> None:
    import torch
    from safetensors.torch import save

    kind = getattr(torch, dtype)
    converted = {n: torch.from_numpy(np.array(v)).to(kind) for n, v in tensors.items()}
    said = {key: json.dumps(value) for key, value in (metadata or {}).items()}
    path.write_bytes(save(converted, said))  # save_file would keep the file from other users


def _config(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing; it says what kind of autoencoder this is") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a configuration; expected a JSON object")
    return content


def _refuse(path: Path, config: dict[str, Any], name: str, allowed: tuple[Any, ...]) -> None:
    if config.get(name) not in allowed:
        raise InputError(f"{path}: {name} is {config[name]!r}, which tfactors does not support")


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()
    return InputError(
        f"{path}: damaged or not what its name says ({reason[0] if reason else 'empty'}); "
        "fetch it again"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _float32(matrix: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(matrix, dtype=np.float32)


def _numpy_dtype(name: str) -> str:
    """Return the type to write; numpy has no bfloat16, and float32 holds each of its numbers."""
    return name if name in ("float16", "float32") else "float32"


def _layer_of_hook(name: str) -> tuple[int, ...]:
    """Return the hidden state at a hook of TransformerLens, or () where it is none.

    >>> _layer_of_hook("blocks.8.hook_resid_pre"), _layer_of_hook("blocks.8.hook_resid_post")
    ((8,), (9,))
    """
    found = re.fullmatch(r"blocks\.(\d+)\.hook_resid_(pre|post)", name)
    return (int(found[1]) + (found[2] == "post"),) if found else ()


def _hook_of_layer(layer: int) -> str:
    """Return the TransformerLens name of a hidden state; layer 0 is the input of block 0."""
    return f"blocks.{layer - 1}.hook_resid_post" if layer else "blocks.0.hook_resid_pre"
