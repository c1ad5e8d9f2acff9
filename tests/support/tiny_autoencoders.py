"""Autoencoders as three libraries and Gemma Scope save them, from random weights, with the codes
they would give: written from the formulas of their papers in torch, apart from our own numpy code.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

FORMS = ("standard", "topk", "batchtopk", "jumprelu", "gated")
K = 5


def weights(form: str, factors: int, width: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors of an autoencoder, one row a factor: ``W_enc`` reads, ``W_dec`` writes."""
    torch.manual_seed(seed)
    found = {
        "W_enc": torch.randn(factors, width) / width**0.5,
        "W_dec": torch.randn(factors, width),
        "b_dec": torch.randn(width),
    }
    if form == "gated":
        names = ("b_gate", "b_mag", "r_mag")
        return found | {name: 0.3 * torch.randn(factors) for name in names}
    found["b_enc"] = 0.3 * torch.randn(factors)
    if form in ("batchtopk", "jumprelu"):
        found["threshold"] = 0.5 * torch.rand(factors)
    return found


def codes(
    form: str, w: dict[str, torch.Tensor], x: np.ndarray, k: int = K, centred: bool = True
) -> np.ndarray:
    """What the library computes, times the norms of the decoder: coefficients of unit atoms."""
    x = torch.from_numpy(x) - (w["b_dec"] if centred else 0)
    pre = x @ w["W_enc"].T
    if form == "gated":
        found = (pre + w["b_gate"] > 0) * torch.relu(torch.exp(w["r_mag"]) * pre + w["b_mag"])
    else:
        pre = pre + w["b_enc"]
        found = torch.relu(pre)
        if form == "topk":
            top = torch.topk(found, k, dim=1)
            found = torch.zeros_like(found).scatter(1, top.indices, top.values)
        elif form in ("batchtopk", "jumprelu"):
            found = found * (pre > w["threshold"])
    return (found * w["W_dec"].norm(dim=1)).numpy()


def decoded(w: dict[str, torch.Tensor], alpha: np.ndarray) -> np.ndarray:
    """x̂ of coefficients of unit atoms."""
    atoms = w["W_dec"] / w["W_dec"].norm(dim=1, keepdim=True)
    return (torch.from_numpy(alpha) @ atoms + w["b_dec"]).numpy()


def write_saelens(folder: Path, form: str, w: dict[str, torch.Tensor], **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {**w, "W_enc": w["W_enc"].T.contiguous()}
    save_file(tensors, folder / "sae_weights.safetensors")
    factors, width = w["W_dec"].shape
    content = {
        "architecture": form, "d_in": width, "d_sae": factors, "dtype": "float32",
        "apply_b_dec_to_input": True, "normalize_activations": "none",
        "metadata": {"sae_lens_version": "6.12.0", "model_name": "tiny",
                     "hook_name": "blocks.0.hook_resid_post"},
    }  # fmt: skip
    content |= {"k": K} if form == "topk" else {}
    (folder / "cfg.json").write_text(json.dumps(content | config))
    return folder


def write_sparsify(folder: Path, w: dict[str, torch.Tensor], **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "encoder.weight": w["W_enc"],
        "encoder.bias": w["b_enc"],
        "W_dec": w["W_dec"],
        "b_dec": w["b_dec"],
    }
    save_file(tensors, folder / "sae.safetensors")
    content = {
        "activation": "topk",
        "k": K,
        "num_latents": 0,
        "transcode": False,
        "skip_connection": False,
        "d_in": w["W_dec"].shape[-1],
    }
    (folder / "cfg.json").write_text(json.dumps(content | config))
    return folder


def write_dictionary_learning(folder: Path, form: str, w: dict[str, torch.Tensor]) -> Path:
    """``ae.pt`` and ``config.json``; of the standard form the older class, which centres."""
    folder.mkdir(parents=True, exist_ok=True)
    linear = {"encoder.weight": w["W_enc"], "decoder.weight": w["W_dec"].T.contiguous()}
    state = {
        "standard": lambda: linear | {"encoder.bias": w["b_enc"], "bias": w["b_dec"]},
        "topk": lambda: linear | {"encoder.bias": w["b_enc"], "b_dec": w["b_dec"],
                                  "k": torch.tensor(K, dtype=torch.int),
                                  "threshold": torch.tensor(-1.0)},
        "batchtopk": lambda: linear | {"encoder.bias": w["b_enc"], "b_dec": w["b_dec"],
                                       "k": torch.tensor(K, dtype=torch.int),
                                       "threshold": w["threshold"]},
        "jumprelu": lambda: {"W_enc": w["W_enc"].T.contiguous(), "W_dec": w["W_dec"],
                             "b_enc": w["b_enc"], "b_dec": w["b_dec"],
                             "threshold": w["threshold"]},
        "matryoshka": lambda: {"W_enc": w["W_enc"].T.contiguous(), "W_dec": w["W_dec"],
                               "b_enc": w["b_enc"], "b_dec": w["b_dec"],
                               "k": torch.tensor(K, dtype=torch.int), "threshold": w["threshold"],
                               "group_sizes": torch.tensor([4, len(w["W_dec"]) - 4])},
        "gated": lambda: linear | {"decoder_bias": w["b_dec"], "r_mag": w["r_mag"],
                                   "gate_bias": w["b_gate"], "mag_bias": w["b_mag"]},
    }[form]()  # fmt: skip
    torch.save(state, folder / "ae.pt")
    classes = {
        "standard": "AutoEncoder",
        "topk": "AutoEncoderTopK",
        "batchtopk": "BatchTopKSAE",
        "jumprelu": "JumpReluAutoEncoder",
        "matryoshka": "MatryoshkaBatchTopKSAE",
        "gated": "GatedAutoEncoder",
    }
    trainer = {
        "dict_class": classes[form],
        "layer": 1,
        "lm_name": "tiny",
        "submodule_name": "resid_post_layer_1",
    }
    (folder / "config.json").write_text(json.dumps({"trainer": trainer}))
    return folder


def write_gemma_2(folder: Path, w: dict[str, torch.Tensor]) -> Path:
    """``params.npz``, as Gemma Scope has it in ``layer_20/width_16k/average_l0_71``."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: values.numpy() for name, values in w.items()}
    np.savez(folder / "params.npz", **tensors | {"W_enc": tensors["W_enc"].T})
    return folder


def write_gemma_3(folder: Path, w: dict[str, torch.Tensor], **config: object) -> Path:
    """``params.safetensors`` and ``config.json``, as Gemma Scope 2 has them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name.replace("W_", "w_"): values for name, values in w.items()}
    save_file(tensors | {"w_enc": w["W_enc"].T.contiguous()}, folder / "params.safetensors")
    content = {
        "architecture": "jump_relu",
        "model_name": "tiny",
        "type": "sae",
        "hf_hook_point_in": "model.layers.0.output",
    }
    (folder / "config.json").write_text(json.dumps(content | config))
    return folder
