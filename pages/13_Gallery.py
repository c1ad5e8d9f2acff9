"""Gallery: the bundles there are, each with its model, its texts, its numbers and its licences."""

import streamlit as st

from tfactors.app.frame import shell
from tfactors.app.views import gallery as gallery_view

bundle = shell.bundle()
st.title("Gallery", anchor=False)
st.markdown(
    "The bundles that this dashboard can open: a folder of them, or all that a person or an "
    "organisation shares on the Hugging Face hub."
)
gallery_view.show(bundle)
