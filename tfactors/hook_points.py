"""Which hidden state a place in a model is, by the names that libraries of autoencoders give it.

In goes the name of a place, as TransformerLens, transformers, sparsify or dictionary_learning write
it; out comes the index of the hidden state, or nothing where the name says nothing. A place inside
a block (an attention head, the output of an MLP, a layer norm) is no hidden state: its autoencoder
is refused, because its factors would be laid over vectors that it never saw.
"""

from __future__ import annotations

import re
from pathlib import Path

from tfactors.errors import InputError

# blocks.8.hook_resid_pre, model.layers.13.output, transformer.h.5, layers_3: block, place in it.
_BLOCK = re.compile(r"(?:.*\.)?(?:layers?|h|blocks?)[._](\d+)(?:\.(.+))?")
# resid_post_layer_12, mlp_out_layer_3, as dictionary_learning's own scripts name them.
_SUBMODULE = re.compile(r"(\w+)_layer_(\d+)")
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
    if found := _SUBMODULE.fullmatch(place):
        inside, block = found[1], int(found[2])
    elif found := _BLOCK.fullmatch(place):
        inside, block = found[2], int(found[1])
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
