"""Turns last hidden states into logits, by the head of a model that was saved with one.

A bundle needs the body of a model alone, and that is what `tfactors.model.hidden_states` loads.
Some models were saved whole (config.json names the class, which transformers lists for masked or
causal language models); sentence encoders such as MiniLM were not, and nothing can be said of their
logits. What stands between the body and the logits has another form in every family, so it is not
taken out: the whole model runs, and its body answers with the states that it is given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from tfactors.model.folder import ModelError, hub_folder, local_folder
from tfactors.model.loading import model_config, module_of, quiet_transformers
from tfactors.model.memory import check_memory
from tfactors.model.weights import stored_tensors, weight_files


def language_head(
    name: str, device: str = "cpu", dtype: str = "float32"
) -> tuple[Callable | None, str]:
    """Return the head of a model and the class it was saved as; None where it has none of use.

    The head takes raw last hidden states, (n, d), and gives logits, (n, vocabulary), both float32,
    whatever it reckons in (``dtype``, as of the body). Only a head whose weights are all there is
    used.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
    from transformers.models.auto import modeling_auto

    folder = local_folder(name) or hub_folder(name)
    config = model_config(folder, name)
    saved_as = (config.architectures or [""])[0]
    kinds: list[tuple[dict, Any]] = [
        (modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES, AutoModelForMaskedLM),
        (modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, AutoModelForCausalLM),
    ]
    auto = next((a for names, a in kinds if names.get(config.model_type) == saved_as), None)
    if auto is None:
        return None, saved_as
    try:
        weights = weight_files(folder, name)
        check_memory(stored_tensors(weights, name), dtype, name, torch.device(device))
        with quiet_transformers():
            model, lacking = module_of(auto, config, weights, name, dtype)
        if any("pooler" not in key for key in lacking):
            return None, saved_as
        head = _Head(model.eval().requires_grad_(False), device)
        head(np.zeros((1, config.hidden_size), np.float32))
    except (ModelError, OSError, ValueError, RuntimeError, AttributeError, TypeError):
        return None, saved_as
    return head, saved_as


class _Head:
    """A model whose body was replaced by the states that it is called with."""

    def __init__(self, model: Any, device: str) -> None:
        body, embeddings = model.base_model, model.get_input_embeddings()
        for name, part in list(body.named_children()):
            if all(module is not embeddings for module in part.modules()):
                setattr(body, name, None)  # a head may read the embeddings, and never the blocks
        body.forward = self._answer
        self._model, self._device, self._given = model.to(device), device, threading.local()

    def _answer(self, *_: Any, **__: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

        return BaseModelOutputWithPoolingAndCrossAttentions(last_hidden_state=self._given.states)

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Logits (n, vocabulary) of last states (n, d)."""
        import torch

        self._given.states = torch.from_numpy(states)[None].to(self._device, self._model.dtype)
        ids = torch.zeros((1, len(states)), dtype=torch.int64, device=self._device)
        with torch.inference_mode():
            return self._model(input_ids=ids).logits[0].float().cpu().numpy()
