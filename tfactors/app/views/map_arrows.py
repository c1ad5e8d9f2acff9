"""One factor's neighbourhood on the map: arrows from what it is made from, and to what it feeds.

Turns what the bundle holds of a factor into a table of arrows between dots, drawn by
:mod:`tfactors.app.views.map_charts` where the reader asks for them.
"""

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import selection
from tfactors.bundle import Bundle
from tfactors.portrait import definitions

INTO, FROM = "goes into", "made from"
COLUMNS = ["x", "y", "x2", "y2", "head_x", "head_y", "way", "share", "size", "name"]
_MOST = 12  # arrows of each kind
# Parts of the way at which a line begins, has its head and ends: dots at its ends can be clicked.
_PARTS = (0.03, 0.62, 0.97)


def choose(bundle: Bundle) -> None:
    """Draw the switch, where a factor is selected."""
    if (factor := url_state.value_of(controls.FACTOR)) is not None:
        st.toggle(
            f"Arrows of factor {factor}",
            help=definitions.ARROWS,
            **url_state.widget(controls.MAP_ARROWS),
        )


def of_selected(bundle: Bundle, dots: pd.DataFrame, logarithmic: bool) -> pd.DataFrame | None:
    """Return the arrows of the selected factor, or None where they are not asked for.

    ``dots`` has factor, x and y of every factor that has a place.
    """
    factor = url_state.value_of(controls.FACTOR)
    if factor is None or not url_state.value_of(controls.MAP_ARROWS):
        return None
    sources, targets = bundle.origins(factor), bundle.feeds(factor)
    sources = sources[(sources["kind"] == "factor") & (sources["source"] != factor)]
    rows = [(row.source, factor, FROM, row.share) for row in sources.head(_MOST).itertuples()]
    rows += [(factor, row.target, INTO, row.share) for row in targets.head(_MOST).itertuples()]
    arrows = pd.DataFrame(rows, columns=["source", "target", "way", "share"])
    places = dots.set_index("factor")[["x", "y"]]
    arrows = arrows[arrows[["source", "target"]].isin(places.index).all(axis=1)]
    names = selection.factor_names(bundle)["name"]
    other = np.where(arrows["way"] == FROM, arrows["source"], arrows["target"]).astype(int)
    start, end = (
        places.loc[arrows[name]].to_numpy(float, copy=True) for name in ("source", "target")
    )
    if logarithmic:
        start[:, 0], end[:, 0] = np.log(start[:, 0]), np.log(end[:, 0])
    begins, head, ends = (start + part * (end - start) for part in _PARTS)
    if logarithmic:
        for place in (begins, head, ends):
            place[:, 0] = np.exp(place[:, 0])
    columns = np.concatenate([begins, ends, head], axis=1)
    return pd.DataFrame(columns, columns=COLUMNS[:6]).assign(
        way=arrows["way"].to_numpy(),
        share=arrows["share"].to_numpy(float),
        size=arrows["share"].abs().to_numpy(float),
        name=names.to_numpy()[other],
    )


def say(bundle: Bundle, arrows: pd.DataFrame | None) -> None:
    """Say in words what the arrows are, and where the same stands as lists."""
    if arrows is None:
        return
    factor = url_state.value_of(controls.FACTOR)
    if not bundle.abilities.factor_origins:
        st.caption(bundle.abilities.factor_origins.why_not)
        return
    counts = arrows["way"].value_counts()
    st.caption(
        f"Arrows of factor {factor}: {counts.get(FROM, 0)} solid lines from factors that it is "
        f"made from, {counts.get(INTO, 0)} dashed lines to factors that it goes into; thicker "
        "where they carry more."
    )
    shell.link(
        controls.FACTOR_PAGE,
        "The same as lists",
        ":material/list:",
        changes={controls.LAYER: controls.PEAK, controls.PART: "origins"},
    )
