"""Turns what enters a block of BERT's kind into its output at one position of each text.

The other positions are not computed. In the last block that runs, a target at position p needs the
keys and values of all tokens and only its own query. So with all projections d × d and the
feed-forward part 8 d² wide,

    2 d² of 12 d² products a token are left        (keys and values)

BERT, RoBERTa, XLM-RoBERTa and ELECTRA build a block from the same named parts; other blocks are run
whole.
"""

from typing import Any

_KINDS = ("BertLayer", "RobertaLayer", "XLMRobertaLayer", "ElectraLayer")


def has_target_row(block: Any) -> bool:
    """Whether `target_row` knows the parts of this block."""
    known = type(block).__name__ in _KINDS and not block.is_decoder
    return known and all(
        type(getattr(block.attention.self, name, None)).__name__ in ("Linear", "PackedLinear")
        for name in ("query", "key", "value")
    )


def target_row(block: Any, states: Any, mask: Any, positions: Any) -> Any:
    """Return the output of a block at one position of each text.

    Parameters
    ----------
    block : torch Module
        One for which `has_target_row` holds.
    states : (texts, tokens, width) tensor
        What enters it.
    mask : tensor or None
        Attention mask as the block is given it, broadcast to (texts, heads, tokens, tokens).
    positions : (texts,) tensor
        The position of each.

    Returns
    -------
    (texts, 1, width) tensor
    """
    import torch

    attention, rows = block.attention.self, torch.arange(len(states), device=states.device)
    at_target = states[rows, positions][:, None]

    def by_head(values: Any) -> Any:
        heads = attention.num_attention_heads, attention.attention_head_size
        return values.view(*values.shape[:2], *heads).transpose(1, 2)

    if mask is not None:
        whole = mask.expand(len(states), -1, states.shape[1], -1)
        mask = whole[rows, :, positions][:, :, None]
    attended = torch.nn.functional.scaled_dot_product_attention(
        by_head(attention.query(at_target)),
        by_head(attention.key(states)),
        by_head(attention.value(states)),
        mask,
    )
    attended = attended.transpose(1, 2).reshape(at_target.shape[0], 1, -1)
    mixed = block.attention.output(attended, at_target)
    return block.output(block.intermediate(mixed), mixed)
