"""What a bundle is made of and how good it is, from its manifest.

Turns the manifest into the facts and figures of the first page, each with a label and a tip. A
figure that a manifest does not have is left out.
"""

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.bundle import Bundle
from tfactors.describe.levels import OlderThresholds
from tfactors.portrait import definitions, summary


def choose_factor(level: str, best: list[int]) -> int:
    """Draw a level and the way to another of its best factors; return the one that is shown."""
    control = controls.SHOWN[level]
    place = min(url_state.value_of(control), len(best))
    # Above the card, because what a card says varies in length and the button has to stay.
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.html(f'<div class="tf-cards">{summary.level_badge(level)}</div>', width="content")
        st.button(
            "Another",
            key=f"another_{level}",
            type="tertiary",
            icon=":material/refresh:",
            disabled=len(best) < 2,
            help=f"The next of the {len(best)} best of this level, by how well the name holds, "
            f"stability and a plain pattern; this is number {place}.",
            on_click=url_state.set_controls,
            args=({control: place % len(best) + 1},),
        )
    return best[place - 1]


def quality_by_layer(bundle: Bundle) -> pd.DataFrame | None:
    """Return layer, factors a token and explained variance, or None where there is none."""
    layers = bundle.about.metrics.layers
    if not layers:
        return None
    rows = [(layer.layer, layer.l0, layer.explained_variance) for layer in layers]
    frame = pd.DataFrame(rows, columns=["layer", "l0", "explained_variance"])
    return frame.dropna(axis="columns", how="all")


def show_quality(table: pd.DataFrame) -> None:
    """Draw factors a token and explained variance of each layer."""
    shown = table.assign(**{c: 100 * table[c] for c in table if c == "explained_variance"})
    st.dataframe(
        shown,
        hide_index=True,
        alt="Factors a token and explained variance of each layer.",
        column_config={
            "layer": st.column_config.NumberColumn("Layer", width="small", help=definitions.LAYER),
            "l0": st.column_config.NumberColumn(
                "Factors a token", format="%.1f", help=definitions.L0
            ),
            "explained_variance": st.column_config.ProgressColumn(
                "Explained variance",
                min_value=0,
                max_value=100,
                format="%.0f%%",
                help=definitions.EXPLAINED_VARIANCE,
            ),
        },
    )


def coding_sentence(bundle: Bundle) -> str:
    """Return how activations are found, the end of a sentence in Markdown."""
    if not bundle.abilities.activations:
        return (
            "found in 2021 by minimising the distance of both sides plus a price for every active "
            "factor. The website shows their order and not their size."
        )
    if not bundle.abilities.penalty:
        return (
            "found by the *encoder* of the autoencoder that this dictionary was imported with, in "
            "one step and without a proof that they are the best; $x$ stands for the hidden state "
            "less the autoencoder's bias, and what is left over is $\\varepsilon$."
        )
    own = "b-" if bundle.about.baseline else ""
    found, values = "found", ""
    if bundle.about.coding.refit:
        found, values = "chosen", "; how active the chosen ones are, least squares says"
    return (
        f"{found} by minimising $\\tfrac12\\lVert x-{own}\\alpha\\Phi\\rVert^2+\\lambda\\lVert"
        f"\\alpha\\rVert_1$, so that most of them are zero{values}, and what is left over is "
        "$\\varepsilon$."
    )


def level_lines(bundle: Bundle) -> str:
    """Return what the levels say, as a list in Markdown."""
    if isinstance(bundle.about.importance.thresholds, OlderThresholds):
        said = {
            "low": "peaks early; a word, or one sense of it",
            "mid": "peaks late; a pattern inside the sentence",
            "high": "peaks late and needs text beyond the sentence",
        }
        decides = "Its peak, and how much text the factor needs, make its level:"
    else:
        said = definitions.LEVEL_MEANING
        decides = "What decides whether it fires makes its level:"
    lines = [f"- **{level}**: {words}" for level, words in said.items()]
    return "\n".join([decides, *lines])
