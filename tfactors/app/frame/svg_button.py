"""Charts to take along: PNG by the button that Streamlit draws over a chart, SVG by this one.

Streamlit's charts are Vega's, which draws them as SVG in the page (up to 2,000 marks). The button
saves those elements as files, as they look, in the theme that is on. Nothing leaves the browser,
and nothing has to be installed. A map of more dots is a canvas and is written here as SVG instead.
"""

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


def show() -> None:
    """Draw the button that saves the page's charts."""
    show = st.components.v2.component("tfactors_svg", html=_BUTTON, css=_STYLE, js=_SAVE)
    show(key="svg")
