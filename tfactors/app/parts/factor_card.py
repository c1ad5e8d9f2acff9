"""A factor in a few lines, for a page that shows several."""

import streamlit as st

from tfactors.app.frame import store
from tfactors.app.parts import level_rule, model_label, selection
from tfactors.bundle import Bundle
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display.text import as_html

_LINES = 4
_WORDS = 5


def show(bundle: Bundle, factor: int, level: str) -> None:
    """Draw a factor's words, importance over the layers and strongest examples."""
    layer = selection.peak_layer(bundle, factor)
    words = " · ".join(
        f"<bdi>{passages.escape(word)}</bdi>" for word in selection.name_words(bundle, factor)[:3]
    )
    shares = store.overview(bundle).share_of_peak[factor]
    bars = "".join(
        f'<b{" class=tf-here" if at == layer else ""} style="--h:{share:.3f}"></b>'
        for at, share in zip(bundle.layers, shares, strict=True)
    )
    examples = passages_of(bundle, bundle.examples(factor, layer, _LINES), _WORDS)
    lines = passages.lines(examples, 1.0)
    meaning = level_rule.level_meaning(level, selection.thresholds_in_force(bundle))
    st.html(
        f'<div class="tf-cards"><div class="tf-card">'
        f"<h3>{words}</h3>{model_label.card_html(bundle, factor)}"
        f'<p class="tf-sub">{as_html(meaning.capitalize())}</p>'
        f'<div class="tf-{level}"><div class="tf-spark" role="img" aria-label="importance peaks at '
        f'layer {layer}">{bars}</div></div>'
        f'<p class="tf-sub">peaks at layer {layer} of {bundle.blocks}</p>{lines}</div></div>'
    )
