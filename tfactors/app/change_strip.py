"""A text with every token tinted by how much its final state changed; HTML.

In go tokens and their changes (shares of the length of each final state). A full tint is the
largest change of a token that was not moved itself, whose own would make all others look faint.
Every token is escaped.
"""

from collections.abc import Sequence

import numpy as np

from tfactors.app import passages


def full_tint(change: np.ndarray, moved: Sequence[int]) -> float:
    """Return the change that a full tint stands for."""
    others = np.delete(change, list(moved))
    return float(others.max(initial=0.0)) or float(np.max(change, initial=0.0))


def strip(tokens: Sequence[str], change: np.ndarray, moved: Sequence[int]) -> str:
    """Return the text; the tokens whose states were moved are boxed."""
    full = full_tint(change, moved)
    marked = set(moved)
    parts = []
    for at, (token, value) in enumerate(zip(tokens, change.tolist(), strict=True)):
        body = token.lstrip()
        space = passages.escape(token[: len(token) - len(body)])
        share = min(value / full, 1.0) if full > 0 else 0.0
        classes = "tf-plus tf-moved" if at in marked else "tf-plus"
        written = passages.escape(passages.shorten(body, passages.LONGEST_TOKEN))
        if share < passages.FAINTEST and at not in marked:
            parts.append(space + written)
            continue
        parts.append(
            f'{space}<span class="{classes}" style="--a:{share:.2f}" '
            f'title="its final state changes by {value:.1%}">{written}</span>'
        )
    return f'<p class="tf-strip"><bdi>{"".join(parts).strip()}</bdi></p>'
