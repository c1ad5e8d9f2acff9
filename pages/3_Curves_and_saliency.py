"""Curves and saliency: factors over the layers side by side, and the words they depend on."""

import streamlit as st

from tfactors.app import curves_view, factor_view, saliency_view, shell, toolbar

bundle = shell.bundle()

st.title("Curves and saliency", anchor=False)
st.subheader(
    "Importance over the layers", anchor=False,
    help=factor_view.importance_help(bundle),
)  # fmt: skip
curves_view.show(bundle)

st.space("medium")
st.subheader("The words an activation depends on", anchor=False)
st.markdown(
    "Leave words of a text out and see what happens to the activation: that says which words the "
    "factor needs, which the examples alone do not."
)
it = toolbar.show(bundle)
saliency_view.show(it)
if not bundle.ranked:  # without a dictionary there is nothing to explain
    saliency_view.sidebar()
