"""What is lit up on the map: the factors that a search finds, or those of a region.

Draws the search box and the choice of a region, and returns the numbers of the factors.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.views import search
from tfactors.bundle import Bundle
from tfactors.portrait import map_names

_MOST = 300  # factors of a search that are lit: the best matches
_LEAST_MATCH = 0.1


@dataclass(frozen=True)
class Lit:
    """Factors that are lit up; ``says`` completes "12 factors …", and is "" where nothing is."""

    factors: np.ndarray
    says: str


def controls_of(bundle: Bundle, by_likeness: bool) -> None:
    """Draw the search box, the filters, and the choice of a region."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Light up",
            max_chars=200,
            placeholder="words, a name, a number",
            help="Rings the factors that match these words, or have them in their name.",
            width=250,
            **url_state.widget(controls.MAP_LIT),
        )
        st.selectbox(
            "Level",
            ["", *controls.LEVELS],
            format_func=lambda level: f"{level} level" if level else "all levels",
            width=140,
            **url_state.widget(controls.SEARCH_LEVEL),
        )
        st.selectbox(
            "Peaks at",
            [controls.PEAK, *bundle.layers],
            format_func=lambda at: "any layer" if at == controls.PEAK else f"layer {at}",
            width=140,
            **url_state.widget(controls.SEARCH_PEAK),
        )
        if by_likeness and bundle.abilities.regions:
            _choose_region(bundle)


def _choose_region(bundle: Bundle) -> None:
    regions, names = bundle.regions, {"": "none"}
    for row, name in zip(regions.itertuples(), map_names.names_of(regions), strict=True):
        key = controls.region_name(row.zoom, row.region)
        names[key] = f"{'· ' * row.zoom}{name} ({len(row.factors)})"
    st.selectbox(
        "Region",
        list(names),
        format_func=lambda key: names.get(key, key),
        help="Goes to a region, rings its factors and lists them. Regions with one or two dots "
        "before their name lie inside larger ones.",
        width=330,
        **url_state.widget(controls.MAP_REGION) | {"on_change": _go_to_region},
    )


def _go_to_region(control: url_state.Control[str], key: str) -> None:
    others: list[tuple[url_state.Control[Any], Any]]
    others = [(controls.MAP_VIEW, None), (controls.MAP_AREA, None), (controls.MAP_LIT, "")]
    url_state.set_controls(dict([(control, st.session_state[key]), *others]))


def members_of(bundle: Bundle, key: str) -> np.ndarray:
    """Return the factors of a region."""
    return np.asarray(bundle.regions["factors"].iloc[_row(bundle, key)])


def _row(bundle: Bundle, key: str) -> int:
    regions = bundle.regions
    return [*map(controls.region_name, regions["zoom"], regions["region"])].index(key)


def lit_up(bundle: Bundle) -> Lit | None:
    """Return the factors that are lit up, or None where the reader asked for none."""
    query = url_state.value_of(controls.MAP_LIT).strip()
    if query and search.words_of(query):
        found, _ = search.factors_found(bundle, query)
        close = found["match"].isna() | (found["match"] >= _LEAST_MATCH)
        factors = found.loc[close, "factor"].to_numpy(int)[:_MOST]
        return Lit(factors, f"match “{shell.plain_text(query)}”")
    if key := url_state.value_of(controls.MAP_REGION):
        name = shell.plain_text(map_names.names_of(bundle.regions)[_row(bundle, key)])
        return Lit(members_of(bundle, key), f"are in the region “{name}”")
    return None
