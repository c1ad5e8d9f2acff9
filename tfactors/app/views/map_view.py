"""What part of the map is seen: buttons that zoom and move it, beside the wheel and the mouse.

The part that is seen is in the link. The wheel tells it to the server without the chart being drawn
anew; the buttons, a link or Back draw the chart at the part that they name.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, url_state

View = tuple[float, ...]  # left, right, bottom, top

_MARGIN = 0.06  # around the outermost dots, of the map's size
_STEP = 0.3  # of what is seen
_ZOOM = 1.6


def whole_of(dots: pd.DataFrame) -> View:
    """Return the part that holds all dots, with a margin."""
    ends: list[float] = []
    for axis in ("x", "y"):
        low, high = float(dots[axis].min()), float(dots[axis].max())
        margin = _MARGIN * (high - low) or 1.0
        ends += [round(low - margin, 4), round(high + margin, 4)]
    return tuple(ends)


def zoomed(view: View, times: float) -> View:
    """Return a view of the same middle, so many times as near."""
    left, right, low, high = view
    across, up = (right - left) / times / 2, (high - low) / times / 2
    x, y = (left + right) / 2, (low + high) / 2
    return (x - across, x + across, y - up, y + up)


def moved(view: View, right: float, up: float) -> View:
    """Return a view that is moved by parts of what is seen."""
    across, along = right * (view[1] - view[0]), up * (view[3] - view[2])
    return (view[0] + across, view[1] + across, view[2] + along, view[3] + along)


def around(dots: pd.DataFrame, whole: View) -> View:
    """Return a view of some dots, no nearer than a twelfth of the map."""
    view = whole_of(dots)
    far = max(
        (view[1] - view[0]) / (whole[1] - whole[0]), (view[3] - view[2]) / (whole[3] - whole[2])
    )
    side = max(1.3 * far, 1 / 12)
    x, y = (view[0] + view[1]) / 2, (view[2] + view[3]) / 2
    across, up = side * (whole[1] - whole[0]) / 2, side * (whole[3] - whole[2]) / 2
    return (x - across, x + across, y - up, y + up)


def buttons(seen: View) -> None:
    """Draw the buttons; ``seen`` is what the map shows where the link does not say."""
    changes: dict[str, tuple[str, str, Callable[[View], View]]] = {
        "in": ("Zoom in", "zoom_in", lambda view: zoomed(view, _ZOOM)),
        "out": ("Zoom out", "zoom_out", lambda view: zoomed(view, 1 / _ZOOM)),
        "left": ("Left", "arrow_back", lambda view: moved(view, -_STEP, 0)),
        "right": ("Right", "arrow_forward", lambda view: moved(view, _STEP, 0)),
        "up": ("Up", "arrow_upward", lambda view: moved(view, 0, _STEP)),
        "down": ("Down", "arrow_downward", lambda view: moved(view, 0, -_STEP)),
    }
    with st.container(horizontal=True, gap="small"):
        for name, (says, icon, change) in changes.items():
            st.button(
                says,
                key=f"map_{name}",
                icon=f":material/{icon}:",
                on_click=_go,
                args=(change, seen),
            )
        st.button(
            "Whole map",
            icon=":material/fit_screen:",
            disabled=url_state.value_of(controls.MAP_VIEW) is None
            and not url_state.value_of(controls.MAP_REGION),
            on_click=url_state.set_controls,
            args=({controls.MAP_VIEW: None, controls.MAP_REGION: ""},),
        )
    st.caption("The wheel zooms as well; with Shift held, dragging moves the map.")


def _go(change: Callable[[View], View], seen: View) -> None:
    view: View | None = url_state.value_of(controls.MAP_VIEW)
    url_state.set_controls({controls.MAP_VIEW: rounded(change(view or seen))})


def rounded(view: View) -> View:
    """Return a view with as many digits as a link keeps."""
    return tuple(float(f"{np.clip(end, -1e8, 1e8):.5g}") for end in view)
