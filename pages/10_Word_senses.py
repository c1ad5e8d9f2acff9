"""Word senses: the occurrences of a word in groups, by the factors that are active on them."""

import importlib.util

import streamlit as st

from tfactors.app.frame import shell

bundle = shell.bundle()
st.title("Word senses", anchor=False)
st.markdown(
    "A word that means several things wakes different factors in different places. Here up to 48 "
    "occurrences of a word, drawn at random from the corpus, are put into groups by the six "
    "factors that are strongest on each, at every layer."
)
if importlib.util.find_spec("scipy") is None:
    st.markdown("The groups are made with the Python package scipy, which is not installed here:")
    st.code("pip install scipy", language="bash")
else:
    from tfactors.app.views import senses as senses_view

    senses_view.show(bundle)
