"""One position of each text out of a block of BERT's kind, without computing the others.

In the last block that runs, a target at position p needs the keys and values of all tokens and only
its own query, so that with all projections d × d and the feed-forward part 8 d² wide,

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
    """Output of a block at one position of each text, (texts, 1, width).

    Args:
        block: one for which `has_target_row` holds.
        states: (texts, tokens, width) what enters it.
        mask: attention mask as the block is given it, broadcast to (texts, heads, tokens, tokens),
            or None.
        positions: (texts,) the position of each.
    """
    import torch

    own, rows = block.attention.self, torch.arange(len(states), device=states.device)
    at_target = states[rows, positions][:, None]

    def by_head(values: Any) -> Any:
        split = values.view(*values.shape[:2], own.num_attention_heads, own.attention_head_size)
        return split.transpose(1, 2)

    if mask is not None:
        whole = mask.expand(len(states), -1, states.shape[1], -1)
        mask = whole[rows, :, positions][:, :, None]
    attended = torch.nn.functional.scaled_dot_product_attention(
        by_head(own.query(at_target)), by_head(own.key(states)), by_head(own.value(states)), mask
    )
    attended = attended.transpose(1, 2).reshape(at_target.shape[0], 1, -1)
    mixed = block.attention.output(attended, at_target)
    return block.output(block.intermediate(mixed), mixed)
