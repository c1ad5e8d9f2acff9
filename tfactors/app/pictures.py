"""Charts to take along: PNG by the button that Streamlit draws over a chart, SVG by this one.

Streamlit's charts are Vega's, which draws them as SVG in the page (up to 2,000 marks). The button
saves those elements as files, as they look, in the theme that is on. Nothing leaves the browser,
and nothing has to be installed. A map of more dots is a canvas and is written here as SVG instead.
"""

from io import StringIO
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd
import streamlit as st

# Ours from the first letter to the last: nothing that a reader or a bundle says gets in here.
_SAVE = """
export default ({ parentElement }) => {
  const button = parentElement.querySelector("button");
  const label = button.textContent;
  button.onclick = () => {
    const page = document.querySelector('[data-testid="stApp"]');
    const behind = getComputedStyle(page).backgroundColor;
    const charts = document.querySelectorAll('[data-testid="stVegaLiteChart"] svg.marks');
    button.textContent = charts.length ? label : "No chart here is drawn as SVG";
    charts.forEach((chart, at) => setTimeout(() => {
      const copy = chart.cloneNode(true);
      copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
      copy.style.backgroundColor = behind;
      const text = new XMLSerializer().serializeToString(copy);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
      link.download = `${location.pathname.split("/").pop() || "Home"}_${at + 1}.svg`;
      link.click();
      URL.revokeObjectURL(link.href);
    }, 400 * at));  // browsers drop downloads that come all at once
  };
};
"""
_BUTTON = '<button type="button">Save the charts of this page as SVG</button>'
_STYLE = """
button { font: inherit; font-size: .875rem; color: var(--st-text-color); background: none;
  width: 100%; border: 1px solid var(--st-border-color); border-radius: .5rem;
  padding: .4rem .75rem; cursor: pointer; }
button:hover, button:focus-visible { border-color: var(--st-primary-color);
  color: var(--st-primary-color); }
"""
# Five stops of viridis, as the map colours numbers.
_VIRIDIS = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
_LEVELS = {"low": "#0072B2", "mid": "#00795A", "high": "#A6417F"}
MOST_MARKS = 2000  # that Streamlit draws as SVG
_SIDE = 900  # pixels of the map's width and height
_MARGIN = 20


def button() -> None:
    """Draw the button that saves the page's charts."""
    show = st.components.v2.component("tfactors_svg", html=_BUTTON, css=_STYLE, js=_SAVE)
    show(key="svg")


def map_svg(dots: pd.DataFrame, colour: str) -> str:
    """Return a map as SVG; ``dots`` has x, y, name, level, peak and density, ``colour`` is one of
    the last three.
    """
    ends = [(dots[axis].min(), dots[axis].max()) for axis in ("x", "y")]
    across, up = (
        (dots[axis] - low) / (high - low or 1) * (_SIDE - 2 * _MARGIN) + _MARGIN
        for axis, (low, high) in zip(("x", "y"), ends, strict=True)
    )
    sink = StringIO()
    sink.write(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}" '
        'role="img" aria-label="Map of factors"><rect width="100%" height="100%" fill="#FFFFFF"/>\n'
    )
    radius = 3 if len(dots) <= 3000 else 1.8
    for x, y, fill, name in zip(across, up, _fills(dots, colour), dots["name"], strict=True):
        sink.write(
            f'<circle cx="{x:.1f}" cy="{_SIDE - y:.1f}" r="{radius}" fill="{fill}" '
            f'fill-opacity="0.65" aria-label={quoteattr(str(name))}/>\n'
        )
    sink.write("</svg>\n")
    return sink.getvalue()


def _fills(dots: pd.DataFrame, colour: str) -> list[str]:
    if colour == "level":
        return [_LEVELS.get(level, "#6A6F76") for level in dots["level"]]
    values = dots[colour].to_numpy(float)
    if colour == "density":
        values = np.log(np.maximum(values, 1e-9))
    low, high = values.min(), values.max()
    # As on the page in the light theme, the end of the scheme that is near white is left out.
    share = (values - low) / ((high - low) or 1) * 0.6
    stops = np.linspace(0, 1, len(_VIRIDIS))
    mixed = np.stack([np.interp(share, stops, channel) for channel in _VIRIDIS.T], axis=1)
    return [f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in mixed.round().astype(int)]
