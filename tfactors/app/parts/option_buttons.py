"""A row of buttons of which one is on: a control with a few named options."""

from collections.abc import Mapping
from typing import Any, Literal

import streamlit as st

from tfactors.app.frame import url_state


def show(
    label: str,
    control: url_state.Control[str],
    names: Mapping[str, str],
    chosen: str | None = None,
    *,
    tip: str | None = None,
    disabled: bool = False,
    label_visibility: Literal["visible", "hidden", "collapsed"] = "visible",
) -> None:
    """Draw the buttons of a control.

    Parameters
    ----------
    label
        What stands above the buttons.
    control
        What a click sets.
    names
        By option what its button says, in their order.
    chosen
        The option that is on, where that is not the control's value as it stands.
    tip
        The definition behind the question mark.
    disabled
        Whether no button can be clicked.
    label_visibility
        As of ``st.segmented_control``.
    """
    widget: dict[str, Any] = url_state.widget(control, chosen)
    st.segmented_control(
        label,
        list(names),
        required=True,
        format_func=names.__getitem__,
        help=tip,
        disabled=disabled,
        label_visibility=label_visibility,
        **widget,
    )
