"""Explanations of one activation as a table for a terminal.

Turns explanations into lines of text, one a token that the model saw: for each method the weight,
its standard error where there is one, and a star where it can be told from zero.
"""

import math
from collections.abc import Sequence

from tfactors.display.text import LONGEST_TOKEN, in_words, shorten
from tfactors.explain.explanation import Explanation
from tfactors.text.words import spelled
from tfactors.visible import visible


def described(explanations: Sequence[Explanation]) -> str:
    """Return explanations of one activation side by side, with how far they agree.

    Parameters
    ----------
    explanations : sequence of Explanation
        One or two, of the same token of the same text; the first says what is explained.
    """
    first = explanations[0]
    lines = [
        f"factor {first.factor} at layer {first.layer} on "
        f"{_shown(first.tokens[first.position])!r}: activation {first.activation:.3f}"
    ]
    for shown in explanations:
        told = int(shown.significant.sum())
        lines.append(in_words(shown.method, shown.samples, shown.score, shown.stability, told))
    for other in explanations[1:]:
        agreement = first.agreement(other)
        if math.isfinite(agreement):  # two tokens at least have weights, and not all the same
            lines.append(f"the two agree to {agreement:.3f} (correlation of weights)")
    lines.append("* told from zero: beyond 3 standard errors and 10% of the activation")
    if first.unmasked:
        places = ", ".join(map(str, first.unmasked[:10]))
        more = ", …" if len(first.unmasked) > 10 else ""
        lines.append(
            f"no mask changes what stands at {places}{more}: it is the token that stands for a "
            "masked one, and its weight says nothing"
        )
    start = min(shown.context[0] for shown in explanations)
    stop = max(shown.context[1] for shown in explanations)
    for at in range(start, stop):
        mark = ">" if at == first.position else " "
        cells = "".join(_cell(shown, at) for shown in explanations)
        lines.append(f"{cells} {mark}{_shown(first.tokens[at])}")
    return "\n".join(visible(line) for line in lines)


def _shown(token: str) -> str:
    """Return a token as the table shows it."""
    return shorten(spelled(token), LONGEST_TOKEN)


def _cell(explanation: Explanation, at: int) -> str:
    """Return the weight of a token, its error where there is one, and its star."""
    error = f" ± {explanation.errors[at]:5.3f}" if explanation.errors.any() else ""
    star = "*" if explanation.significant[at] else " "
    return f"{explanation.weights[at]:+8.3f}{error} {star} "
