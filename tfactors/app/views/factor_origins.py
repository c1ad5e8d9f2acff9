"""What a factor is made from over its activations, and what it goes into: two lists of links.

Draws what the bundle holds of the factor's peak layer (`tfactors.explain.factor_origins`), so that
a reader walks from a factor down to the words, and up to what needs it. Nothing is asked of the
model here.
"""

from pathlib import PurePath
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import downloads, selection
from tfactors.app.parts.selection import Selected
from tfactors.bundle import Bundle
from tfactors.display.text import as_html
from tfactors.portrait import definitions

MAINLY = 0.5  # share from which on a factor is mainly itself one layer below
_AT_ONE_PLACE = 0.5  # part of a share at one offset, from which on that offset is told
_ONE_SIDE = 0.8  # and on one side of the token
_LISTED = 20


def show(selected: Selected) -> None:
    """Draw both lists of a factor."""
    bundle, factor = selected.bundle, selected.factor
    if not bundle.abilities.factor_origins:
        st.subheader("Made from", anchor=False, help=definitions.MADE_FROM)
        st.caption(bundle.abilities.factor_origins.why_not)
        return
    sources, targets = bundle.origins(factor), bundle.feeds(factor)
    if selected.row["alive"]:
        shell.link(
            controls.MAP_PAGE,
            "Arrows on the map",
            ":material/scatter_plot:",
            changes={controls.FACTOR: factor, controls.MAP_ARROWS: True},
        )
    _draw_sources(selected, sources)
    _draw_targets(selected, targets)


def _draw_sources(selected: Selected, sources: pd.DataFrame) -> None:
    bundle, factor = selected.bundle, selected.factor
    st.subheader("Made from", anchor=False, help=definitions.MADE_FROM)
    st.markdown(" ".join(_about_sources(selected, sources)))
    others = sources[sources["source"] != factor]
    if len(others):
        items = [_item(row, _source(bundle, row)) for row in others.itertuples()]
        _draw_list(items, f"What factor {factor} is made from")
    if len(sources):
        downloads.show(lambda: _named(bundle, sources, "source"), f"made_from_{factor}")


def _about_sources(selected: Selected, sources: pd.DataFrame) -> list[str]:
    """Return sentences on where the numbers are from, and on the factor itself."""
    peak, lowest = int(selected.row["peak_layer"]), selected.bundle.layers[0]
    if not selected.row["alive"]:
        return ["No token of the corpus activates this factor."]
    if peak == lowest:
        return [
            f"This factor peaks at layer {peak}, the lowest of this bundle: nothing is known below "
            "it but the word itself."
        ]
    if sources.empty:
        return ["No factor or word of the layer below was found in more than one activation."]
    below, examples = int(sources["layer"].iloc[0]), int(sources["examples"].iloc[0])
    itself = float(sources.loc[sources["source"] == selected.factor, "share"].sum())
    if itself >= MAINLY:
        said = f"It is mainly itself: **{itself:.0%}** is the same factor at layer {below}."
    elif itself >= 0.05:
        said = f"**{itself:.0%}** of it is the same factor at layer {below}."
    else:
        said = f"Hardly anything of it is the same factor at layer {below} already."
    drawn = "one activation" if examples == 1 else f"{examples} activations"
    return [
        said,
        f"Shares of {drawn} at its peak, layer {peak}, drawn at random; what is listed is active "
        f"at layer {below}, or a word at another token.",
    ]


def _draw_targets(selected: Selected, targets: pd.DataFrame) -> None:
    bundle, factor = selected.bundle, selected.factor
    st.subheader("Goes into", anchor=False, help=definitions.GOES_INTO)
    if targets.empty:
        st.caption("It is not among the strongest sources of any other factor.")
        return
    more = f" The first {_LISTED}; the files hold all." if len(targets) > _LISTED else ""
    many = "One factor has" if len(targets) == 1 else f"{len(targets):,} factors have"
    st.markdown(
        f"{many} it among their strongest sources. Shares are of the activation of the factor that "
        f"is listed, at its own peak.{more}"
    )
    peaks = bundle.factors["peak_layer"].to_numpy()
    items = []
    for row in targets.head(_LISTED).itertuples():
        target = _link(bundle, int(row.target), int(peaks[row.target]))
        items.append(_item(row, target))
    _draw_list(items, f"What factor {factor} goes into")
    downloads.show(lambda: _named(bundle, targets, "target"), f"goes_into_{factor}")


def _draw_list(items: list[str], label: str) -> None:
    st.html(f'<ol class="tf-network" aria-label="{as_html(label)}">{"".join(items)}</ol>')


def _item(row: Any, what: str) -> str:
    """Return a line of a list: share, its spread, what it is of, and where it matters."""
    sign = " · lowers it" if row.share < 0 else ""
    place = place_in_words(int(row.offset), float(row.there), float(row.before))
    title = (
        f"{row.there:.0%} of it {place_in_words(int(row.offset), 1.0, 0.0)}; found in {row.found} "
        f"of {row.examples} activations"
    )
    return (
        f"<li><b>{row.share:+.0%}</b><small>± {row.spread:.0%}</small>"
        f'<span>{what}<small title="{as_html(title)}">{place}{sign} · in {row.found} of '
        f"{row.examples}</small></span></li>"
    )


def _source(bundle: Bundle, row: Any) -> str:
    if row.kind == "factor":
        return _link(bundle, int(row.source), int(row.layer))
    asked: shell.Changes = {controls.QUERY: row.word, controls.SEARCH_MODE: "words"}
    href = _address(controls.SEARCH_PAGE, (controls.BUNDLE, controls.QUERY), asked)
    return f'the word <a href="{as_html(href)}">“<bdi>{as_html(row.word)}</bdi>”</a>'


def _link(bundle: Bundle, factor: int, layer: int) -> str:
    """Return a factor as a link to its own two lists, at a layer."""
    asked: shell.Changes = {
        controls.FACTOR: factor,
        controls.LAYER: layer,
        controls.PART: "origins",
    }
    href = _address(controls.FACTOR_PAGE, (controls.BUNDLE, *asked), asked)
    name = as_html(selection.factor_name(bundle, factor))
    return f'<a href="{as_html(href)}"><bdi>{name}</bdi></a> <small>layer {layer}</small>'


def _address(page: controls.Page, shared: tuple[Any, ...], asked: shell.Changes) -> str:
    query = urlencode(url_state.query_of(shared, asked))
    return f"{PurePath(page.path).stem.partition('_')[2]}?{query}"


def place_in_words(offset: int, there: float, before: float) -> str:
    """Say where a source matters: at one place, on one side, or all around.

    Examples
    --------
    >>> place_in_words(-2, 0.9, 1.0), place_in_words(0, 0.6, 0.1), place_in_words(3, 0.2, 0.4)
    ('2 tokens before', 'at the token itself', 'all around')
    """
    if there >= _AT_ONE_PLACE:
        if offset == 0:
            return "at the token itself"
        tokens = "1 token" if abs(offset) == 1 else f"{abs(offset)} tokens"
        return f"{tokens} {'before' if offset < 0 else 'after'}"
    if before >= _ONE_SIDE:
        return "at tokens before"
    if before <= 1 - _ONE_SIDE:
        return "at the token or after" if offset == 0 else "at tokens after"
    return "all around"


def _named(bundle: Bundle, rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return rows for a file, with the names of the factors."""
    names = selection.factor_names(bundle)["name"]
    return rows.assign(name=[names[number] if number >= 0 else "" for number in rows[column]])
