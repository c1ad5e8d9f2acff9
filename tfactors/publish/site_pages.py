"""The pages of a site beside those of its factors: home, lists by level, search, curves, map.

Turns a bundle into the body of each. They are named as the pages of the dashboard, and read the
same query, so that a link of the dashboard leads to the same view when the address before the
page's name is changed: ``Factor.html?factor=30&layer=4``.
"""

from collections.abc import Sequence

import numpy as np

from tfactors.bundle.passages import passages_of
from tfactors.describe.levels import Thresholds
from tfactors.display import passages
from tfactors.display.text import as_html
from tfactors.portrait import definitions, level_rule, map_names, model_label, origin, summary
from tfactors.publish import charts
from tfactors.publish.contents import LEVELS, Contents
from tfactors.publish.factor_page import named_link, numbers

_ROWS = 250  # of a page of a list
_CARD_LINES, _CARD_WORDS = 4, 5


def address(factor: int) -> str:
    """Return the address of a factor's page from the folder of the site."""
    return f"factors/{factor}.html"


def home(contents: Contents) -> str:
    """Return the first page: the idea, factors worth a click, what the bundle is."""
    bundle = contents.bundle
    cards = "".join(
        _card(contents, level, members[0]) for level, members in contents.best.items() if members
    )
    more = "".join(
        f"<section><h3>More {level}-level factors</h3><ul class=plain>"
        + "".join(f"<li>{named_link(contents, at, address)}</li>" for at in members[1:8])
        + "</ul></section>"
        for level, members in contents.best.items()
        if len(members) > 1
    )
    notice = f'<p class="tf-note">{as_html(contents.notice)}</p>' if contents.notice else ""
    facts = "".join(
        f"<dt>{as_html(name)}</dt><dd><bdi>{as_html(text)}</bdi></dd>"
        for name, text in origin.origin_facts(bundle)
    )
    return (
        f"{notice}<h1>What does a language model see in a word?</h1>"
        f'<p class="tf-lead">To a model, each word of a text is a list of {bundle.width} numbers, '
        f"made anew by each of its {bundle.blocks} layers. Every such list is the sum of a few "
        "<b>transformer factors</b>, directions that each stand for one thing, such as a sense of "
        "a word, a turn of phrase or a topic. This site shows the "
        f"{bundle.n_factors:,} factors that were found in one model by reading a large text: the "
        f"words each one answers to, and where in the network it lives.</p>{_search_form('', 40)}"
        f'<h2>Factors worth a click</h2><div class="cards tf-cards">{cards}</div>'
        f'<div class="cards">{more}</div>'
        f'<h2>This bundle</h2>{numbers(origin.figures(bundle))}<dl class="tf-facts">{facts}</dl>'
        f"{_quality(contents)}<h2>Links of the dashboard</h2><p>This site was published from a "
        "bundle of tfactors and needs no server. A link of its dashboard opens the same view here "
        "if the part before the page’s name is changed: <code>…/Factor?factor=30&amp;layer=4"
        "</code> is <code>Factor.html?factor=30&amp;layer=4</code>. What asks the model (a text of "
        "your own, saliency, origins) is in the dashboard alone.</p>"
    )


def _card(contents: Contents, level: str, factor: int) -> str:
    bundle, layer = contents.bundle, contents.peak(factor)
    examples = bundle.examples(factor, layer, _CARD_LINES)
    lines = passages.lines(passages_of(bundle, examples, _CARD_WORDS), 1.0)
    words = " · ".join(f"<bdi>{passages.escape(word)}</bdi>" for word in contents.words[factor][:3])
    meaning = level_rule.level_meaning(level, bundle.about.importance.thresholds)
    spark = charts.spark(
        contents.overview.share_of_peak[factor], bundle.layers.index(layer), f"layer {layer}"
    )
    return (
        f'<article class="tf-card">{summary.level_badge(level)}<h3>'
        f'<a href="{address(factor)}">{words}</a></h3>'
        f"{model_label.card_html(contents.by_model.get(factor))}"
        f'<p class="tf-sub">{as_html(meaning.capitalize())}</p><div class="tf-{level}">{spark}'
        f'</div><p class="tf-sub">factor {factor:,}, peaks at layer {layer} of {bundle.blocks}</p>'
        f"{lines}</article>"
    )


def _quality(contents: Contents) -> str:
    """Return factors a token and explained variance of each layer as a table."""
    layers = contents.bundle.about.metrics.layers
    if not layers:
        return ""
    rows = "".join(
        f"<tr><th scope=row>{of.layer}</th>"
        f"<td>{'–' if of.l0 is None else f'{of.l0:.1f}'}</td>"
        f"<td>{'–' if of.explained_variance is None else f'{of.explained_variance:.0%}'}</td></tr>"
        for of in layers
    )
    return (
        "<table class=figures><caption>How good it is at each layer</caption><thead><tr>"
        f'<th scope=col>Layer</th><th scope=col title="{as_html(definitions.L0)}">Factors a token'
        f'</th><th scope=col title="{as_html(definitions.EXPLAINED_VARIANCE)}">Explained variance'
        f"</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _search_form(root: str, size: int) -> str:
    return (
        f'<form class="find" role="search" action="{root}Search.html" method="get">'
        '<label for="q">Words, a name or a number</label>'
        f'<input id="q" name="q" type="search" size="{size}" maxlength="500" autocomplete="off">'
        "<button>Search</button></form>"
    )


def factor_chooser(contents: Contents) -> str:
    """Return the page that a link of the dashboard to a factor opens."""
    last = contents.bundle.n_factors - 1
    layers = "".join(f"<option>{layer}</option>" for layer in contents.bundle.layers)
    return (
        '<h1>A factor by its number</h1><form class="find" method="get" action="Factor.html">'
        f'<label for="factor">Factor, 0 to {last}</label>'
        f'<input id="factor" name="factor" type="number" min="0" max="{last}" required>'
        '<label for="layer">Layer</label><select id="layer" name="layer">'
        f'<option value="">its peak</option>{layers}</select><button>Open</button></form>'
        '<p id="notice" role="status"></p>'
        "<p data-without-scripts>This page needs JavaScript; the lists by level lead to every "
        "factor without it.</p>"
    )


def levels(contents: Contents) -> str:
    """Return the page of the levels: what each means, how many there are, the way to its list."""
    limits = contents.bundle.about.importance.thresholds
    sections = ""
    for level, members in contents.listed.items():
        name = f"{level}-level" if level else "of no level"
        meaning = level_rule.level_meaning(level, limits).capitalize() if level else ""
        sections += (
            f"<section><h2>{summary.level_badge(level)} {len(members):,} factors</h2>"
            f"<p>{as_html(meaning)}</p>"
            f'<p><a href="{list_address(level, 0)}">All factors {name}</a> '
            f'<button hidden data-draw="{level}">Draw one at random</button></p></section>'
        )
    rule = level_rule.rule_sentence(limits)
    if not contents.bundle.abilities.level_rule and not isinstance(limits, Thresholds):
        rule = contents.bundle.abilities.level_rule.why_not
    return f'<h1>Factors by level</h1><p class="said">{as_html(rule)}</p>{sections}'


def list_address(level: str, page: int) -> str:
    """Return the address of a page of a level's list, from the folder of the site."""
    return f"levels/{level or 'none'}-{page + 1}.html"


def lists(contents: Contents) -> dict[str, tuple[str, str]]:
    """Return title and body of every page of every level's list, by address."""
    found = {}
    for level, members in contents.listed.items():
        pages = [members[at : at + _ROWS] for at in range(0, len(members), _ROWS)]
        name = f"{level}-level factors" if level else "Factors of no level"
        for number, rows in enumerate(pages):
            title = f"{name.capitalize()}, {number + 1} of {len(pages)}"
            links = "".join(
                f'<a href="../{list_address(level, at)}"'
                f"{' aria-current=page' if at == number else ''}>{at + 1}</a>"
                for at in range(len(pages))
            )
            menu = f'<nav class="layers" aria-label="Pages of the list">{links}</nav>'
            if len(pages) == 1:
                menu = ""
            body = (
                f"<h1>{name.capitalize()}</h1><p class=said>{len(members):,}, the most important "
                f"first.</p>{menu}{_table(contents, rows)}{menu}"
            )
            found[list_address(level, number)] = (title, body)
    return found


def _table(contents: Contents, factors: Sequence[int]) -> str:
    overview, layers = contents.overview, contents.bundle.layers
    shares = overview.share_of_peak
    rows = ""
    for factor in factors:
        peak = contents.peak(factor)
        importance = overview.importance[factor].max()
        known = contents.bundle.abilities.activations and importance > 0
        spark = charts.spark(shares[factor], layers.index(peak), f"layer {peak}")
        level = str(contents.levels[factor])
        rows += (
            f'<tr><th scope=row><a href="../{address(factor)}"><bdi>'
            f"{as_html(contents.names[factor])}</bdi></a></th>"
            f'<td class="tf-{level or "dead"}">{spark if overview.has_curve[factor] else ""}</td>'
            f"<td>{peak}</td><td>{f'{importance:.2f}' if known else '–'}</td></tr>"
        )
    return (
        '<table class="list"><thead><tr><th scope=col>Factor</th>'
        f'<th scope=col title="{as_html(definitions.CURVE)}">Layers</th>'
        f'<th scope=col title="{as_html(definitions.PEAK)}">Peak</th>'
        f'<th scope=col title="{as_html(definitions.PEAK_IMPORTANCE)}">Importance</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def search() -> str:
    """Return the page of the search, which ``site.js`` fills."""
    return (
        f"<h1>Search</h1>{_search_form('', 40)}"
        f'<p class="said" title="{as_html(definitions.MATCH)}">Words find the factors that match '
        "them best; names hold the text anywhere. A link of the dashboard opens its view.</p>"
        '<p id="notice" role="status"></p><ol id="found" class="similar"></ol>'
        "<p data-without-scripts>The search needs JavaScript; the lists by level lead to every "
        "factor without it.</p>"
    )


def curves(contents: Contents) -> str:
    """Return the page of curves: one of each level, and any others that a reader asks for."""
    shown = sorted(members[0] for members in contents.best.values())
    overview, bundle = contents.overview, contents.bundle
    pictures = "".join(
        f"<figure><figcaption>{named_link(contents, factor, address)}</figcaption>"
        + charts.curve(
            bundle.layers,
            overview.importance[factor],
            overview.band,
            str(contents.levels[factor]),
            contents.peak(factor),
            f"Importance by layer of factor {factor}",
            links=False,
        )
        + "</figure>"
        for factor in shown
        if overview.has_curve[factor]
    )
    return (
        "<h1>Curves</h1>"
        f'<p class="said">{as_html(summary.importance_help(bundle))} The grey band holds 90% of '
        "all factors, the dashed line is their median.</p>"
        '<form class="find" method="get" action="Curves_and_saliency.html">'
        '<label for="factors">Up to 12 factors, by number</label><input id="factors" '
        'name="factors" size="40" placeholder="3,14,15" autocomplete="off" inputmode="numeric">'
        "<button>Draw</button></form>"
        f'<p id="notice" role="status"></p><div id="drawn"></div><div id="curves" class="cards">'
        f"{pictures}</div>"
    )


def map_places(contents: Contents) -> dict[str, list[tuple[int, int] | None]]:
    """Return where each factor stands on the maps that the bundle has, by the map's name."""
    factors, alive = contents.bundle.factors, contents.bundle.factors["alive"].to_numpy(bool)

    def column(name: str) -> np.ndarray:
        return np.where(alive, factors[name].to_numpy(float), np.nan)

    found = {}
    if factors["map_x"].notna().any():
        found["near"] = charts.placed(column("map_x"), column("map_y"))
    if isinstance(contents.bundle.about.importance.thresholds, Thresholds):
        spread = np.log(column("effective_words"))
        found["levels"] = charts.placed(spread, column("window_share"))
    return {name: places for name, places in found.items() if any(places)}


def map_regions(contents: Contents) -> list[tuple[int, int, str]]:
    """Return the place and the name of each of the largest regions of the map by likeness."""
    bundle, places = contents.bundle, map_places(contents).get("near", [])
    if not bundle.abilities.regions or not any(places):
        return []
    alive = bundle.factors[bundle.factors["alive"].to_numpy(bool)]
    low, high = (alive[["map_x", "map_y"]].agg(name).to_numpy(float) for name in ("min", "max"))
    coarse = bundle.regions[bundle.regions["zoom"] == 0]
    # The letters are as large here as twice those of the dashboard, on a map of 1,000 by 1,000.
    whole = (low[0], high[0], low[1], high[1])
    names = map_names.placed_names(coarse, whole, charts.MAP_SIDE / 1.7, charts.MAP_SIDE / 1.7)
    found = []
    for row, members in zip(names.itertuples(), coarse["factors"], strict=True):
        # The dot that the region is named at: that of the factor nearest to its place.
        own = bundle.factors.iloc[members]
        away = (own["map_x"] - row.x) ** 2 + (own["map_y"] - row.y) ** 2
        place = places[int(members[int(away.to_numpy().argmin())])]
        if row.start <= 1 and row.named and place:
            found.append((*place, str(row.name)))
    return found


def map_page(contents: Contents) -> str:
    """Return the page of the maps; ``site.js`` adds names and links to the dots."""
    titles = {"near": "By likeness", "levels": "By level"}
    said = {
        "near": "Near factors are alike; only nearness means something.",
        "levels": "To the right: on more words the strongest examples spread (logarithmic). "
        "Upwards: the more of the variance the window decides.",
    }
    named = map_regions(contents)
    if named:
        said["near"] += " Words on the map name its regions by what most of their factors share."
    maps = "".join(
        f'<section id="{name}"><h2>{titles[name]}</h2><p class="said">{said[name]}</p>'
        f'<div class="mapped" data-map="{name}" tabindex="0" role="group" aria-label="Map '
        f'{titles[name].lower()}: arrow keys go from factor to factor, Enter opens one">'
        f"{charts.dots(places, contents.levels, titles[name], named if name == 'near' else [])}"
        '<p class="tip" role="status"></p></div></section>'
        for name, places in map_places(contents).items()
    )
    if not maps:
        return "<h1>Map</h1><p>This bundle has no map: it holds no places of its factors.</p>"
    legend = "".join(
        f'<li class="tf-{level}"><b class="shape-{level}" aria-hidden="true"></b>{level} level</li>'
        for level in LEVELS
    )
    return (
        f'<h1>Map</h1><ul class="legend">{legend}</ul><form class="find" id="light">'
        '<label for="lit">Light up factors with</label><input id="lit" type="search" '
        'autocomplete="off"></form>'
        '<p id="notice" role="status"></p>'
        "<p data-without-scripts>Without JavaScript the dots have no names; the lists by level "
        f"have all factors.</p>{maps}"
    )
