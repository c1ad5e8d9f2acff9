"""Evidence: how good the bundle is, measured on text that its dictionary has never seen."""

import streamlit as st

from tfactors.app.frame import shell
from tfactors.app.views import evidence as evidence_view

bundle = shell.bundle()
st.title("Evidence", anchor=False)
st.markdown(
    "What `tfactors evaluate` measured on this bundle: every number with its formula, its sample "
    "and its count, beside what simpler methods reach, and with what missed its aim."
)
evidence_view.show(bundle)
