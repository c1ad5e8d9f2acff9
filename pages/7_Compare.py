"""Compare: two factors, two layers or two bundles side by side, and the best matches."""

import streamlit as st

from tfactors.app.frame import controls, shell
from tfactors.app.parts import toolbar
from tfactors.app.views import compare as compare_view

bundle = shell.bundle()
st.title("Compare", anchor=False)
one = toolbar.choose_factor(bundle)
other = compare_view.choose_other_bundle(bundle)
two = compare_view.choose_other_factor(one, other)
compare_view.show_common(one, two)
left, right = st.columns(2, gap="large")
with left:
    compare_view.show_side(one, controls.LAYER, "left")
with right:
    compare_view.show_side(two, controls.OTHER_LAYER, "right")
compare_view.show_matches(one, other)
