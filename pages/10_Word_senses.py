"""Word senses: the occurrences of a word in groups, by the factors that are active on them."""

import streamlit as st

from tfactors.app import sense_view, shell

bundle = shell.bundle()
st.title("Word senses", anchor=False)
st.markdown(
    "A word that means several things wakes different factors in different places. Here up to 48 "
    "occurrences of a word, drawn at random from the corpus, are put into groups by the six "
    "factors that are strongest on each, at every layer."
)
sense_view.show(bundle)
