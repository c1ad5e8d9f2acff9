"""What a bundle is made of and how good it is, as facts and figures, from its manifest.

A figure that a manifest does not have is left out.
"""

from tfactors.bundle import Bundle
from tfactors.bundle.manifest import Manifest, Source, Website
from tfactors.display.text import documents
from tfactors.portrait import definitions
from tfactors.portrait.figure import Figure


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
