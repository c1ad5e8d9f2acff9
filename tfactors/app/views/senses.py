"""Word senses: the occurrences of a word in groups, layer by layer.

Draws how well a word's occurrences separate at each layer. At one of them it draws the groups, each
with the factors that mark it and its places in the text, the word marked.
"""

import numpy as np
import pandas as pd
import streamlit as st
from scipy.sparse import csr_array

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import downloads, live_model, selection
from tfactors.app.views import senses_charts, senses_groups
from tfactors.app.views.senses_groups import Groups, Occurrences
from tfactors.bundle import Bundle
from tfactors.bundle.passages import passages_of
from tfactors.describe import senses
from tfactors.display import passages
from tfactors.portrait import definitions

_JOB = "senses.word"
_SUGGESTED = 24
_LISTED = 12  # occurrences of a group that are shown at once
_WORDS = 10
_SHORTEST, _ENOUGH = 3, 40  # letters and occurrences of the word that is open at first


def show(bundle: Bundle) -> None:
    """Draw the choice of a word, and its groups."""
    if not bundle.abilities.live_model:
        st.markdown(bundle.abilities.live_model.why_not)
        return
    listed = bundle.senses()
    chosen = url_state.value_of(controls.WORD).strip() or clearest_word(listed)
    word = senses_groups.casefolded(chosen)
    st.text_input(
        "A word",
        placeholder="left",
        **url_state.widget(controls.WORD, chosen),
        help="Upper and lower case are one word.",
    )
    if not word:
        _suggest_words(listed)
        return
    if len(word.split()) > 1:
        st.info("One word at a time, please.", icon=":material/info:")
        return
    occurrences = senses_groups.known_occurrences(bundle, word)
    if occurrences is None:
        occurrences = _offer_to_read(bundle, word)
    if occurrences is not None:
        _draw_senses(bundle, occurrences)
    st.divider()
    _suggest_words(listed)


def clearest_word(listed: pd.DataFrame) -> str:
    """Return the word whose groups are furthest above chance; "" where the list is empty.

    First asked are words of letters with many occurrences: a few fall into groups by accident.
    """
    if listed.empty:
        return ""
    plain = listed["word"].map(lambda word: word.isalpha() and len(word) >= _SHORTEST)
    many = listed["occurrences"] >= _ENOUGH
    above = listed["silhouette"] - listed["chance"]
    order = np.lexsort((-above, ~many, ~plain))
    return str(listed["word"].iloc[order[0]])


def _suggest_words(listed: pd.DataFrame) -> None:
    if listed.empty:
        st.caption(
            "This bundle was built without a list of words; type one, and the model reads the "
            "places where it stands."
        )
        return
    st.markdown(
        "**Words that fall into the clearest groups** in this corpus, the clearest first:",
        help=f"{definitions.SILHOUETTE} Sorted by how far it is above chance.",
    )
    with st.container(horizontal=True, gap="xsmall"):
        for row in listed.head(_SUGGESTED).itertuples():
            st.button(
                shell.plain_text(row.word),
                key=f"sense_{row.Index}",
                type="tertiary",
                help=f"{row.groups} groups at layer {row.layer}, silhouette {row.silhouette:.2f}, "
                f"by chance {row.chance:.2f}",
                on_click=url_state.set_controls,
                args=({controls.WORD: row.word, controls.LAYER: controls.PEAK},),
            )
    with st.expander(f"All {len(listed)} as a table"):
        st.dataframe(
            listed,
            hide_index=True,
            alt="Words, their best layer, groups and silhouettes.",
            column_config={
                "word": st.column_config.TextColumn("Word", help=definitions.SENSE_WORD),
                "layer": st.column_config.NumberColumn("Best layer", help=definitions.SENSE_LAYER),
                "occurrences": st.column_config.NumberColumn(
                    "Occurrences", help=definitions.OCCURRENCES
                ),
                "groups": st.column_config.NumberColumn("Groups", help=definitions.GROUPS),
                "silhouette": st.column_config.NumberColumn(
                    "Silhouette", format="%.2f", help=definitions.SILHOUETTE
                ),
                "chance": st.column_config.NumberColumn(
                    "By chance", format="%.2f", help=definitions.CHANCE
                ),
            },
        )
        downloads.show(lambda: listed, "word_senses")


def _offer_to_read(bundle: Bundle, word: str) -> Occurrences | None:
    """Offer to have the model read a word that the bundle holds nothing about."""
    st.markdown(
        f"The bundle holds no groups of “{shell.plain_text(word)}”: it keeps those of the words "
        "that separate best. The model can read up to 48 of its occurrences now, which takes some "
        "seconds."
    )
    if live_model.missing_part(bundle):
        live_model.show_how_to_get(bundle)
        return None
    if st.button("Read its occurrences", type="primary", icon=":material/play_arrow:"):
        st.session_state[_JOB] = word
    if st.session_state.get(_JOB) != word:
        return None
    bar = st.empty()
    try:
        senses_groups.read_occurrences(bundle, word, bar.progress)
    finally:
        st.session_state.pop(_JOB, None)
    st.rerun()


def _draw_senses(bundle: Bundle, occurrences: Occurrences) -> None:
    count = len(occurrences.places)
    shown = shell.plain_text(occurrences.word)
    if not count:
        st.info(
            f"“{shown}” does not stand in the text of this bundle.", icon=":material/search_off:"
        )
        return
    if count < 2 * senses.SMALLEST_GROUP:
        st.info(
            f"“{shown}” stands in {count} windows of the text only, too few for groups: "
            f"it takes {2 * senses.SMALLEST_GROUP}.",
            icon=":material/info:",
        )
        return
    groups = senses_groups.groups_of(bundle, occurrences)
    best = senses.best_of(groups.groupings)
    if best is None:
        st.info(
            f"The {count} occurrences of “{shown}” do not fall into groups at any layer: the same "
            "factors are active on all of them.",
            icon=":material/info:",
        )
        return
    chosen = url_state.value_of(controls.LAYER)
    layer = best.layer if chosen == controls.PEAK else chosen
    place = bundle.layers.index(layer)
    grouping, chance = groups.groupings[place], groups.chance[place]
    _say_best_layer(best, groups.chance[bundle.layers.index(best.layer)], count, shown)
    left, right = st.columns([5, 4], gap="large")
    with left:
        _draw_silhouettes(bundle, groups, layer)
    with right:
        st.segmented_control(
            "Groups at layer",
            bundle.layers,
            required=True,
            format_func=lambda at: f"{at} (best)" if at == best.layer else str(at),
            **url_state.widget(controls.LAYER, layer),
        )
        _say_open_layer(grouping, chance, layer)
        st.toggle(
            f"More than {_LISTED} of each group", **url_state.widget(controls.ALL_OCCURRENCES)
        )
        downloads.show(lambda: _occurrence_rows(bundle, occurrences, groups), f"senses_{layer}")
    _draw_groups(bundle, occurrences, grouping, place)


def _say_best_layer(best: senses.Grouping, chance: float, count: int, word: str) -> None:
    clear = "above" if best.silhouette > chance + 0.05 else "hardly above"
    st.markdown(
        f"{count} occurrences of **{word}** separate best at **layer {best.layer}**, into "
        f"{best.groups} groups: silhouette {best.silhouette:.2f}, {clear} the {chance:.2f} of "
        "chance.",
        help=f"{definitions.SILHOUETTE} By chance: {definitions.CHANCE}",
    )


def _say_open_layer(grouping: senses.Grouping, chance: float, layer: int) -> None:
    if grouping.groups < 2:
        st.caption(f"At layer {layer} the occurrences do not fall into groups.")
        return
    strays = int((grouping.group == senses.STRAY).sum())
    more = f"; {strays} stray{'s' if strays > 1 else ''}" if strays else ""
    place = " Layer 0 knows no context: these are places in the window." if layer == 0 else ""
    st.caption(
        f"Layer {layer}: {grouping.groups} groups{more}; silhouette {grouping.silhouette:.2f}, by "
        f"chance {chance:.2f}.{place}"
    )


def _draw_silhouettes(bundle: Bundle, groups: Groups, layer: int) -> None:
    silhouettes = np.nan_to_num([grouping.silhouette for grouping in groups.groupings])
    numbers = ", ".join(f"{value:.2f}" for value in silhouettes)
    senses_charts.silhouette_curve(
        bundle.layers,
        silhouettes,
        groups.chance,
        layer,
        alt=f"Silhouette of the groups at each layer: {numbers}.",
    )


def _draw_groups(
    bundle: Bundle, occurrences: Occurrences, grouping: senses.Grouping, column: int
) -> None:
    codes = occurrences.codes[column]
    numbers = range(grouping.groups) if grouping.groups > 1 else [0]
    st.caption(
        "Links lead to the factors that mark a group, with the occurrences on which each is "
        "active. The number before a line is the sum of their activations there."
    )
    for number in numbers:
        rows = np.flatnonzero(grouping.group == number)
        marks = senses.marks(codes, grouping.group, number)
        if grouping.groups < 2:
            marks = np.argsort(-np.asarray(codes.mean(axis=0)).ravel(), kind="stable")[:4].tolist()
            st.subheader("All occurrences", anchor=False)
        else:
            st.subheader(
                f"Group {number + 1}: {len(rows)} of {len(occurrences.places)} occurrences",
                anchor=False,
            )
        _draw_marking_factors(bundle, codes, rows, marks, grouping.layer)
        _draw_occurrences(bundle, occurrences, rows, codes, marks)
    strays = np.flatnonzero(grouping.group == senses.STRAY)
    if len(strays):
        with st.expander(f"Strays: {len(strays)} occurrences in no group"):
            _draw_occurrences(bundle, occurrences, strays, codes, [])


def _draw_marking_factors(
    bundle: Bundle, codes: csr_array, rows: np.ndarray, marks: list[int], layer: int
) -> None:
    with st.container(horizontal=True, gap="small"):
        for factor in marks:
            column = codes[:, [factor]].toarray().ravel()
            active = int((column[rows] > 0).sum())
            name = shell.plain_text(selection.factor_name(bundle, factor))
            shell.link(
                controls.FACTOR_PAGE,
                f"{name} · on {active} of {len(rows)}",
                icon=":material/label:",
                changes={controls.FACTOR: factor, controls.LAYER: layer},
            )


def _draw_occurrences(
    bundle: Bundle,
    occurrences: Occurrences,
    rows: np.ndarray,
    codes: csr_array,
    marks: list[int],
) -> None:
    """Draw places as lines, those first on which the factors that mark the group are strongest."""
    dense = codes[:, marks].toarray() if marks else np.zeros((codes.shape[0], 1))
    strength = dense[rows].sum(axis=1)
    order = np.argsort(-strength, kind="stable")
    rows, strength = rows[order], strength[order]
    listed = rows if url_state.value_of(controls.ALL_OCCURRENCES) else rows[:_LISTED]
    frame = occurrences.places.iloc[listed].copy()
    frame["word"] = occurrences.word
    frame["rank"] = range(len(frame))
    frame["activation"] = strength[: len(listed)]
    st.html(passages.lines(passages_of(bundle, frame, _WORDS), float(strength.max(initial=0.0))))


def _occurrence_rows(bundle: Bundle, occurrences: Occurrences, groups: Groups) -> pd.DataFrame:
    frame = occurrences.places.copy()
    frame.insert(0, "word", occurrences.word)
    for grouping in groups.groupings:
        frame[f"group_layer_{grouping.layer}"] = grouping.group
    tokens = bundle.windows(frame["window"].to_list())["tokens"]
    frame["text"] = ["".join(parts).strip() for parts in tokens]
    return frame
