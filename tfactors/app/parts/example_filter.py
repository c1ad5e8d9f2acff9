"""The filter of a factor's examples: a button that opens its fields, and what it says of itself.

Turns the controls of the page into a :class:`tfactors.bundle.example_filter.ExampleFilter`. It
goes with the reader from factor to factor, and is in the link.
"""

import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import option_buttons
from tfactors.bundle import Bundle
from tfactors.bundle.example_filter import ExampleFilter
from tfactors.portrait import definitions

_CONTROLS = (
    *(controls.EXAMPLE_WORD, controls.PLACE_OF_WORD, controls.EXAMPLE_SOURCE),
    *(controls.SINCE, controls.UNTIL),
)


def in_force() -> ExampleFilter:
    """Return the filter of the page."""
    return ExampleFilter(
        url_state.value_of(controls.EXAMPLE_WORD),
        url_state.value_of(controls.PLACE_OF_WORD) == "window",
        url_state.value_of(controls.EXAMPLE_SOURCE),
        url_state.value_of(controls.SINCE),
        url_state.value_of(controls.UNTIL),
    )


def button(bundle: Bundle) -> None:
    """Draw the button that opens the fields of the filter, and says how much it asks."""
    asked = in_force().asked
    with st.popover(
        f"Filter: {asked} on" if asked else "Filter",
        key="example_filter",
        icon=":material/filter_alt:",
        type="primary" if asked else "tertiary",
        help=definitions.EXAMPLE_FILTER,
    ):
        st.text_input(
            "Word",
            placeholder="a word, or a few in a row",
            **url_state.widget(controls.EXAMPLE_WORD),
        )
        option_buttons.show(
            "Where it stands",
            controls.PLACE_OF_WORD,
            controls.PLACES_OF_WORD,
            tip="The marked word is the one that activates the factor; near is anywhere in the "
            "text that the model read with it.",
        )
        _document_fields(bundle)
        st.button(
            "Take the filter off",
            key="no_filter",
            icon=":material/filter_alt_off:",
            disabled=not asked,
            on_click=take_off,
        )


def _document_fields(bundle: Bundle) -> None:
    titles = controls.source_titles(bundle)
    if not titles:
        st.caption(bundle.abilities.documents.why_not)
        return
    if len(titles) > 1:
        st.selectbox(
            "Source",
            ["", *titles],
            format_func=lambda name: titles.get(name, "any"),
            **url_state.widget(controls.EXAMPLE_SOURCE),
        )
    years = bundle.documents["year"].dropna()
    if years.empty:
        st.caption("No year is known of this corpus.")
        return
    first, last = int(years.min()), int(years.max())
    with st.container(horizontal=True):
        for label, control in (("From year", controls.SINCE), ("To year", controls.UNTIL)):
            st.number_input(
                label,
                *_widened(first, last, url_state.value_of(control)),
                step=1,
                width=130,
                placeholder=str(first if control is controls.SINCE else last),
                value=None,  # may be empty, which is what its default is
                **url_state.widget(control),
            )
    without = int(bundle.documents["year"].isna().sum())
    if without:
        st.caption(f"{without:,} of {len(bundle.documents):,} documents have no year.")


def _widened(first: int, last: int, asked: int | None) -> tuple[int, int]:
    """Return the years that a field takes: those of the corpus, and what a link asked for."""
    return min(first, first if asked is None else asked), max(
        last, last if asked is None else asked
    )


def said() -> str:
    """Return what the filter asks, in words; "" where it asks nothing.

    What a reader typed is in it as it is.
    """
    asked = in_force()
    parts = []
    if word := asked.word.strip():
        where = "anywhere near" if asked.anywhere else "as the marked word"
        parts.append(f"“{word}” {where}")
    if asked.source:
        parts.append(f"source “{asked.source}”")
    if asked.since is not None or asked.until is not None:
        ends = ("" if year is None else str(year) for year in (asked.since, asked.until))
        parts.append(f"years {'–'.join(ends)}")
    return ", ".join(parts)


def take_off() -> None:
    """Take the filter off. For callbacks."""
    url_state.set_controls({control: control.default for control in _CONTROLS})
