"""Map: all factors at once, by likeness or by what parts the levels; an area lists its factors."""

import streamlit as st

from tfactors.app import definitions, factor_view, level_controls, map_view, published, shell

bundle = shell.bundle()
limits = factor_view.thresholds(bundle)
if bundle.ranked:
    st.title("Map", anchor=False)
    st.markdown(published.NO_DICTIONARY)
    st.stop()
st.title("Map", anchor=False, help=definitions.rule(limits))
st.markdown(
    "Every dot is a factor. By likeness, dots that are near each other have similar directions in "
    "the model's space; the axes mean nothing. By level, they stand by what parts the levels. "
    + definitions.rule(limits)
)
map_view.show(bundle)
level_controls.sidebar(bundle, expanded=True)
