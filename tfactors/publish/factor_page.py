"""What is published of a factor: headline, curve, numbers, words and examples of every layer.

Turns a factor into the body of its page. The layer where it peaks comes first and has most of the
examples, because 200 of each layer would make 600 kB a factor; every list says how many of the
stored ones it shows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from tfactors.bundle import Bundle
from tfactors.bundle.passages import passages_of
from tfactors.describe import lined_up
from tfactors.display import passages
from tfactors.display.text import as_html
from tfactors.portrait import definitions, layer_words, model_label, summary, words_around
from tfactors.portrait.figure import Figure
from tfactors.portrait.selected import Selected
from tfactors.publish import charts
from tfactors.publish.contents import Contents

_SIMILAR, _TOGETHER = 10, 5


@dataclass(frozen=True)
class Extent:
    """How much of a factor's examples a page shows.

    Attributes
    ----------
    at_peak, elsewhere : int
        Examples at the peak layer and at each other, as lines.
    words : int
        Words of context on each side of a line.
    texts_at_peak, texts_elsewhere, text_words : int
        The same of high-level factors, which are shown as running text.
    brief : bool
        Whether examples have no tips, as on a site, where they would be 10 MB.
    """

    at_peak: int
    elsewhere: int
    words: int
    texts_at_peak: int
    texts_elsewhere: int
    text_words: int
    brief: bool = False


# What lets 2,000 factors of six layers stay well below 80 MB, and 50 pages of a file below 1 MB.
OF_SITE = Extent(20, 3, 8, 8, 2, 26, brief=True)
OF_LIST = Extent(8, 0, 9, 4, 0, 32)
OF_FILE = Extent(100, 40, 12, 40, 15, 60)

Links = Callable[[int], str | None]


def body(contents: Contents, factor: int, extent: Extent, links: Links) -> str:
    """Return a factor's page below the menu.

    Parameters
    ----------
    contents : Contents
        The bundle.
    factor : int
        Its number.
    extent : Extent
        How many examples are shown.
    links : callable
        Returns the address of another factor's page, None where there is none.
    """
    selected = contents.select(factor)
    peak, layers = selected.layer, contents.bundle.layers
    order = [peak, *(layer for layer in layers if layer != peak)]
    similar = _similar(contents, factor, links)
    parts = [
        _head(selected, contents),
        _numbers(selected),
        _layer_menu(layers, peak, bool(similar)),
        *(_layer(contents, selected, layer, extent) for layer in order),
        _layers_side_by_side(selected),
        similar,
    ]
    return "\n".join(filter(None, parts))


def short(contents: Contents, factor: int, extent: Extent) -> str:
    """Return a factor in a list: its headline, curve, numbers, and examples at its peak."""
    selected = contents.select(factor)
    examples = _layer(contents, selected, selected.layer, extent, anchor=False)
    head = _head(selected, contents, links=False).replace("h1>", "h2>")  # the list has the first
    return f"{head}\n{_numbers(selected)}\n{examples.replace('h2>', 'h3>')}"


def _head(selected: Selected, contents: Contents, links: bool = True) -> str:
    note = contents.note(selected.factor)
    words = contents.words[selected.factor]
    named = bool(note.label)
    by_model = model_label.header_html(contents.by_model.get(selected.factor), named)
    head = summary.headline(selected, words, named, by_model)
    written = f'<p class="tf-note"><bdi>{as_html(note.note)}</bdi></p>' if note.note else ""
    figure = f"<figure>{_curve(selected, links)}</figure>"
    return f'<div class="head"><div>{head}{written}</div>{figure}</div>'


def _curve(selected: Selected, links: bool) -> str:
    overview, bundle = selected.overview, selected.bundle
    about = "Importance by layer"
    if not overview.has_curve[selected.factor]:
        return f"<figcaption>{about}: {as_html(bundle.abilities.curves.why_not)}</figcaption>"
    picture = charts.curve(
        bundle.layers,
        overview.importance[selected.factor],
        overview.band,
        selected.level,
        selected.layer,
        f"{about} of factor {selected.factor}; its numbers stand with the headline",
        links,
    )
    said = f"{about}, before the band that holds 90% of all factors"
    if not bundle.abilities.heights:
        said = f"{about}. {bundle.abilities.heights.why_not}"
    return f"<figcaption>{as_html(said)}</figcaption>{picture}"


def _numbers(selected: Selected) -> str:
    """Return the factor's numbers, each with its definition."""
    return numbers(summary.figures(selected))


def numbers(figures: Sequence[Figure]) -> str:
    """Return numbers side by side, their definitions folded below; "" where there are none."""
    if not figures:
        return ""
    cells = "".join(
        f"<div><dt>{as_html(of.label)}</dt><dd>{as_html(of.value)}</dd></div>" for of in figures
    )
    defined = "".join(f"<dt>{as_html(of.label)}</dt><dd>{as_html(of.tip)}</dd>" for of in figures)
    return (
        f'<dl class="numbers">{cells}</dl><details><summary>What these numbers are</summary>'
        f'<dl class="tf-facts">{defined}</dl></details>'
    )


def _layer_menu(layers: Sequence[int], peak: int, similar: bool) -> str:
    links = "".join(
        f'<a href="#layer-{layer}">{layer}{" (peak)" if layer == peak else ""}</a>'
        for layer in layers
    )
    more = '<a href="#words">words by layer</a>'
    if similar:
        more += '<a href="#similar">similar</a>'
    return f'<nav class="layers" aria-label="Layers"><span>Layer</span>{links}{more}</nav>'


def _layer(
    contents: Contents, selected: Selected, layer: int, extent: Extent, anchor: bool = True
) -> str:
    """Return the examples at a layer, with how many of the stored ones they are."""
    bundle, factor, peak = contents.bundle, selected.factor, layer == selected.layer
    name = f' id="layer-{layer}"' if anchor else ""
    heading = f"Where it is active at layer {layer}{', its peak' if peak else ''}"
    head = f'<section class="layer"{name}><h2>{heading}</h2>'
    overview = contents.overview
    active = overview.maximum[factor, overview.layer_index(layer)] > 0
    examples = bundle.examples(factor, layer) if active else pd.DataFrame()
    if examples.empty:
        return f"{head}<p>{as_html(bundle.abilities.nothing_at(layer))}</p></section>"
    as_text = selected.level == "high"
    if as_text:
        count = extent.texts_at_peak if peak else extent.texts_elsewhere
    else:
        count = extent.at_peak if peak else extent.elsewhere
    shown, contexts = examples.head(count), bundle.contexts(factor, layer)
    found = passages_of(
        bundle,
        shown,
        extent.text_words if as_text else extent.words,
        habits=_habits(bundle, factor, layer, shown, contexts),
        contexts=contexts,
    )
    largest = float(examples["activation"].max())
    found = [replace(passage, brief=extent.brief) for passage in found]
    listed = (passages.texts if as_text else passages.lines)(found, largest)
    # Said once, where most examples stand; what tints mean is the same at every layer.
    legend = passages.legend(found) if peak and bundle.abilities.token_activations else ""
    around = ""
    if peak and selected.level == "mid":
        shares = words_around.shares(bundle, examples.head(lined_up.EXAMPLES))
        around = f"<h3>Words around it</h3>{words_around.table_html(shares)}"
    count_said = _count_said(contents, len(found), len(examples))
    return f'{head}<p class="said">{count_said}</p>{legend}{listed}{around}</section>'


def _habits(
    bundle: Bundle, factor: int, layer: int, shown: pd.DataFrame, contexts: pd.DataFrame
) -> dict[str, float] | None:
    """Return what tints the examples whose tokens' activations the bundle does not hold."""
    if shown["rank"].isin(contexts["rank"]).all():
        return None
    return layer_words.usual_activations(bundle, factor, layer)


def _count_said(contents: Contents, shown: int, stored: int) -> str:
    if not contents.bundle.abilities.activations:
        return f"{shown} of the {stored} on the website are shown; the number is the rank there."
    return f"{shown} of the {stored} strongest are shown, one a window of text, strongest first."


def _layers_side_by_side(selected: Selected) -> str:
    columns = "".join(layer_words.column_html(selected, at) for at in selected.bundle.layers)
    said = selected.bundle.abilities.whole_words.why_not or definitions.LAYER_WORDS
    return (
        f'<section id="words"><h2>Words by layer</h2><p class="said">{as_html(said)}</p>'
        '<div class="tf-layers" role="group" tabindex="0" aria-label="Words by layer">'
        f"{columns}</div></section>"
    )


def _similar(contents: Contents, factor: int, links: Links) -> str:
    """Return the factors that are like it, and those that fire with it; "" where none is known."""
    lists = [
        ("Factors like it", definitions.COSINE, contents.similar(factor, _SIMILAR)),
        ("Factors that fire with it", definitions.TOGETHER, contents.together(factor, _TOGETHER)),
    ]
    drawn = "".join(
        f'<div><h3 title="{as_html(tip)}">{title}</h3><ol class="similar">'
        + "".join(_other(contents, other, value, links) for other, value in members)
        + "</ol></div>"
        for title, tip, members in lists
        if members
    )
    return f'<section id="similar"><h2>Similar factors</h2>{drawn}</section>' if drawn else ""


def _other(contents: Contents, factor: int, value: float, links: Links) -> str:
    return f"<li><span>{value:.2f}</span> {named_link(contents, factor, links)}</li>"


def named_link(contents: Contents, factor: int, links: Links) -> str:
    """Return a factor's name as a link to its page, as plain text where it has none."""
    name, level = as_html(contents.names[factor]), str(contents.levels[factor])
    address = links(factor)
    shown = f"<bdi>{name}</bdi>"
    linked = f'<a href="{address}">{shown}</a>' if address else shown
    return f'{linked} <small class="tf-{level or "dead"}">{level or "no level"}</small>'
