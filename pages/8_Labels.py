"""Labels: what people wrote about the factors, and lists of them; download, load and share."""

import streamlit as st

from tfactors.app.frame import shell
from tfactors.app.views import labels as labels_view

bundle = shell.bundle()
st.title("Labels", anchor=False)
st.markdown(
    "What a factor stands for is for people to say. Write labels, notes and lists in the sidebar "
    "of any factor's page; here they are together. Your labels replace the factors' names on all "
    "pages, for you alone, until you share the file."
)
labels_view.show_files(bundle)
st.subheader("Labelled factors", anchor=False)
labels_view.show_labelled_factors(bundle)
st.subheader("Lists", anchor=False)
labels_view.show_lists(bundle)
