"""Turns last hidden states into logits, by the head of a model that was saved with one.

A bundle needs the body of a model alone, and that is what `tfactors.model.hidden_states` loads.
Some models were saved whole (config.json names the class, which transformers lists for masked or
causal language models); sentence encoders such as MiniLM were not, and nothing can be said of their
logits. What stands between the body and the logits has another form in every family, so it is not
taken out: the whole model runs, and its body answers with the states that it is given. That this
gives the model's own logits is tried once; some call only a part of their body (OPT its decoder).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tfactors.model.folder import hub_folder, local_folder
from tfactors.model.loading import model_config, module_of, quiet_transformers
from tfactors.model.memory import check_memory
from tfactors.model.own_states import said_once
from tfactors.model.weights import stored_tensors, weight_files

TRIED = 8  # tokens of which the logits are compared with the model's own


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
    if auto is None or config.is_encoder_decoder:  # whose head is the decoder's
        return None, saved_as
    try:
        weights = weight_files(folder, name)
        check_memory(stored_tensors(weights, name), dtype, name, torch.device(device))
        with quiet_transformers():
            model, lacking = module_of(auto, config, weights, name, dtype)
        if any("pooler" not in key for key in lacking):
            return None, saved_as
        head = _proved_head(model.eval().requires_grad_(False))
        if head is not None:
            model.to(device)  # without the blocks, of which the device may hold one copy alone
    except Exception:  # whatever the code of a model raises
        return None, saved_as
    return head, saved_as


def _proved_head(model: Any) -> _Head | None:
    """Return the head that gives a model's own logits of its own last states; None if none does."""
    import torch

    body, embeddings = model.base_model, model.get_input_embeddings()
    ids = (10 + torch.arange(TRIED)[None]) % embeddings.weight.shape[0]
    with torch.inference_mode():
        states = said_once(body, ids)[0][0].float().numpy()
        own = said_once(model, ids).logits[0].float().numpy()
    apart = max(1e-4, 20 * torch.finfo(model.dtype).eps) * np.abs(own).max()
    for part in (body, getattr(body, "decoder", None)):
        if part is None:
            continue
        head = _Head(model, part)
        if np.abs(head(states) - own).max() <= apart:
            head.drop_blocks(embeddings)
            return head
        del part.forward  # the class's own is back
    return None


@cache  # transformers keeps every such class that is ever made
def _answers() -> Any:
    """Return the class of what a body answers that has last states and nothing else to say."""
    from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

    class Answer(BaseModelOutputWithPoolingAndCrossAttentions):
        def __getattr__(self, name: str) -> None:
            """Have nothing, where a model asks for more than it needs."""
            if name.startswith("_"):
                raise AttributeError(name)

    return Answer


class _Head:
    """A model whose body, or a part of it, was replaced by the states that it is called with."""

    def __init__(self, model: Any, body: Any) -> None:
        self._model, self._body, self._given = model, body, threading.local()
        body.forward = self._answer

    def drop_blocks(self, embeddings: Any) -> None:
        """Let go of all parts of the body but that with the embeddings, which a head may read."""
        for name, part in list(self._body.named_children()):
            if all(module is not embeddings for module in part.modules()):
                setattr(self._body, name, None)

    def _answer(self, *_: Any, **__: Any) -> Any:
        return _answers()(last_hidden_state=self._given.states)

    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Logits (n, vocabulary) of last states (n, d)."""
        import torch

        device = self._model.device
        self._given.states = torch.from_numpy(states)[None].to(device, self._model.dtype)
        ids = torch.zeros((1, len(states)), dtype=torch.int64, device=device)
        with torch.inference_mode():
            return said_once(self._model, ids).logits[0].float().cpu().numpy()
