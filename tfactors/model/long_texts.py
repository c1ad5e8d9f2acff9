"""How long a text may be for a model to read it as it reads every other.

Some models change with the length of a text. BigBird attends to all of a short text and to parts of
a long one, and after its first short text to all of every text; Reformer draws the parts of a long
text at random, anew each time. Models with two sets of rotary frequencies (``longrope``) take the
second for a whole batch once one text in it is long. Threads share a model, and texts a batch, so
these models read short texts only. Of a model that reads pictures too, the settings for text count.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

# How settings call how many tokens are attended to, of those before one.
_STRONGEST = ("index_topk", "keep_window_size")
# How settings call the places of a text that a model has.
_PLACES = ("max_position_embeddings", "max_seq_len")


def longest_read(config: Any) -> int | None:
    """Return how many tokens of a text a model reads in one way; None where nothing limits it.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> rope = {"rope_type": "longrope", "original_max_position_embeddings": 4096}
    >>> longest_read(SimpleNamespace(max_position_embeddings=131072, rope_parameters=rope))
    4096
    """
    limits = _limits(config) + _limits(getattr(config, "text_config", None))
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=None)


def _limits(config: Any) -> list[Any]:
    """Return all that limits how much of a text is read in one way; none of it has to be there."""
    limits = [getattr(config, name, None) for name in _PLACES]
    if places := getattr(config, "max_encoder_position_embeddings", None):  # LED fills windows
        window = int(np.max(config.attention_window))
        limits.append(places // window * window)
    if getattr(config, "attention_type", None) == "block_sparse":
        limits.append((5 + 2 * config.num_random_blocks) * config.block_size)
    if "lsh" in (getattr(config, "attn_layers", None) or ()):
        limits.append(config.lsh_attn_chunk_length)
    for rope in _ropes(getattr(config, "rope_parameters", None)):
        if rope.get("rope_type") == "longrope":
            limits.append(
                rope.get("original_max_position_embeddings")
                or getattr(config, "original_max_position_embeddings", None)
            )
    return limits


def longest_padded(config: Any) -> int | None:
    """Return up to how many tokens texts of unequal lengths may share a batch; None for any number.

    Some models attend to the strongest few of all places before a token (DeepSeek-V3.2, Doge), and
    with padding in the batch they choose them in another way than without.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> longest_padded(SimpleNamespace(index_topk=2048))
    2048
    """
    configs = (config, getattr(config, "text_config", None))
    numbers = [getattr(part, name, None) for part in configs for name in _STRONGEST]
    return min((number for number in numbers if isinstance(number, int)), default=None)


def attend_fully(module: Any) -> None:
    """Let a model that would do so at its first short text attend to all of every text."""
    if getattr(module, "attention_type", None) == "block_sparse":
        module.set_attention_type("original_full")


def _ropes(parameters: Any) -> Iterator[dict[str, Any]]:
    """Yield settings of rotary positions: one for all layers, or one for each kind of layer."""
    if isinstance(parameters, dict):
        yield parameters
        yield from (part for part in parameters.values() if isinstance(part, dict))
