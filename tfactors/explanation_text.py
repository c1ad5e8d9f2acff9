"""Explanations of one activation go in, words come out.

One sentence says what is known of a map, in the terminal and on the pages. The table for a terminal
has a line for each token that the model saw: for each method the weight, its standard error where
there is one, and a star where it can be told from zero.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfactors.whole_words import spelled

if TYPE_CHECKING:
    from tfactors.saliency import Explanation

TITLES = {"lime": "LIME", "occlusion": "Occlusion"}


def in_words(method: str, texts: int, score: float, stability: float, told: int | None) -> str:
    """Return what is known of a map in one sentence.

    ``score`` is said of LIME alone, ``stability`` where it is finite, and ``told`` (how many tokens
    can be told from zero) where it is known.

    >>> in_words("lime", 97, 0.82, 0.66, 6)
    'LIME: score 0.82, 97 texts read, two halves of them agree to 0.66, 6 tokens told from zero'
    >>> in_words("occlusion", 34, 0.0, float("nan"), 1)
    'Occlusion: 34 texts read, 1 token told from zero'
    """
    parts = [f"score {score:.2f}"] if method == "lime" else []
    parts.append(f"{texts:,} texts read")
    if np.isfinite(stability):
        parts.append(f"two halves of them agree to {stability:.2f}")
    if told is not None:
        parts.append(f"{told} token{'s' if told != 1 else ''} told from zero")
    return f"{TITLES[method]}: {', '.join(parts)}"


def described(found: "Sequence[Explanation]") -> str:
    """Return explanations of one activation side by side, with how far they agree.

    Args:
        found: one or two, of the same token of the same text; the first says what is explained.
    """
    first = found[0]
    lines = [
        f"factor {first.factor} at layer {first.layer} on "
        f"{spelled(first.tokens[first.position])!r}: activation {first.activation:.3f}"
    ]
    for one in found:
        told = int(one.significant.sum())
        lines.append(in_words(one.method, one.samples, one.score, one.stability, told))
    for other in found[1:]:
        lines.append(f"the two agree to {first.agreement(other):.3f} (correlation of weights)")
    lines.append("* told from zero: beyond 3 standard errors and 10% of the activation")
    start, stop = min(one.context[0] for one in found), max(one.context[1] for one in found)
    for at in range(start, stop):
        mark = ">" if at == first.position else " "
        cells = "".join(_cell(one, at) for one in found)
        lines.append(f"{cells} {mark}{spelled(first.tokens[at])}")
    return "\n".join(lines)


def _cell(one: "Explanation", at: int) -> str:
    error = f" ± {one.errors[at]:5.3f}" if one.errors.any() else ""
    return f"{one.weights[at]:+8.3f}{error} {'*' if one.significant[at] else ' '} "
