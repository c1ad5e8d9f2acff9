"""The words that a factor answers to at a layer: as a column of HTML, and as its habits."""

import numpy as np

from tfactors.bundle import Bundle
from tfactors.display import passages
from tfactors.portrait.selected import Selected

_WORDS = 7


def column_html(selected: Selected, layer: int) -> str:
    """Return the column of one layer: its strength, its words with a bar and a share."""
    overview, abilities = selected.overview, selected.bundle.abilities
    column = overview.layer_index(layer)
    maximum = overview.maximum[selected.factor, column]
    strength = f"importance {overview.importance[selected.factor, column]:.2f}"
    if not abilities.whole_words:  # the maximum is the number of examples
        strength = f"{maximum:.0f} examples"
    here = " tf-here" if layer == selected.layer else ""
    nothing = f"<li>{'silent' if abilities.silence else 'no page'}</li>"
    rows = _rows_html(selected, layer, maximum) if maximum else ""
    return (
        f'<section class="tf-column{here}"><h4>Layer {layer}</h4>'
        f'<p class="tf-sub">{strength}</p><ol>{rows or nothing}</ol></section>'
    )


def _rows_html(selected: Selected, layer: int, maximum: float) -> str:
    words = selected.bundle.words(selected.factor, layer)
    count, word = words["count"].to_numpy(), words["word"].to_numpy()
    if selected.bundle.abilities.whole_words:
        carried = count * words["mean_activation"].to_numpy()
        answered = count / words["occurrences"].to_numpy()
    else:
        carried = answered = count / maximum
    strongest = np.argsort(-carried, kind="stable")[:_WORDS]
    return "".join(
        f'<li style="--w:{carried[at] / carried[strongest[0]]:.3f}">'
        f"<bdi>{passages.escape(word[at])}</bdi><span>{answered[at]:.0%}</span></li>"
        for at in strongest
    )


def usual_activations(bundle: Bundle, factor: int, layer: int) -> dict[str, float]:
    """Return what the factor answers to as a rule: mean activation over all tokens of a word,
    those that leave it silent among them, as a share of the word with the largest.
    """
    if not bundle.abilities.whole_words:
        return {}
    words = bundle.words(factor, layer)
    mean = words["mean_activation"] * words["count"] / words["occurrences"]
    return dict(zip(words["word"], (mean / mean.max()).astype(float), strict=True))
