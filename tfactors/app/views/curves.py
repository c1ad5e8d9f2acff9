"""Importance curves of a few factors over the band of all, and the way from a point to its factor.

Draws the chosen factors, up to twelve, in one chart, and offers its numbers as files.
"""

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, store, url_state
from tfactors.app.parts import chart_clicks, downloads, option_buttons, selection, showcase
from tfactors.app.views import curves_charts
from tfactors.bundle import Bundle

# With more factors than this the menu does not list them all: type a number instead.
_LISTED = 4000
_KEY = "control_factors"


def show(bundle: Bundle) -> None:
    """Draw the choice of factors, their curves and the download."""
    chosen = url_state.value_of(controls.CURVE_FACTORS) or tuple(
        sorted(best[0] for best in showcase.factors_by_level(bundle).values())
    )
    names = {factor: selection.factor_name(bundle, factor) for factor in chosen}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _choose(bundle, chosen)
        option_buttons.show(
            "Scale",
            controls.SCALE,
            controls.SCALES,
            tip="A share of its own peak compares the shapes of factors of different strength.",
        )
    overview, scale = store.overview(bundle), url_state.value_of(controls.SCALE)
    if unknown := [factor for factor in chosen if not overview.has_curve[factor]]:
        st.caption(f"Factor {', '.join(map(str, unknown))}: {bundle.abilities.curves.why_not}")
        chosen = tuple(factor for factor in chosen if factor not in unknown)
    by_peak = scale == "peak"
    values = overview.share_of_peak if by_peak else overview.importance
    event = curves_charts.importance_curves(
        overview.band_of_peak if by_peak else overview.band,
        {factor: values[factor] for factor in chosen},
        names,
        "share of its own peak" if by_peak else "importance",
        key="curves",
        alt=f"{controls.SCALES[scale]} over the layers of the factors {', '.join(names.values())}, "
        "before a grey band that holds 90% of all factors.",
    )
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.caption(
            "Click a point to open that factor at that layer. The grey band holds 90% of all "
            "factors, the dashed line their median."
        )
        downloads.show(lambda: _table(overview, chosen), "importance")
    if point := chart_clicks.clicked_point(event, "curves"):
        shell.open_page(
            controls.FACTOR_PAGE,
            {controls.FACTOR: int(point["factor"]), controls.LAYER: int(point["layer"])},
        )


def _choose(bundle: Bundle, chosen: tuple[int, ...]) -> None:
    if st.session_state.get(_KEY) != list(chosen):
        st.session_state[_KEY] = list(chosen)
    listed = range(bundle.n_factors) if bundle.n_factors <= _LISTED else chosen
    names = selection.factor_names(bundle)["name"].to_numpy()
    st.multiselect(
        f"Factors (up to {controls.MOST_CURVES}): type a number or a word",
        list(listed),
        format_func=lambda factor: names[factor] if isinstance(factor, int) else str(factor),
        max_selections=controls.MOST_CURVES,
        accept_new_options=True,
        key=_KEY,
        on_change=_chosen,
        args=(bundle,),
        select_all=False,
    )


def _chosen(bundle: Bundle) -> None:
    """Take numbers that were typed; say what could not be found."""
    numbers, unknown = [], []
    for value in st.session_state[_KEY]:
        number = int(value) if str(value).isascii() and str(value).isdigit() else -1
        if 0 <= number < bundle.n_factors:
            numbers.append(number)
        else:
            unknown.append(str(value)[:40])
    url_state.set_controls(
        {controls.CURVE_FACTORS: tuple(dict.fromkeys(numbers))[: controls.MOST_CURVES]}
    )
    for value in unknown:
        url_state.add_notice(
            f"“{value}” is not a factor of this bundle: they are 0 to {bundle.n_factors - 1:,}."
        )


def _table(overview: store.Overview, chosen: tuple[int, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (
                factor,
                layer,
                overview.importance[factor, i],
                overview.density[factor, i],
                overview.maximum[factor, i],
            )
            for factor in chosen
            for i, layer in enumerate(overview.bundle.layers)
        ],
        columns=["factor", "layer", "importance", "density", "maximum"],
    )
