"""Turns the dictionary of a bundle into files of other tools: SAELens, numpy, our safetensors.

An imported dictionary is written with the bits it was read with. One that was learnt here has no
encoder; SAELens needs one, so one step towards the code is written, relu(z·Φᵀ − λ).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.coding.imported_dictionary import PLAIN, ImportedDictionary, Origin
from tfactors.errors import InputError
from tfactors.files import replacing, replacing_folder
from tfactors.interchange.dictionaries import ENCODER, SAELENS_WEIGHTS
from tfactors.interchange.saelens import SAELENS_SCALES

if TYPE_CHECKING:
    from tfactors.bundle import Bundle


EXPORTS = ("saelens", "npy", "safetensors")


def write_dictionary_file(bundle: Bundle, path: str | Path, format: str) -> None:
    """Write the dictionary of a bundle for other tools: ``saelens``, ``npy`` or ``safetensors``.

    An imported one is written with the bits it was read with. A dictionary that was learnt here has
    no encoder; SAELens needs one, so one step towards the code is written, relu(z·Φᵀ − λ).

    Parameters
    ----------
    bundle : Bundle
        Whose dictionary is written.
    path : str or Path
        The file, or for ``saelens`` the folder.
    format : str
        One of EXPORTS.

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
    imported = (
        ImportedDictionary.from_record(
            bundle.imported, bundle.dictionary, bundle.imported_tensors()
        )
        if bundle.imported
        else _learnt(bundle)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(path) if format == "saelens" else replacing(path) as temporary:
        _write(bundle, imported, temporary, format)


def _write(bundle: Bundle, imported: ImportedDictionary, path: Path, format: str) -> None:
    """Write a file or a folder that is put into its place when it is whole."""
    if format == "npy":
        columns = np.ascontiguousarray(imported.tensors["W_dec"].T)
        with path.open("wb") as file:
            np.save(file, columns.astype(_numpy_dtype(imported.origin.dtype)), allow_pickle=False)
    elif format == "safetensors":
        record = {name: getattr(imported.origin, name) for name in ENCODER}
        record["penalty"] = bundle.about.coding.penalty
        record["refit"] = bundle.about.coding.refit
        _save_tensors(path, imported.tensors, imported.origin.dtype, {"tfactors": record})
    else:
        _write_saelens(bundle, imported, path)


def _learnt(bundle: Bundle) -> ImportedDictionary:
    """Return a dictionary that was learnt here as one that could be imported again."""
    about = bundle.about
    scale = "none" if set(bundle.scale.values()) == {1.0} else "unit"
    origin = Origin(
        "tfactors",
        bundle.path.name,
        "",
        scale="state" if about.coding.scale_by == "state" else scale,
        baseline=about.baseline.kind if about.baseline else "none",
        marks=about.model.marks,
        bos=about.model.bos,
        refit=about.coding.refit,
        penalty=about.coding.penalty,
    )
    return ImportedDictionary(origin, {"W_dec": bundle.dictionary})


def _write_saelens(bundle: Bundle, imported: ImportedDictionary, folder: Path) -> None:
    """Write the folder that SAELens saves: weights, and cfg.json beside them."""
    origin, tensors = imported.origin, dict(imported.tensors)
    factors, width = tensors["W_dec"].shape
    tensors.setdefault("b_dec", np.zeros(width, np.float32))
    form = origin.form
    if form == PLAIN:  # SAELens knows only autoencoders: one step of the solver from zero
        penalty = bundle.about.coding.penalty
        tensors |= {"W_enc": imported.atoms, "b_enc": np.full(factors, -penalty, np.float32)}
        form = "standard"
    elif form == "batchtopk":  # at inference a BatchTopK is a JumpReLU, and SAELens saves it so
        form = "jumprelu"
    tensors["W_enc"] = np.ascontiguousarray(tensors["W_enc"].T)
    coding = bundle.about.coding
    config: dict[str, Any] = {
        "architecture": form,
        "d_in": width,
        "d_sae": factors,
        "dtype": origin.dtype if origin.dtype != "float64" else "float32",
        "device": "cpu",
        "apply_b_dec_to_input": origin.centred,
        "normalize_activations": SAELENS_SCALES[origin.scale],
        "reshape_activations": "none",
        "metadata": {
            "model_name": bundle.about.model.name,
            "hook_name": _hook_of_layer(bundle.layers[0]) if len(bundle.layers) == 1 else None,
            "prepend_bos": origin.bos,
            **({"context_size": origin.context} if origin.context else {}),
            "tfactors": {
                "stand_in": origin.form == PLAIN,  # the encoder is one step towards the code
                "penalty": coding.penalty,
                "scale": dict(coding.scale),
                "baseline": origin.baseline,
                "layers": bundle.layers,
                "marks": origin.marks,
                "refit": coding.refit,
            },
        },
    }
    if form == "topk":
        config |= {"k": origin.k, "rescale_acts_by_decoder_norm": origin.rescaled}
    folder.mkdir(parents=True, exist_ok=True)
    _save_tensors(folder / SAELENS_WEIGHTS, tensors, config["dtype"])
    (folder / "cfg.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def _save_tensors(
    path: Path, tensors: dict[str, np.ndarray], dtype: str, metadata: dict[str, Any] | None = None
) -> None:
    """Write a safetensors file of one type, with metadata as JSON."""
    import torch
    from safetensors.torch import save

    torch_type = getattr(torch, dtype)
    converted = {n: torch.from_numpy(np.array(v)).to(torch_type) for n, v in tensors.items()}
    header = {key: json.dumps(value) for key, value in (metadata or {}).items()}
    path.write_bytes(save(converted, header))  # save_file would keep the file from other users


def _numpy_dtype(name: str) -> str:
    """Return the type to write; numpy has no bfloat16, and float32 holds each of its numbers."""
    return name if name in ("float16", "float32") else "float32"


def _hook_of_layer(layer: int) -> str:
    """Return the TransformerLens name of a hidden state; layer 0 is the input of block 0."""
    return f"blocks.{layer - 1}.hook_resid_post" if layer else "blocks.0.hook_resid_pre"
