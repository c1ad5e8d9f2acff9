"""Random by level: draw a factor of the low, mid or high level, the draw's seed in the link."""

import secrets

import numpy as np
import streamlit as st

from tfactors.app import (
    charts,
    controls,
    definitions,
    example_list,
    factor_view,
    level_controls,
    shell,
    view,
)
from tfactors.app.factor_view import Selected
from tfactors.bundle import Bundle

SEEDS = 1_000_000
LETTERS = {"low": "L", "mid": "M", "high": "H"}


def draw(level: str) -> None:
    view.change({controls.LEVEL: level, controls.SEED: secrets.randbelow(SEEDS)})


def drawn(bundle: Bundle, members: np.ndarray) -> Selected:
    """Return the factor that this seed draws from the level's members."""
    random = np.random.default_rng(view.get(controls.SEED))
    return factor_view.select(bundle, int(random.choice(members)))


bundle = shell.bundle()
limits = factor_view.thresholds(bundle)
factors = bundle.factors[["factor", "depth", "retained_sentence"]].copy()
factors["level"] = definitions.levels(bundle.factors, limits)
level = view.get(controls.LEVEL)

st.title("A random factor of a level", anchor=False)
columns = st.columns(3, gap="medium")
for column, name in zip(columns, controls.LEVELS, strict=True):
    count = int((factors["level"] == name).sum())
    with column:
        st.button(
            f"Draw a {name}-level factor", key=f"draw_{name}", shortcut=LETTERS[name],
            width="stretch", type="primary" if name == level else "secondary",
            disabled=not count, on_click=draw, args=(name,),
        )  # fmt: skip
        st.caption(f"**{count:,}** factors: {definitions.LEVEL_MEANING[name]}")

members = factors.loc[factors["level"] == level, "factor"].to_numpy() if level else np.empty(0)
it = drawn(bundle, members) if len(members) else None
if level and it is None:
    st.info(f"No factor is {level}-level at these thresholds; move them in the sidebar.")
if it is not None:
    st.space("small")
    head, curve = st.columns([7, 5], gap="large")
    with head:
        factor_view.headline(it)
        shell.link(
            controls.FACTOR_PAGE, f"Open factor {it.factor:,} on its own page",
            ":material/arrow_forward:",
            changes={controls.FACTOR: it.factor, controls.LAYER: controls.PEAK},
        )  # fmt: skip
    with curve:
        layer = factor_view.importance_curve(it, key="drawn")
    if layer is not None:
        shell.go(controls.FACTOR_PAGE, {controls.FACTOR: it.factor, controls.LAYER: layer})
    example_list.show(it, bundle.examples(it.factor, it.layer))

st.space("small")
st.subheader("Where the levels part", anchor=False, help=definitions.DEPTH)
st.markdown(
    f"Every dot is a factor. **Low** are those whose importance peaks at a depth of "
    f"{limits.low_depth:.0%} or less. Of the others, **high** are those that keep less than "
    f"{limits.sentence_share:.0%} of their activation when the model reads only the word's own "
    f"sentence, and **mid** the rest. Move both thresholds in the sidebar; click a dot to open it."
)
shown = factors[factors["level"] != ""].merge(factor_view.names(bundle), on="factor")
if len(shown):
    event = charts.level_map(
        shown,
        limits.low_depth,
        limits.sentence_share,
        it.factor if it else None,
        key="levels",
        alt="All factors by the depth of their peak layer and by what their own sentence keeps of "
        "the activation, with the two thresholds that part low, mid and high.",
    )
    if point := charts.clicked(event, "levels"):
        shell.go(
            controls.FACTOR_PAGE,
            {controls.FACTOR: int(point["factor"]), controls.LAYER: controls.PEAK},
        )
level_controls.sidebar(bundle, expanded=True)
example_list.sidebar(expanded=it is not None)
