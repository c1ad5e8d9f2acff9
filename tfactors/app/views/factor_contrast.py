"""What a factor ignores: the nearest contexts where it is silent.

Draws two lists. What the bundle knows comes at once: the factor's own words in the windows of its
strongest examples, where it is silent. The nearest contexts of the whole corpus by the model's own
similarity come when the reader asks for them, where the model is there.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import downloads, live_contrast, live_model, selection
from tfactors.app.parts.selection import Selected
from tfactors.bundle import Bundle
from tfactors.bundle.near_misses import silent_words
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display.text import as_html
from tfactors.errors import InputError
from tfactors.portrait import definitions

_LISTED = 8
_CONTEXT = 12


def show(selected: Selected, examples: pd.DataFrame) -> None:
    """Draw where the factor is silent; ``examples`` are its strongest at the layer."""
    st.subheader(
        f"Where it is silent at layer {selected.layer}", anchor=False, help=definitions.CONTRAST
    )
    if examples.empty:
        st.caption(selected.bundle.abilities.nothing_at(selected.layer))
        return
    st.markdown("What a factor ignores tells as much as what it likes.")
    _draw_nearest(selected)
    _draw_near_misses(selected, examples)


def _draw_near_misses(selected: Selected, examples: pd.DataFrame) -> None:
    """Draw the factor's words in the windows of its strongest examples, where it is silent."""
    bundle = selected.bundle
    st.markdown("**Its own words beside its strongest examples, where it is silent**")
    contexts = bundle.contexts(selected.factor, selected.layer)
    if contexts.empty:
        older = "This bundle does not say what the factor does at the other tokens of an example."
        st.caption(bundle.abilities.token_activations.why_not or older)
        return
    liked = Counter(word.casefold() for word in examples["word"])
    silent = silent_words(bundle, selected.factor, selected.layer, examples)
    places = [(word, *place) for word, _ in liked.most_common() for place in silent.get(word, [])]
    windows = f"the windows of its {len(contexts)} strongest examples"
    if not places:
        st.caption(f"None: wherever one of its words stands in {windows}, it is active.")
        return
    shown = pd.DataFrame(_by_turns(places)[:_LISTED], columns=["word", "window", "position"])
    st.caption(
        f"In {windows} its words stand at {len(places):,} place{'s' if len(places) > 1 else ''} "
        f"where no token of the word activates it; {len(shown)} of them:"
    )
    rows = shown.assign(activation=0.0, rank=range(len(shown)))
    st.html(passages.texts(passages_of(bundle, rows, _CONTEXT), 1.0))


def _by_turns(places: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Return the first place of each word, then the second of each, and so on.

    >>> _by_turns([("a", 1, 0), ("a", 2, 0), ("b", 3, 0)])
    [('a', 1, 0), ('b', 3, 0), ('a', 2, 0)]
    """
    seen: Counter[str] = Counter()
    turns = []
    for place in places:
        turns.append(seen[place[0]])
        seen[place[0]] += 1
    order = sorted(range(len(places)), key=turns.__getitem__)
    return [places[at] for at in order]


def _draw_nearest(selected: Selected) -> None:
    """Draw the nearest contexts by the model's own similarity, or offer to ask for them."""
    bundle = selected.bundle
    found = live_contrast.known_contrast(selected)
    if found is None:
        if not bundle.abilities.live_model:
            st.caption(bundle.abilities.live_model.why_not)
            return
        if remedy := live_model.remedy(bundle):
            st.caption(
                "The nearest of the whole corpus are chosen by the model itself: "
                f"{shell.plain_text(remedy)}."
            )
            return
        place = st.empty()
        asked = place.button(
            "Find the nearest contexts where it is silent",
            key=f"contrast_{selected.factor}_{selected.layer}",
            icon=":material/contrast:",
            help="The model reads some 60 windows again, which takes some seconds.",
        )
        if not asked:
            return
        try:
            found = live_contrast.ask_contrast(
                selected, lambda share, words: place.progress(share, words)
            )
        except InputError as error:
            place.empty()
            live_model.show_refusal(error)
            return
        place.empty()
    st.caption(
        f"The model read {found.windows} windows: those of the {_examples(selected)}, others with "
        "their words, and some at random. Chosen are the words whose hidden states it holds for "
        "most like those of the examples, and at none of whose tokens the factor is active. The "
        "number is the similarity; 1 is the same."
    )
    same = found.places[found.places["kind"] == "same"]
    other = found.places[found.places["kind"] == "other"]
    _draw_places(
        selected,
        same,
        "The same word, where it is silent",
        f"Of the {found.same:,} nearest places of these words it is silent at "
        f"{found.same_silent:,}."
        if found.same
        else "These words were found at no other place.",
    )
    _draw_places(selected, other, "Other words, where it is silent", "")
    if len(found.places):
        names = selection.factor_names(bundle)["name"]
        table = found.places.assign(
            names=[[names[at] for at in factors] for factors in found.places["factors"]]
        )
        downloads.show(lambda: table, f"contrast_{selected.factor}_{selected.layer}")


def _examples(selected: Selected) -> str:
    from tfactors.explain.contrast import EXAMPLES

    count = len(selected.bundle.examples(selected.factor, selected.layer, EXAMPLES))
    return f"{count} strongest examples" if count > 1 else "strongest example"


def _draw_places(selected: Selected, places: pd.DataFrame, title: str, caption: str) -> None:
    st.markdown(f"**{title}**")
    if caption:
        st.caption(caption)
    if places.empty:
        st.caption("None was found.")
        return
    rows = places.assign(activation=places["similarity"], rank=range(len(places)))
    drawn = [
        replace(passage, measure="similarity", ranked=False)
        for passage in passages_of(selected.bundle, rows, _CONTEXT)
    ]
    words = selected.bundle.examples(selected.factor, selected.layer)["word"]
    notes = [_note(selected.bundle, selected.layer, row, words) for row in places.itertuples()]
    st.html(passages.texts(drawn, 1.0, notes=notes))


def _note(bundle: Bundle, layer: int, place: Any, words: pd.Series) -> str:
    """Return which example a place is nearest to, and what fires there, as HTML."""
    example = passages.escape(str(words[place.example]))
    near = f"nearest to example {place.example + 1}, <bdi>{example}</bdi>"
    links = " · ".join(
        f"{_link(bundle, factor, layer)} {activation:.2f}"
        for factor, activation in zip(place.factors, place.activations, strict=True)
    )
    return f"{near}; there fires {links}" if links else f"{near}; no factor fires there"


def _link(bundle: Bundle, factor: int, layer: int) -> str:
    changes: shell.Changes = {controls.FACTOR: factor, controls.LAYER: layer}
    shared = (controls.BUNDLE, controls.FACTOR, controls.LAYER)
    query = urlencode(url_state.query_of(shared, changes))
    page = PurePath(controls.FACTOR_PAGE.path).stem.partition("_")[2]
    name = as_html(selection.factor_name(bundle, factor))
    return f'<a href="{as_html(f"{page}?{query}")}"><bdi>{name}</bdi></a>'
