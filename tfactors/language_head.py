"""The language-model head of a model, where it was saved with one: last hidden states to logits.

A bundle needs the body of a model alone, and that is what `tfactors.hidden_states` loads. Some
models were saved whole (config.json names the class, such as GPT2LMHeadModel or BertForMaskedLM);
sentence encoders such as MiniLM were not, and nothing can be said of their logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfactors.model_loading import (
    ModelError,
    check_memory,
    hub_folder,
    local_folder,
    quiet_transformers,
    weight_files,
)


def language_head(name: str, device: str = "cpu") -> tuple[Callable | None, str]:
    """Return the head of a model and the class it was saved as; None where it has none of use.

    The head takes raw last hidden states, (n, d), and gives logits, (n, vocabulary), both float32.
    Only a head that is one module beside the body is used, and one whose weights are all there.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    folder = local_folder(name) or hub_folder(name)
    safe = {"local_files_only": True, "trust_remote_code": False}
    saved_as = (AutoConfig.from_pretrained(folder, **safe).architectures or [""])[0]
    masked = saved_as.endswith("ForMaskedLM")
    if not masked and not saved_as.endswith(("LMHeadModel", "ForCausalLM")):
        return None, saved_as
    auto: Any = AutoModelForMaskedLM if masked else AutoModelForCausalLM
    try:
        check_memory(weight_files(folder, name), name, torch.device(device))
        with quiet_transformers():
            model, report = auto.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **safe
            )
    except (ModelError, OSError, ValueError, RuntimeError):
        return None, saved_as
    beside = [part for key, part in model.named_children() if key != model.base_model_prefix]
    if len(beside) != 1 or any("pooler" not in key for key in report["missing_keys"]):
        return None, saved_as
    head = beside[0].eval().requires_grad_(False).to(device)

    def logits(states: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return head(torch.from_numpy(states).to(device)).float().cpu().numpy()

    return logits, saved_as
