"""One factor as a reader meets it: headline, level with its reason, curve in words, numbers."""

from typing import Any

import numpy as np
import pandas as pd

from tfactors.bundle import Bundle
from tfactors.describe.labels import MIXED
from tfactors.describe.levels import OlderThresholds
from tfactors.display import passages
from tfactors.display.text import as_html
from tfactors.portrait import definitions, level_rule, older_level_rule
from tfactors.portrait.figure import Figure, percent
from tfactors.portrait.names import TITLE_WORDS
from tfactors.portrait.selected import Selected

_OF_SHORT_WINDOWS = 500  # factors of the 2021 website
_DOTS = {"low": "●○○", "mid": "●●○", "high": "●●●", "": "○○○"}


def headline(selected: Selected, words: list[str], named: bool, by_model: str = "") -> str:
    """Return number, words, level and why it has this level, as HTML.

    ``words`` are what it is called by, ``named`` whether people have given it that name, and
    ``by_model`` is the HTML of what a language model calls it.
    """
    name = '<span class="tf-dot">·</span><wbr>'.join(
        f"<bdi>{passages.escape(word)}</bdi>" for word in words
    )
    row, limits, blocks = selected.row, selected.thresholds, selected.bundle.blocks
    if selected.bundle.abilities.level_rule or not isinstance(limits, OlderThresholds):
        why = level_rule.level_reason(row, selected.level, limits, blocks)
    else:
        why = f"{older_level_rule.website_reason(row, limits, blocks)} {_website_origin(selected)}"
    curve = _curve_in_words(selected) if selected.overview.has_curve[selected.factor] else ""
    return (
        f'<header class="tf-head">'
        f'<p class="tf-over">Factor {selected.factor:,} at layer {selected.layer}</p>'
        f"<h1>{name or 'no words'}</h1>{by_model}"
        f"{level_badge(selected.level, _instead_of_level(selected))}"
        f'<p class="tf-why">{_level_meaning(selected)}{as_html(why)}</p>'
        f"{_label_claim(selected, named)}"
        f'<p class="tf-unseen">{curve}</p></header>'
    )


def _website_origin(selected: Selected) -> str:
    """Return of which dictionary of the 2021 website a factor is, or "" where it has but one."""
    website = selected.bundle.about.website
    if website is None or website.long_columns is None:
        return ""
    if selected.factor < _OF_SHORT_WINDOWS:
        return "On the website: of the dictionary learnt on short windows."
    column = website.long_columns.get(str(selected.factor))
    where = "" if column is None else f", where it is column {column}"
    return f"On the website: of the other dictionary, learnt on long windows{where}."


_KINDS = {
    "word": "its words",
    "lemma": "the forms of a word",
    "affix": "the beginning or end of words",
    "name": "part of a name",
    "number": "a number",
    "punctuation": "a mark",
    "position": "a place in the text",
    "neighbour": "the word beside it",
    "source": "where the text is from",
    "class": "a class of words",
    "pattern": "the words around it",
    "use": "a word in one of its uses",
    "topic": "what its windows are about",
}


# What judged a label, where it is not the tokens that are held out.
_JUDGES = {
    "sample": "tokens of other windows",
    "held out windows": "held-out windows",
    "sample windows": "other windows",
}


def _curve_in_words(selected: Selected) -> str:
    """Return the curve in words, for readers who cannot see it.

    They are not the chart's own alt text: a chart with other words is embedded anew, which is most
    of the time that the next factor takes in the browser.
    """
    values = selected.overview.importance[selected.factor]
    peak = selected.bundle.layers[int(np.argmax(values))]
    points = ", ".join(
        f"{v:.2f} at {at}" for at, v in zip(selected.bundle.layers, values, strict=True)
    )
    return f"Importance by layer: {points}. It peaks at layer {peak}."


def _label_claim(selected: Selected, named: bool) -> str:
    """Return the HTML of what the label claims, and how often it is right."""
    row = selected.row
    kind, judged = row["label_kind"], not pd.isna(row["label_precision"])
    if kind == "mixed" or row["label"].startswith(MIXED):
        claim = "It has no name: no rule was found that tells where it fires."
        if not (named or judged):
            claim += " The words above are only the closest."
        elif judged:
            closest = "The closest rule is" if named else "The words above are only the closest,"
            claim += f" {closest} that <bdi>{as_html(row['label_rule'])}</bdi>: {_shares(row)}"
    elif kind in _KINDS and judged:
        claim = f"The label tells {_KINDS[kind]}<bdi>{as_html(_rule(row))}</bdi>: {_shares(row)}"
    else:
        return ""
    return f'<p class="tf-why">{claim}</p>'


def _rule(row: pd.Series) -> str:
    """Return the rule of a label as far as the label does not say it; older bundles list words."""
    if not pd.isna(row["label_rule"]):
        return f", if {row['label_rule']}"
    words = str(row["label"]).split(", ")
    long = row["label_kind"] == "word" and len(words) > TITLE_WORDS
    return f" ({', '.join(words)})" if long else ""


def _shares(row: pd.Series) -> str:
    """Return precision and recall of a label as a sentence; older bundles count no parts."""
    judge = row["label_judge"]
    judges = _JUDGES.get(judge, "held-out tokens")
    how = "strongly" if pd.isna(judge) else "(a weak activation counts in part)"
    strongly = "" if pd.isna(judge) else " strongly"
    return (
        f"{row['label_precision']:.0%} of the {judges} that fit activate the factor {how}, and "
        f"{row['label_recall']:.0%} of those that do{strongly} fit."
    )


def _instead_of_level(selected: Selected) -> str:
    """Return what stands in the place of a level."""
    if selected.row["alive"]:
        return "no level"
    return "dead" if selected.bundle.abilities.silence else "no page"


def level_badge(level: str, otherwise: str = "no level") -> str:
    """Return the HTML of a level's badge."""
    shown = f"{level} level" if level else otherwise
    return (
        f'<span class="tf-badge tf-{level or "dead"}"><i aria-hidden="true">{_DOTS[level]}</i>'
        f"{shown}</span>"
    )


def _level_meaning(selected: Selected) -> str:
    if not selected.level:
        return ""
    meaning = level_rule.level_meaning(selected.level, selected.thresholds)
    return f"<em>{meaning.capitalize()}.</em> "


def figures(selected: Selected) -> list[Figure]:
    """Return the factor's numbers, each with its definition; none where none was published."""
    if not selected.bundle.abilities.activations:
        return []
    overview, row = selected.overview, selected.row
    here = (selected.factor, selected.column)
    importance, largest = overview.importance[here], overview.maximum[here]
    shown = [
        Figure("Importance", f"{importance:.2f}", importance_help(selected.bundle)),
        Figure("Density", percent(overview.density[here]), definitions.DENSITY),
        Figure("Largest activation", f"{largest:.2f}", definitions.MAXIMUM),
        *level_rule.figures(row, selected.thresholds),
        Figure("Reach", _reach(row["reach"]), definitions.REACH),
    ]
    if not pd.isna(row["stability"]):
        shown.append(Figure("Stability", f"{row['stability']:.2f}", definitions.STABILITY))
    return shown


def _reach(value: Any) -> str:
    if pd.isna(value):
        return "–"
    return "the word" if value == 0 else f"{value} token{'s' if value != 1 else ''}"


def importance_help(bundle: Bundle) -> str:
    """Return what importance means in this bundle."""
    defined = definitions.IMPORTANCE.format(k=bundle.about.importance.k)
    return bundle.abilities.heights.why_not or defined
