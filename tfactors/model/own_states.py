"""Asks a module itself for the hidden states of one text alone: what every reading is held against.

transformers' own forward with ``output_hidden_states``, one text at a time and without padding.
What is no state for each token and layer, or no number, is refused here in one line.
"""

import inspect
from typing import Any

import numpy as np

from tfactors.model.folder import ModelError


def own_states(module: Any, name: str, text: np.ndarray) -> np.ndarray:
    """Return what a module itself says of one text alone, (layers, tokens, width) float32.

    Raises
    ------
    ModelError
        It does not run on a text, or its states are not one of a fixed width for each token.
    """
    kind = type(module).__name__
    try:
        states = _handed_out(module, text)
    except Exception as error:  # whatever the code of a model raises
        reason = (str(error).strip() or type(error).__name__).split("\n")[0][:200]
        precision = str(next(module.parameters()).dtype).removeprefix("torch.")
        whole = precision == "float32"
        better = "give an encoder such as BERT or a decoder such as GPT-2"
        raise ModelError(
            f"model {name!r}: {kind} gives no hidden states of a text of {len(text)} tokens alone"
            f"{'' if whole else f' in {precision}'} ({reason}); "
            f"{better if whole else 'give --dtype float32'}"
        ) from error
    width = states[0].shape[-1]
    for layer, found in enumerate(states):
        # Some pad a text to a window of attention, and hand that out as well.
        fits = found.ndim == 3 and len(found) == 1 and found.shape[2] == width
        if not fits or found.shape[1] < len(text):
            shape = found.shape[1:] if len(found) == 1 else found.shape
            raise ModelError(
                f"model {name!r}: layer {layer} of {kind} has states of shape {shape} "
                f"for {len(text)} tokens; expected ({len(text)}, {width}), one of the width of "
                "its embeddings for each token; give another model"
            )
    return _without_padding(states, text)


def _without_padding(states: list[np.ndarray], text: np.ndarray) -> np.ndarray:
    return np.stack([layer[0, : len(text)] for layer in states])


def stacked_states(module: Any, text: np.ndarray) -> np.ndarray:
    """Return the same unchecked, of a module whose states were checked before."""
    return _without_padding(_handed_out(module, text), text)


def said_once(module: Any, ids: Any, **more: Any) -> Any:
    """Return what a module says of token ids, without what it would keep for the next ones."""
    takes_cache = "use_cache" in inspect.signature(module.forward).parameters
    cache = {"use_cache": False} if takes_cache else {}
    return module(input_ids=ids, **more, **cache)


def _handed_out(module: Any, text: np.ndarray) -> list[np.ndarray]:
    """Return the hidden states that a module hands out for one text alone, (1, tokens, width)."""
    import torch

    ids = torch.from_numpy(text[None]).to(next(module.parameters()).device)
    with torch.inference_mode():
        states = said_once(module, ids, output_hidden_states=True).hidden_states
    if not states or not all(isinstance(layer, torch.Tensor) for layer in states):
        raise TypeError("it hands out none, or several for one layer")
    return [layer.float().cpu().numpy() for layer in states]


def check_numbers(module: Any, name: str, own: list[np.ndarray]) -> None:
    """Raise ModelError where states in float32 are no numbers; half precision may end before."""
    import torch

    lost = [layer for states in own for layer in np.flatnonzero(~np.isfinite(states).all((1, 2)))]
    if lost and next(module.parameters()).dtype == torch.float32:
        raise ModelError(
            f"model {name!r}: its states are NaN or infinite from layer {min(lost)} on, as with "
            "weights that are damaged or of a training that failed; get the model again"
        )
