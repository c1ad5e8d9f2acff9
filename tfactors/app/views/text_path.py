"""One token against λ: its factors' coefficients, how many are active, and how much they explain.

Draws three charts over the same λ, with a line where λ is now.
"""

import pandas as pd
import streamlit as st

from tfactors.app.parts import downloads, live_decomposition, selection
from tfactors.app.views import text_charts
from tfactors.bundle import Bundle
from tfactors.portrait import definitions


def show(bundle: Bundle, text: str, position: int, layer: int) -> None:
    """Draw the path of a token."""
    st.subheader("Its factors against λ", anchor=False, help=definitions.PATH)
    path = live_decomposition.penalty_path(bundle, text, position, layer)
    strongest, shown = path.strongest
    if not strongest:
        st.caption("No factor is active at any λ of the range.")
        return
    names = {factor: selection.factor_name(bundle, factor) for factor in strongest}
    shown = shown.assign(name=shown["factor"].map(names))
    penalty = live_decomposition.chosen_penalty(bundle)
    left, right = st.columns([7, 4], gap="large")
    with left:
        text_charts.penalty_path(
            shown,
            list(names.values()),
            penalty,
            alt=f"Coefficients of {len(strongest)} factors of this token against λ.",
        )
    with right:
        st.markdown("**Active factors**", help=definitions.ACTIVE_FACTORS)
        ends = _ends(path.fit, "l0", ".0f")
        words = f"Active factors of this token against λ: {ends}."
        text_charts.fit_curve(path.fit, "l0", penalty, alt=words)
        st.markdown("**Explained**", help=definitions.SHARE_EXPLAINED)
        ends = _ends(path.fit, "explained", ".0%")
        words = f"Share of this token that is explained, against λ: {ends}."
        text_charts.fit_curve(path.fit, "explained", penalty, alt=words)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.caption(
            f"The {len(strongest)} strongest; the upright scale is a square root, so that small "
            "ones show. The dashed line is λ as it is now."
        )
        downloads.show(
            lambda: path.factors.merge(path.fit, on="penalty"), f"path_token_{position}_{layer}"
        )


def _ends(fit: pd.DataFrame, column: str, number: str) -> str:
    """Return the first and the last value of a curve against λ, in words."""
    ends = (fit.iloc[0], fit.iloc[-1])
    return ", ".join(f"{end[column]:{number}} at {end['penalty']:.3g}" for end in ends)
