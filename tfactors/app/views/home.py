"""What a bundle is made of and how good it is, from its manifest.

Turns the manifest into the facts and figures of the first page, each with a label and a tip. A
figure that a manifest does not have is left out.
"""

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import definitions, factor_summary
from tfactors.app.parts.figures import Figure
from tfactors.bundle import Bundle
from tfactors.bundle.manifest import Manifest, Source, Website
from tfactors.describe.levels import OlderThresholds
from tfactors.display.text import documents


def choose_factor(level: str, best: list[int]) -> int:
    """Draw a level and the way to another of its best factors; return the one that is shown."""
    control = controls.SHOWN[level]
    place = min(url_state.value_of(control), len(best))
    # Above the card, because what a card says varies in length and the button has to stay.
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.html(f'<div class="tf-cards">{factor_summary.level_badge(level)}</div>', width="content")
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


def figures(bundle: Bundle) -> list[Figure]:
    """Return the numbers that say how large and how good a bundle is."""
    metrics, tokens = bundle.about.metrics, f"{bundle.about.corpus.tokens:,}"
    shown = [
        Figure("Factors", f"{bundle.n_factors:,}", definitions.ROWS),
        Figure("Layers", str(len(bundle.layers)), definitions.LAYER),
        Figure("Tokens read", tokens, definitions.TOKENS_READ)
        if bundle.abilities.whole_words
        else Figure("Tokens shown", tokens, definitions.TOKENS_SHOWN),
    ]
    if metrics.alive is not None and metrics.alive <= 1:
        # Rounded down: a bundle with one dead factor is not at 100 %.
        alive = f"{int(metrics.alive * 1000) / 10:g}%"
        shown.append(Figure("Alive", alive, definitions.ALIVE))
    if metrics.l0 is not None:
        shown.append(Figure("Factors a token", f"{metrics.l0:.1f}", definitions.L0))
    if metrics.explained_variance is not None:
        explained = f"{metrics.explained_variance:.0%}"
        shown.append(Figure("Explained", explained, definitions.EXPLAINED_VARIANCE))
    return shown


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


def origin_facts(bundle: Bundle) -> list[tuple[str, str]]:
    """Return what the bundle was made from, as pairs of a name and a plain text."""
    about, corpus = bundle.about, bundle.about.corpus
    website = about.website or Website()
    pairs = [
        ("Model", f"{about.model.name}: {bundle.blocks} blocks, {bundle.width} numbers a state"),
        *(("Text", _source_fact(source)) for source in corpus.sources),
        ("Windows", _window_fact(about)),
        ("Codes", _coding_fact(bundle)),
        *(("Note", note) for note in (*about.dictionary.notes, *website.notes)),
    ]
    if missing := len(website.missing):
        files = "file of the website was" if missing == 1 else "files of the website were"
        pairs.append(
            ("Missing", f"{missing:,} {files} not there, or damaged: manifest.json lists them.")
        )
    if about.created.at:
        pairs.append(("Made", f"{about.created.at[:10]} by tfactors {about.tfactors}"))
    return pairs


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


def _window_fact(about: Manifest) -> str:
    """Return how many windows there are, how long, and how the model read them."""
    windows = f"{about.corpus.windows:,} of up to {about.corpus.window_length} tokens"
    if about.model.bos:
        return windows + ", each read behind the token that begins a text (BOS)"
    marks = ", each read between the marks that the model was trained with"
    return windows + marks if about.model.marks else windows


def _coding_fact(bundle: Bundle) -> str:
    """Return how the codes were made, and with which dictionary where it was imported."""
    if not bundle.abilities.activations:
        return "not published; the order of the examples stands in their place"
    coding, origin = bundle.about.coding, bundle.about.dictionary.imported
    where = f"; dictionary imported from {origin.file} ({origin.format})" if origin else ""
    if origin and not bundle.abilities.penalty:
        count = f", k = {origin.k}" if origin.form == "topk" else ""
        return f"the autoencoder's own encoder ({origin.form}{count}), not solved{where}"
    refitted = ", refitted without λ" if coding.refit else ""
    return f"λ = {coding.penalty:g}, solved to a duality gap of {coding.tol:g}{refitted}{where}"


def _source_fact(source: Source) -> str:
    text = source.title
    if source.documents:
        text += f": {documents(source.documents)}, {source.tokens:,} tokens"
    for sentence in filter(None, (source.attribution, source.licence)):
        text += f". {sentence[:1].upper()}{sentence[1:].rstrip('.')}"
    return text + "."
