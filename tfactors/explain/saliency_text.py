"""Explanations of one activation as a table for a terminal.

Turns explanations into lines of text, one a token that the model saw: for each method the weight,
its standard error where there is one, and a star where it can be told from zero.
"""

from collections.abc import Sequence

from tfactors.display.text import in_words
from tfactors.explain.saliency import Explanation
from tfactors.text.words import spelled


def described(found: Sequence[Explanation]) -> str:
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


def _cell(one: Explanation, at: int) -> str:
    error = f" ± {one.errors[at]:5.3f}" if one.errors.any() else ""
    return f"{one.weights[at]:+8.3f}{error} {'*' if one.significant[at] else ' '} "
