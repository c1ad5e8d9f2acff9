"""What a search leaves out: filters on level, peak layer, density and quality.

Turns the numbers of factors into a mask of those that pass the filters of the page. A filter on a
number that the bundle does not have says so and lets every factor pass.
"""

import numpy as np
import streamlit as st

from tfactors.app.frame import controls, store, url_state
from tfactors.app.parts import selection
from tfactors.bundle import Bundle
from tfactors.portrait import definitions, level_rule


def sidebar(bundle: Bundle) -> None:
    """Draw the filters beyond level and peak layer, which stand beside the search."""
    with st.sidebar, st.expander("Filter", expanded=True, icon=":material/filter_alt:"):
        if not bundle.abilities.filters:
            st.caption(bundle.abilities.filters.why_not)
            return
        st.selectbox(
            "Density at the peak",
            list(controls.DENSITIES),
            format_func=_density_range,
            help=definitions.DENSITY,
            **url_state.widget(controls.DENSITY),
        )
        labels = bundle.factors["label_kind"].notna().any()
        if labels:
            st.selectbox(
                "Kind of label",
                controls.KINDS,
                format_func=lambda kind: kind or "any",
                help=definitions.LABEL_KIND,
                **url_state.widget(controls.LABEL_KIND),
            )
            for control, label, tip in (
                (controls.LEAST_PRECISION, "Precision of the label", definitions.LABEL_PRECISION),
                (controls.LEAST_RECALL, "Recall of the label", definitions.LABEL_RECALL),
            ):
                st.slider(
                    f"{label}, at least",
                    0.0,
                    1.0,
                    step=0.05,
                    format="percent",
                    help=tip,
                    **url_state.widget(control),
                )
        else:
            st.caption("This bundle has no scored labels; a newer build makes them.")
        if bundle.factors["stability"].notna().any():
            st.slider(
                "Stability, at least",
                0.0,
                1.0,
                step=0.05,
                help=definitions.STABILITY,
                **url_state.widget(controls.LEAST_STABILITY),
            )
        else:
            st.caption("Stability was not measured: that takes a second dictionary.")


def passes_filters(bundle: Bundle, factors: np.ndarray) -> np.ndarray:
    """Return for each of these factors whether it passes all filters, (n,) bool."""
    rows = bundle.factors.iloc[factors]
    passes = np.ones(len(factors), bool)
    if level := url_state.value_of(controls.SEARCH_LEVEL):
        passes &= level_rule.levels_in_force(rows, selection.thresholds_in_force(bundle)) == level
    if (peak := url_state.value_of(controls.SEARCH_PEAK)) != controls.PEAK:
        passes &= rows["peak_layer"].to_numpy() == peak
    if chosen := url_state.value_of(controls.DENSITY):
        low, high = controls.DENSITIES[chosen]
        overview = store.overview(bundle)
        at = overview.importance[factors].argmax(axis=1)
        density = overview.density[factors, at]
        passes &= (density >= low) & (density <= high if high == 1 else density < high)
    if kind := url_state.value_of(controls.LABEL_KIND):
        passes &= (rows["label_kind"] == kind).to_numpy(bool)
    for control, column in (
        (controls.LEAST_PRECISION, "label_precision"),
        (controls.LEAST_RECALL, "label_recall"),
        (controls.LEAST_STABILITY, "stability"),
    ):
        least = url_state.value_of(control)
        if least > 0 and bundle.factors[column].notna().any():
            passes &= (rows[column] >= least).fillna(False).to_numpy(bool)
    return passes


def _density_range(name: str) -> str:
    low, high = controls.DENSITIES[name]
    return f"{name}: {low * 100:g} to {high * 100:g}%" if name else "any"
