"""The row of controls that chooses a factor and a layer, the same on every page that has one."""

import secrets

import numpy as np
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import basket_button, selection, showcase
from tfactors.bundle import Bundle


def choose_factor(bundle: Bundle) -> selection.Selected:
    """Draw number, previous, next, any and layer; return what they select.

    Keys: P and N step through the factors, A draws one, J and K go a layer down and up, B puts it
    into the basket or takes it out.
    """
    factor = url_state.value_of(controls.FACTOR)
    factor = showcase.first_factor(bundle) if factor is None else factor
    selected = selection.select_factor(bundle, factor, url_state.value_of(controls.LAYER))
    peak = selected.row["peak_layer"] if selected.row["peak_layer"] in bundle.layers else "–"
    place = bundle.layers.index(selected.layer)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="toolbar"):
        st.number_input(
            f"Factor, 0 to {bundle.n_factors - 1:,}",
            0,
            bundle.n_factors - 1,
            width=140,
            **url_state.widget(controls.FACTOR, factor),
        )
        st.button("Previous", shortcut="P", on_click=_open_factor, args=(bundle, factor - 1))
        st.button("Next", shortcut="N", on_click=_open_factor, args=(bundle, factor + 1))
        st.button(
            "Any",
            shortcut="A",
            on_click=_open_random_factor,
            args=(bundle,),
            help="A factor drawn at random among the living ones.",
        )
        st.segmented_control(
            "Layer",
            [controls.PEAK, *bundle.layers],
            required=True,
            format_func=lambda layer: f"Peak ({peak})" if layer == controls.PEAK else str(layer),
            help="“Peak” follows the layer where the factor is most important. Layer 0 is the "
            "embedding output.",
            **url_state.widget(controls.LAYER),
        )
        with st.container(horizontal=True, gap="xsmall", width="content", key="climb"):
            st.button(
                "Down",
                shortcut="J",
                on_click=_open_layer,
                args=(bundle, place - 1),
                disabled=place == 0,
                help="One layer down.",
            )
            st.button(
                "Up",
                shortcut="K",
                on_click=_open_layer,
                args=(bundle, place + 1),
                disabled=place == len(bundle.layers) - 1,
                help="One layer up.",
            )
        basket_button.toggle(bundle, factor, selected.layer)
    return selected


def _open_factor(bundle: Bundle, factor: int) -> None:
    url_state.set_controls({controls.FACTOR: factor % bundle.n_factors, controls.EXAMPLE: 1})


def _open_random_factor(bundle: Bundle) -> None:
    alive = np.flatnonzero(bundle.factors["alive"])
    factor = int(secrets.choice(alive)) if len(alive) else 0
    url_state.set_controls({controls.FACTOR: factor, controls.EXAMPLE: 1})


def _open_layer(bundle: Bundle, place: int) -> None:
    place = min(max(place, 0), len(bundle.layers) - 1)
    url_state.set_controls({controls.LAYER: bundle.layers[place]})
