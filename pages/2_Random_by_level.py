"""Random by level: draw a factor of the low, mid or high level, the draw's seed in the link."""

import secrets

import numpy as np
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import (
    basket_button,
    example_list,
    factor_summary,
    level_controls,
    selection,
)
from tfactors.app.parts.selection import Selected
from tfactors.bundle import Bundle
from tfactors.portrait import level_rule

SEEDS = 1_000_000
LETTERS = {"low": "L", "mid": "M", "high": "H"}


def draw_factor_of(level: str) -> None:
    url_state.set_controls({controls.LEVEL: level, controls.SEED: secrets.randbelow(SEEDS)})


def drawn_factor(bundle: Bundle, members: np.ndarray) -> Selected:
    """Return the factor that this seed draws from the level's members."""
    random = np.random.default_rng(url_state.value_of(controls.SEED))
    return selection.select_factor(bundle, int(random.choice(members)))


bundle = shell.bundle()
factors = bundle.factors[["factor"]].copy()
limits = selection.thresholds_in_force(bundle)
factors["level"] = level_rule.levels_in_force(bundle.factors, limits)
if bundle.about.website and any(bundle.about.website.levels.values()):
    # The paper's own lists, and not what our rule adds to them.
    factors.loc[np.array(bundle.about.listed_levels) == "", "level"] = ""
level = url_state.value_of(controls.LEVEL)

st.title("A random factor of a level", anchor=False)
columns = st.columns(3, gap="medium")
for column, name in zip(columns, controls.LEVELS, strict=True):
    count = int((factors["level"] == name).sum())
    with column:
        st.button(
            f"Draw a {name}-level factor",
            key=f"draw_{name}",
            shortcut=LETTERS[name],
            width="stretch",
            type="primary" if name == level else "secondary",
            disabled=not count,
            on_click=draw_factor_of,
            args=(name,),
        )
        st.caption(f"**{count:,}** factors: {level_rule.level_meaning(name, limits)}")

members = factors.loc[factors["level"] == level, "factor"].to_numpy() if level else np.empty(0)
selected = drawn_factor(bundle, members) if len(members) else None
if level and selected is None:
    st.info(f"No factor is {level}-level at these thresholds; move them in the sidebar.")
if selected is not None:
    st.space("small")
    head, curve = st.columns([7, 5], gap="large")
    with head:
        factor_summary.headline(selected)
        shell.link(
            controls.FACTOR_PAGE,
            f"Open factor {selected.factor:,} on its own page",
            ":material/arrow_forward:",
            changes={controls.FACTOR: selected.factor, controls.LAYER: controls.PEAK},
        )
        basket_button.toggle(bundle, selected.factor, selected.layer)
    with curve:
        layer = factor_summary.importance_curve(selected, "drawn")
    if layer is not None:
        shell.open_page(
            controls.FACTOR_PAGE, {controls.FACTOR: selected.factor, controls.LAYER: layer}
        )
    example_list.show(selected, bundle.examples(selected.factor, selected.layer))

if bundle.abilities.dictionary:  # without a dictionary factors have no place on a map
    shell.link(
        controls.MAP_PAGE,
        "See all factors, and where the levels part, on the map",
        ":material/scatter_plot:",
        changes={controls.MAP_PLACES: "levels"},
    )
level_controls.sidebar(bundle, expanded=True)
example_list.sidebar(bundle, level, expanded=selected is not None)
