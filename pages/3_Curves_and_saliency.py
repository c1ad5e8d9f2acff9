"""Curves and saliency: factors over the layers side by side, and the words they depend on."""

import streamlit as st

from tfactors.app.frame import shell
from tfactors.app.parts import toolbar
from tfactors.app.views import curves as curves_view
from tfactors.app.views import saliency as saliency_view
from tfactors.portrait import summary

bundle = shell.bundle()

st.title("Curves and saliency", anchor=False)
st.subheader("Importance over the layers", anchor=False, help=summary.importance_help(bundle))
curves_view.show(bundle)

st.space("medium")
st.subheader("The words an activation depends on", anchor=False)
st.markdown(
    "Leave words of a text out and see what happens to the activation: that says which words the "
    "factor needs, which the examples alone do not."
)
selected = toolbar.choose_factor(bundle)
saliency_view.show(selected)
if bundle.abilities.saliency:
    saliency_view.sidebar()
