"""Autoencoders in the files of Goodfire, OpenAI and Language-Model-SAEs (Llama Scope), from random
weights, and the codes that those libraries give: their formulas in torch, apart from our own code.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

K = 5
Weights = dict[str, torch.Tensor]


def write_goodfire(folder: Path, w: Weights) -> Path:
    """Two linear layers, as Llama-3.1-8B-Instruct-SAE-l19.pth has them."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "encoder_linear.weight": w["W_enc"],
        "encoder_linear.bias": w["b_enc"],
        "decoder_linear.weight": w["W_dec"].T.contiguous(),
        "decoder_linear.bias": w["b_dec"],
    }
    torch.save(state, folder / "Tiny-Instruct-SAE-l1.pth")
    return folder / "Tiny-Instruct-SAE-l1.pth"


def goodfire_codes(w: Weights, x: torch.Tensor) -> torch.Tensor:
    """``relu(encoder_linear(x))``."""
    return torch.relu(torch.nn.functional.linear(x, w["W_enc"], w["b_enc"]))


def write_openai(folder: Path, w: Weights, activation: str = "TopK", **how: object) -> Path:
    """``autoencoders/6.pt``, with what training counted, as sparse_autoencoder saves it."""
    (folder / "autoencoders").mkdir(parents=True, exist_ok=True)
    factors = len(w["W_dec"])
    state = {
        "pre_bias": w["b_dec"],
        "latent_bias": w["b_enc"],
        "stats_last_nonzero": torch.zeros(factors, dtype=torch.long),
        "latents_activation_frequency": torch.ones(factors),
        "latents_mean_square": torch.zeros(factors),
        "encoder.weight": w["W_enc"],
        "decoder.weight": w["W_dec"].T.contiguous(),
        "activation": activation,
        "activation_state_dict": {"k": K, "postact_fn": "ReLU"} if activation == "TopK" else {},
    }
    state["activation_state_dict"] |= how
    torch.save(state, folder / "autoencoders" / "6.pt")
    return folder / "autoencoders" / "6.pt"


def layer_normed(x: torch.Tensor) -> torch.Tensor:
    """Each state less its mean, over its deviation and a little."""
    x = x - x.mean(dim=-1, keepdim=True)
    return x / (x.std(dim=-1, keepdim=True) + 1e-5)


def openai_codes(w: Weights, x: torch.Tensor, activation: str = "TopK") -> torch.Tensor:
    """Of TopK with normed states, else of relu with raw ones."""
    x = layer_normed(x) if activation == "TopK" else x
    before = torch.nn.functional.linear(x - w["b_dec"], w["W_enc"], w["b_enc"])
    if activation != "TopK":
        return torch.relu(before)
    top = torch.topk(before, k=K, dim=-1)
    return torch.zeros_like(before).scatter(-1, top.indices, torch.relu(top.values))


def write_llama_scope(folder: Path, w: Weights, norm: float, **config: object) -> Path:
    """The folder of 2024: hyperparams.json, lm_config.json, checkpoints/final.safetensors."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    tensors = {
        "encoder.weight": w["W_enc"],
        "encoder.bias": w["b_enc"],
        "decoder.weight": w["W_dec"].T.contiguous(),
        "decoder.bias": w["b_dec"],
    }
    save_file(tensors, folder / "checkpoints" / "final.safetensors")
    content = {
        "hook_point_in": "blocks.0.hook_resid_post",
        "hook_point_out": "blocks.0.hook_resid_post",
        "use_decoder_bias": True,
        "apply_decoder_bias_to_pre_encoder": False,
        "expansion_factor": 8,
        "d_model": w["W_dec"].shape[1],
        "d_sae": len(w["W_dec"]),
        "act_fn": "jumprelu",
        "jump_relu_threshold": 0.3,
        "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": norm, "out": norm},
        "sparsity_include_decoder_norm": True,
        "use_glu_encoder": False,
        "top_k": K,
    }
    (folder / "hyperparams.json").write_text(json.dumps(content | config))
    (folder / "lm_config.json").write_text(json.dumps({"model_name": "tiny", "prepend_bos": True}))
    return folder


def write_newer_llama_scope(folder: Path, w: Weights, norm: float, **config: object) -> Path:
    """The folder since 2025: config.json and sae_weights.safetensors, each factor's threshold."""
    folder.mkdir(parents=True, exist_ok=True)
    place = "blocks.0.hook_resid_post"
    tensors = {
        "W_E": w["W_enc"].T.contiguous(),
        "b_E": w["b_enc"],
        "W_D": w["W_dec"],
        "b_D": w["b_dec"],
        f"dataset_average_activation_norm.{place}": torch.tensor(norm),
    }
    content = {
        "sae_type": "sae",
        "hook_point_in": place,
        "hook_point_out": place,
        "d_model": w["W_dec"].shape[1],
        "expansion_factor": 4,
        "act_fn": "jumprelu",
        "norm_activation": "dataset-wise",
        "sparsity_include_decoder_norm": True,
        "top_k": K,
    } | config
    if content["act_fn"] == "jumprelu":
        tensors["activation_function.log_jumprelu_threshold"] = w["threshold"].log()
    save_file(tensors, folder / "sae_weights.safetensors")
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def llama_scope_codes(w: Weights, x: torch.Tensor, norm: float, threshold: float) -> torch.Tensor:
    """As the library loads the files of 2024: scaled to raw states, then to unit decoders."""
    factor = math.sqrt(x.shape[1]) / norm
    norms = w["W_dec"].norm(dim=1)
    before = torch.nn.functional.linear(x, w["W_enc"], w["b_enc"] / factor) * norms
    return before.where(before > threshold, 0) / norms


def newer_llama_scope_codes(
    w: Weights, x: torch.Tensor, norm: float, act_fn: str = "jumprelu"
) -> torch.Tensor:
    """As it encodes states that were brought to the norm of its training, in the units of those."""
    x = x * math.sqrt(x.shape[1]) / norm
    before = torch.nn.functional.linear(x, w["W_enc"], w["b_enc"])
    weighted = before * w["W_dec"].norm(dim=1)
    if act_fn == "jumprelu":
        return before * (weighted > w["threshold"])
    top = torch.topk(weighted.clamp(min=0), K, dim=1)
    return torch.zeros_like(before).scatter(1, top.indices, before.gather(1, top.indices).relu())
