"""Basket: the factors that a reader took along, as a table, and their curves in one chart."""

import streamlit as st

from tfactors.app.frame import shell
from tfactors.app.parts import level_controls
from tfactors.app.views import basket as basket_view

bundle = shell.bundle()
st.title("Basket", anchor=False)
basket_view.show(bundle)
level_controls.sidebar(bundle)
