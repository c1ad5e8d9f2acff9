"""Map: all factors at once, by likeness or by what parts the levels; an area lists its factors."""

import streamlit as st

from tfactors.app import definitions, factor_view, level_controls, map_view, shell

bundle = shell.bundle()
limits = factor_view.thresholds(bundle)
st.title("Map", anchor=False, help=definitions.LEVEL_RULE)
st.markdown(
    "Every dot is a factor. By likeness, dots that are near each other have similar directions in "
    "the model's space; the axes mean nothing. By level, **low** are those that peak at a depth of "
    f"{limits.low_depth:.0%} or less; of the others, **high** are those that keep less than "
    f"{limits.sentence_share:.0%} of their activation when the model reads only the word's own "
    "sentence, and **mid** the rest."
)
map_view.show(bundle)
level_controls.sidebar(bundle, expanded=True)
