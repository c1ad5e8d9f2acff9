"""What a reader did to a chart: a point that was clicked, an area that was drawn.

Turns the event of a chart into that point or area, once: the browser keeps a selection and sends it
along with every next step, be it the Back button.
"""

from typing import Any

import streamlit as st


def key_until_click(name: str) -> str:
    """Return a key for a chart on which every point can be clicked, another one after each click.

    Until then the key stays, so that the browser only puts other numbers into the chart that it
    has, which takes a tenth of the time. Give :func:`clicked_point` the name as well.
    """
    return f"{name}_{st.session_state.setdefault('charts.clicks', {}).get(name, 0)}"


def clicked_point(event: Any, key: str, name: str = "") -> dict[str, Any] | None:
    """Return the point that was clicked since the chart with this key was drawn last, or None."""
    points = event["selection"].get("pick") or [None]
    seen = st.session_state.setdefault("charts.seen", {})
    if points[0] == seen.get(key):
        return None
    seen[key] = points[0]
    if name and points[0]:
        clicks = st.session_state["charts.clicks"]
        clicks[name] = clicks.get(name, 0) + 1
    return points[0]


def dragged_area(event: Any, key: str, name: str = "area") -> tuple[float, ...] | None:
    """Return the area (x0, x1, y0, y1) drawn since the chart with this key was drawn last, or None.

    ``name`` is that of the selection. The ends are kept to five digits, as in a link.
    """
    area = event["selection"].get(name) or {}
    ends = (*area.get("x", ()), *area.get("y", ()))
    seen = st.session_state.setdefault("charts.dragged", {})
    if len(ends) != 4 or ends == seen.get((key, name)):
        return None
    seen[key, name] = ends
    return tuple(float(f"{end:.5g}") for end in ends)
