"""One factor as a reader meets it: headline, level with its reason, curve and numbers.

The pages that show a factor all draw it with these functions, in this order.
"""

import numpy as np
import streamlit as st

from tfactors.app.parts import chart_clicks, figures, model_label
from tfactors.app.parts.selection import (
    Selected,
    has_own_name,
    name_words,
)
from tfactors.portrait import definitions, summary


def headline(selected: Selected) -> None:
    """Draw number, words, level and why it has this level."""
    words = name_words(selected.bundle, selected.factor)
    named = has_own_name(selected.bundle, selected.factor)
    by_model = model_label.header_html(selected.bundle, selected.factor)
    st.html(summary.headline(selected, words, named, by_model))


def importance_curve(selected: Selected, name: str = "curve") -> int | None:
    """Draw the importance over the layers; return the layer of a point that was clicked.

    ``name`` tells the curves of a page apart.
    """
    # Altair is slow to import, and the headline need not wait.
    from tfactors.app.parts import factor_charts

    values = selected.overview.importance[selected.factor]
    st.markdown("**Importance by layer**", help=summary.importance_help(selected.bundle))
    if not selected.overview.has_curve[selected.factor]:
        st.caption(selected.bundle.abilities.curves.why_not)
        return None
    key = chart_clicks.key_until_click(name)
    event = factor_charts.importance_curve(
        selected.overview.band,
        values,
        selected.layer,
        selected.level,
        key=key,
        alt="The factor's importance by layer, before a grey band that holds 90% of all factors; "
        "its numbers stand with the headline.",
    )
    point = chart_clicks.clicked_point(event, key, name)
    return int(point["layer"]) if point else None


def activation_histogram(selected: Selected, shown_from: float | None) -> None:
    """Draw how many tokens activate the factor how strongly at this layer."""
    from tfactors.app.parts import factor_charts

    if not selected.bundle.abilities.activations:
        st.caption(selected.bundle.abilities.activations.why_not)
        return
    counts = np.asarray(selected.bundle.histogram(selected.factor, selected.layer))
    st.markdown(
        f"**Activations at layer {selected.layer}**",
        help=definitions.HISTOGRAM,
    )
    if not counts.sum():
        st.caption(f"No token activates this factor at layer {selected.layer}.")
        return
    factor_charts.activation_histogram(
        counts,
        selected.bundle.bin_edges,
        shown_from,
        selected.level,
        alt="Histogram: how many tokens activate the factor how strongly at this layer.",
    )


def numbers(selected: Selected, key: str = "numbers") -> None:
    """Draw the factor's numbers, each with its definition; ``key`` is one of the page's own."""
    if not selected.bundle.abilities.activations:
        return
    figures.show(summary.figures(selected), key)
