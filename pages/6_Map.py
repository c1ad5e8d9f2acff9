"""Map: all factors at once, by likeness or by what parts the levels; an area lists its factors."""

import streamlit as st

from tfactors.app.frame import shell
from tfactors.app.parts import level_controls, selection
from tfactors.app.views import map as map_view
from tfactors.portrait import level_rule

bundle = shell.bundle()
limits = selection.thresholds_in_force(bundle)
if not bundle.abilities.dictionary:
    st.title("Map", anchor=False)
    st.markdown(bundle.abilities.dictionary.why_not)
    st.stop()
st.title("Map", anchor=False, help=level_rule.rule_sentence(limits))
st.markdown(
    "Every dot is a factor. By likeness, dots that are near each other have similar directions in "
    "the model's space and, in newer bundles, words in common; the axes mean nothing. Names say "
    "what most factors of a region share. By level, they stand by what parts the levels. "
    + level_rule.rule_sentence(limits)
)
map_view.show(bundle)
level_controls.sidebar(bundle, expanded=True)
