"""What a bundle is made of and how good it is, from its manifest.

Turns the manifest into the facts and figures of the first page, each with a label and a tip. A
figure that a manifest does not have is left out.
"""

from typing import Any

import pandas as pd
import streamlit as st

from tfactors.app.parts import definitions, published
from tfactors.app.parts.figures import Figure
from tfactors.bundle import Bundle
from tfactors.display.text import documents


def figures(bundle: Bundle) -> list[Figure]:
    """Return the numbers that say how large and how good a bundle is."""
    manifest = bundle.manifest
    metrics, corpus = manifest.get("metrics", {}), manifest["corpus"]
    found = [
        Figure("Factors", f"{bundle.n_factors:,}", definitions.ROWS),
        Figure("Layers", str(len(bundle.layers)), definitions.LAYER),
        Figure("Tokens shown", f"{corpus['tokens']:,}", definitions.TOKENS_SHOWN)
        if bundle.ranked
        else Figure("Tokens read", f"{corpus['tokens']:,}", definitions.TOKENS_READ),
    ]
    alive = metrics.get("alive")
    if isinstance(alive, float) and alive <= 1:
        # Rounded down: a bundle with one dead factor is not at 100 %.
        found.append(Figure("Alive", f"{int(alive * 1000) / 10:g}%", definitions.ALIVE))
    if metrics.get("l0") is not None:
        found.append(Figure("Factors a token", f"{metrics['l0']:.1f}", definitions.L0))
    explained = metrics.get("explained_variance")
    if isinstance(explained, float):
        found.append(Figure("Explained", f"{explained:.0%}", definitions.EXPLAINED_VARIANCE))
    return found


def quality_by_layer(bundle: Bundle) -> pd.DataFrame | None:
    """Return layer, factors a token and explained variance, or None where there is none."""
    rows: Any = bundle.manifest.get("metrics", {}).get("layers")
    if not isinstance(rows, list) or not rows:
        return None
    frame = pd.DataFrame(rows)
    return frame[[c for c in ("layer", "l0", "explained_variance") if c in frame]]


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
    manifest = bundle.manifest
    model, corpus = manifest["model"], manifest["corpus"]
    created = manifest.get("created")
    created = created.get("at") if isinstance(created, dict) else created
    pairs = [
        ("Model", f"{model['name']}: {model['blocks']} blocks, {model['width']} numbers a state"),
        *(("Text", _source_fact(source)) for source in corpus["sources"]),
        ("Windows", f"{corpus['windows']:,} of up to {corpus['window_length']} tokens"),
        ("Codes", _coding_fact(bundle)),
    ]
    pairs += [("Note", note) for note in published.notes(bundle)]
    if lacking := published.missing(bundle):
        files = "file of the website was" if lacking == 1 else "files of the website were"
        pairs.append(
            ("Missing", f"{lacking:,} {files} not there, or damaged: manifest.json lists them.")
        )
    if created:
        pairs.append(("Made", f"{str(created)[:10]} by tfactors {manifest.get('tfactors', '')}"))
    return pairs


def coding_sentence(bundle: Bundle) -> str:
    """Return how activations are found, the end of a sentence in Markdown."""
    if bundle.ranked:
        return (
            "found in 2021 by minimising the distance of both sides plus a price for every active "
            "factor. The website shows their order and not their size."
        )
    if bundle.coding_method == "encoder":
        return (
            "found by the *encoder* of the autoencoder that this dictionary was imported with, in "
            "one step and without a proof that they are the best; $x$ stands for the hidden state "
            "less the autoencoder's bias, and what is left over is $\\varepsilon$."
        )
    return (
        "found by minimising $\\tfrac12\\lVert x-\\alpha\\Phi\\rVert^2+\\lambda\\lVert\\alpha"
        "\\rVert_1$, so that most of them are zero, and what is left over is $\\varepsilon$."
    )


def _coding_fact(bundle: Bundle) -> str:
    """Return how the codes were made, and with which dictionary where it was imported."""
    coding = bundle.manifest["coding"]
    if bundle.ranked:
        return "not published; the order of the examples stands in their place"
    origin = bundle.manifest["dictionary"].get("imported")
    where = f"; dictionary imported from {origin['file']} ({origin['format']})" if origin else ""
    if bundle.coding_method == "encoder":
        count = f", k = {origin['k']}" if origin["form"] == "topk" else ""
        return f"the autoencoder's own encoder ({origin['form']}{count}), not solved{where}"
    return f"λ = {coding['penalty']:g}, solved to a duality gap of {coding['tol']:g}{where}"


def _source_fact(source: dict[str, Any]) -> str:
    parts = [str(source["title"])]
    if source.get("documents"):
        count = documents(int(source["documents"]))
        parts.append(f"{count}, {source.get('tokens', 0):,} tokens")
    text = ": ".join(parts)
    for key in ("attribution", "licence"):
        if source.get(key):
            more = str(source[key]).rstrip(".")
            text += f". {more[:1].upper()}{more[1:]}"
    return text + "."
