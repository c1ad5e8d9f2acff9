"""Two factors side by side: of one layer or two, of one bundle or two.

Draws both factors as their own pages show them, what they have in common, and the factors of the
other side's bundle that are most like the first. The other factor is chosen by its number or by a
click on its row.
"""

from typing import Any

import streamlit as st

from tfactors.app.frame import controls, shell, store, url_state
from tfactors.app.parts import factor_summary, factor_table, figures, selection
from tfactors.app.parts.selection import Selected
from tfactors.app.views import compare_matching
from tfactors.bundle import Bundle
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.portrait import definitions
from tfactors.portrait.figure import Figure

_EXAMPLES = 15
_WORDS = 6


def choose_other_bundle(bundle: Bundle) -> Bundle:
    """Draw the choice of the other side's bundle, where there are several; return it open."""
    folders = store.bundle_folders()
    chosen = url_state.value_of(controls.OTHER_BUNDLE)
    if chosen and chosen not in folders:
        st.info(
            f"There is no bundle “{shell.plain_text(chosen[:40])}” here; the open one is shown.",
            icon=":material/info:",
        )
        url_state.reset(controls.OTHER_BUNDLE)
        chosen = ""
    if len(folders) > 1:
        titles = store.bundle_titles(folders)
        st.selectbox(
            "With a factor of",
            ["", *folders],
            width=420,
            format_func=lambda name: titles.get(name, "the same bundle"),
            **url_state.widget(controls.OTHER_BUNDLE, chosen),
        )
    return store.open_bundle(folders[chosen]) if chosen else bundle


def choose_other_factor(one: Selected, other: Bundle) -> Selected:
    """Draw the choice of the other factor and layer; return what they select."""
    factor = url_state.value_of(controls.OTHER_FACTOR)
    if factor is not None and factor >= other.n_factors:
        st.caption(f"The factors of the other bundle are 0 to {other.n_factors - 1:,}.")
        factor = None
    if factor is None:
        nearest = compare_matching.best_matches(one.bundle, one.factor, other)
        factor = int(nearest["factor"].iloc[0]) if len(nearest) else 0
    layer = url_state.value_of(controls.OTHER_LAYER)
    layer = layer if layer in other.layers else controls.PEAK
    selected = selection.select_factor(other, factor, layer)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            f"With factor, 0 to {other.n_factors - 1:,}",
            0,
            other.n_factors - 1,
            width=170,
            **url_state.widget(controls.OTHER_FACTOR, factor),
        )
        st.segmented_control(
            "At layer",
            [controls.PEAK, *other.layers],
            required=True,
            format_func=lambda at: "Peak" if at == controls.PEAK else str(at),
            **url_state.widget(controls.OTHER_LAYER, layer),
        )
        st.button(
            "The same factor",
            on_click=url_state.set_controls,
            width="content",
            args=({controls.OTHER_FACTOR: one.factor, controls.OTHER_BUNDLE: ""},),
            help="Beside itself, to compare two layers.",
        )
    return selected


def show_side(selected: Selected, control: url_state.Control[Any], name: str) -> None:
    """Draw one factor; a click on its curve sets the layer's control."""
    factor_summary.headline(selected)
    clicked = factor_summary.importance_curve(selected, name)
    if clicked is not None and clicked != selected.layer:
        url_state.set_controls({control: clicked})
        st.rerun()
    factor_summary.numbers(selected, key=f"numbers_{name}")
    examples = passages_of(
        selected.bundle,
        selected.bundle.examples(selected.factor, selected.layer, _EXAMPLES),
        _WORDS,
    )
    if examples:
        st.html(
            passages.lines(
                examples, float(selected.overview.maximum[selected.factor, selected.column])
            )
        )
    else:
        st.caption(selected.bundle.abilities.nothing_at(selected.layer))


def show_common(one: Selected, two: Selected) -> None:
    """Draw what two factors have in common, and why a number is missing."""
    reasons = compare_matching.missing_numbers(one.bundle, two.bundle)
    st.subheader("What they have in common", anchor=False)
    shown = []
    if not reasons.cosine:
        cosine = compare_matching.cosines(one.bundle, one.factor, two.bundle)[two.factor]
        shown.append(Figure("Cosine", f"{cosine:.2f}", definitions.COSINE))
    if not reasons.examples:
        both, either = compare_matching.shared_examples(
            one.bundle, one.factor, one.layer, two.bundle, two.factor, two.layer
        )
        shown.append(Figure("Shared examples", f"{both} of {either}", definitions.SHARED_EXAMPLES))
    words = compare_matching.shared_words(one.bundle, one.factor, two.bundle, two.factor)
    shown.append(Figure("Shared words", str(len(words)), definitions.SHARED_WORDS))
    figures.show(shown)
    # Said either way: where a line comes and goes, all that is below it is drawn anew.
    shared = ", ".join(shell.plain_text(passages.shorten(word, 40)) for word in words)
    st.caption(f"Words in common: {shared or 'none'}.")
    for sentence in filter(None, (reasons.cosine, reasons.examples)):
        st.caption(sentence)


def show_matches(one: Selected, other: Bundle) -> None:
    """Draw the factors of the other bundle that are most like one; a row takes its side."""
    share = None if other is one.bundle else compare_matching.share_found_again(one.bundle, other)
    st.subheader(f"Most like factor {one.factor:,}", anchor=False, help=definitions.MATCHES)
    if share is not None:
        st.markdown(
            f"**{share:.0%}** of the living factors of the open bundle have a partner in the "
            f"other with a cosine of at least {compare_matching.FOUND_AGAIN:g}."
        )
    matches = compare_matching.best_matches(one.bundle, one.factor, other)
    if matches.empty:
        where = "of the open bundle" if other is one.bundle else "of the other bundle"
        st.caption(f"No other factor {where} has a word in common with it.")
        return
    rows = factor_table.factor_rows(other, matches["factor"].to_numpy())
    columns = {}
    for name, label, form, tip in (
        ("cosine", "Cosine", "%.2f", definitions.COSINE),
        ("examples", "Examples", "percent", definitions.SHARED_EXAMPLES),
        ("words", "Words", "%d", definitions.SHARED_WORDS),
    ):
        if name in matches:
            rows[f"shared_{name}"] = matches[name].to_numpy()
            columns[f"shared_{name}"] = st.column_config.NumberColumn(
                label if name != "words" else "Shared words", format=form, help=tip, width="small"
            )
    factor_table.show(
        rows,
        f"matches_{one.factor}",
        f"The {len(rows)} factors most like factor {one.factor}.",
        columns,
        choose=lambda factor: url_state.set_controls(
            {controls.OTHER_FACTOR: factor, controls.OTHER_LAYER: controls.PEAK}
        ),
    )
