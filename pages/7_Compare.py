"""Compare: two factors, two layers or two bundles side by side, and the best matches."""

import streamlit as st

from tfactors.app.frame import controls, shell
from tfactors.app.parts import toolbar
from tfactors.app.views import compare as compare_view

bundle = shell.bundle()
st.title("Compare", anchor=False)
one = toolbar.show(bundle)
other = compare_view.other_bundle(bundle)
two = compare_view.right_side(one, other)
compare_view.common(one, two)
left, right = st.columns(2, gap="large")
with left:
    compare_view.side(one, controls.LAYER, "left")
with right:
    compare_view.side(two, controls.TO_LAYER, "right")
compare_view.matches(one, other)
