"""The list of examples of a factor at a layer, with its sidebar, its order and its download.

Turns the stored examples (strongest first) into one list as the reader wants it: so many, from this
activation on, in this order, as lines or as running text. Where the reader has not chosen, a
high-level factor, which answers to what a whole window is about, is shown as whole windows, and any
other as lines.

The text of the examples is read in a thread of its own while the page above the list is made, for
most of which Python is free. One such thread serves all readers. Where it is busy with another
reader's text, the list reads its own directly.
"""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import (
    downloads,
    example_filter,
    live_model,
    live_tokens,
    option_buttons,
)
from tfactors.app.parts.selection import Selected
from tfactors.bundle import Bundle
from tfactors.bundle.abilities import Abilities
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display.passages import Passage
from tfactors.errors import InputError
from tfactors.portrait import definitions, layer_words

_TINTED = (
    "The marked word is the one whose activation is shown. The other tokens that activate the "
    "factor are tinted blue, the deeper the nearer to that activation; point at one for its "
    "number. The bundle holds these numbers of the strongest examples. In the others, until the "
    "model has read them again, words tinted yellow and dotted are ones that the "
    "factor answers to as a rule: the stronger, the larger its mean activation over all their "
    "tokens. Text in grey italics stands beside the window in the document; the model "
    "did not read it here."
)

# Examples to begin with: lines are read at a glance, ten windows are some 2,000 words.
_COUNTS = {"lines": 50, "text": 50, "window": 10}


def layout_of_level(level: str) -> str:
    """Return the layout that shows a factor of this level as what it is."""
    return "window" if level == "high" else "lines"


def layout_in_force(level: str) -> str:
    """Return the layout of the list: the reader's, else that of the factor's level."""
    chosen = url_state.value_of(controls.LAYOUT)
    return layout_of_level(level) if chosen == "level" else chosen


def _count_in_force(layout: str) -> int:
    return url_state.value_of(controls.EXAMPLE_COUNT) or _COUNTS[layout]


def sidebar(bundle: Bundle, level: str, expanded: bool = True) -> None:
    """Draw the controls of the list of a factor of this level.

    Where only ranks are known, those of activations are none.
    """
    layout = layout_in_force(level)
    with st.sidebar, st.expander("Examples", expanded=expanded, icon=":material/list:"):
        st.slider(
            "How many",
            10,
            controls.MOST_EXAMPLES,
            step=10,
            **url_state.widget(controls.EXAMPLE_COUNT, _count_in_force(layout)),
        )
        if bundle.abilities.activations:
            st.slider(
                "Smallest activation",
                0,
                100,
                step=5,
                format="%d%%",
                help="As a share of the factor's largest activation at this layer.",
                **url_state.widget(controls.LEAST_ACTIVATION),
            )
        st.slider(
            "Words of context on each side",
            0,
            60,
            disabled=layout == "window",
            **url_state.widget(controls.CONTEXT),
        )
        st.selectbox(
            "Order",
            list(controls.SORTS),
            format_func=lambda sort: controls.SORTS[sort],
            **url_state.widget(controls.SORT),
        )
        st.toggle("Group by word", **url_state.widget(controls.GROUPED_BY_WORD))
        if bundle.abilities.token_activations:
            st.toggle(
                "Every token's activation",
                **url_state.widget(controls.EVERY_TOKEN),
                help="The bundle holds the activation of every token of the strongest examples. "
                "For the others the model reads their windows again, which takes a few seconds.",
            )


def listed_examples(examples: pd.DataFrame, top: int, floor: float, sort: str) -> pd.DataFrame:
    """Return the examples to list: at least ``floor`` of the largest activation, ``top`` of them.

    The weakest are taken from the stored ones when ``sort`` asks for them.
    """
    if examples.empty:
        return examples
    enough = examples["activation"] >= floor * examples["activation"].max()
    listed = examples[enough]
    listed = listed.iloc[::-1] if sort == "weakest" else listed
    listed = listed.head(top)
    return listed.sort_values(["window", "position"]) if sort == "document" else listed


def start_reading(selected: Selected, examples: pd.DataFrame) -> "Future[None]":
    """Begin to read the text of the list, for :func:`show`, while other things are drawn."""
    listed = examples  # whose text says which pass, where a filter is on
    if not example_filter.in_force().asked:
        listed = _listed(examples, _count_in_force(layout_in_force(selected.level)))
    return _start_reading_windows(selected.bundle, listed["window"].to_list())


def _listed(examples: pd.DataFrame, top: int) -> pd.DataFrame:
    return listed_examples(_above_floor(examples), top, 0.0, url_state.value_of(controls.SORT))


def _above_floor(examples: pd.DataFrame) -> pd.DataFrame:
    floor = url_state.value_of(controls.LEAST_ACTIVATION) / 100
    return listed_examples(examples, len(examples), floor, "activation")


def show(selected: Selected, examples: pd.DataFrame, begun: "Future[None] | None" = None) -> None:
    """Draw the list of a factor's examples, as the sidebar and the filter say."""
    count = len(examples)
    strongest = float(examples["activation"].max()) if count else 0.0
    if example_filter.in_force().asked:
        finish_reading(begun)
    passing = example_filter.in_force().passing(selected.bundle, _above_floor(examples))
    sort = url_state.value_of(controls.SORT)
    layout = layout_in_force(selected.level)
    listed = listed_examples(passing, _count_in_force(layout), 0.0, sort)
    words = None if layout == "window" else url_state.value_of(controls.CONTEXT)
    habits = layer_words.usual_activations(selected.bundle, selected.factor, selected.layer)
    if url_state.value_of(controls.EVERY_TOKEN) and selected.bundle.abilities.token_activations:
        _read_missing_contexts(selected, listed)
    contexts = live_tokens.known_contexts(selected, listed)
    finish_reading(begun)
    shown_passages = passages_of(selected.bundle, listed, words, habits=habits, contexts=contexts)
    shown_passages = _in_order(shown_passages, sort)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(
            f"Where it is active at layer {selected.layer}",
            anchor=False,
            help=definitions.ACTIVATION,
        )
        if shown_passages:
            _layout_buttons(selected.level)
        if count:
            example_filter.button(selected.bundle)
        if shown_passages:
            _download(selected, shown_passages)
    abilities = selected.bundle.abilities
    if not count:
        sentence = abilities.nothing_at(selected.layer)
        if abilities.silence and selected.row["alive"]:
            sentence = f"{sentence} It is most important at layer {selected.row['peak_layer']}."
        elif abilities.silence:
            sentence = (
                "This factor is dead: no token of the corpus activates it at any layer. "
                "Try the next one."
            )
        st.markdown(sentence)
        return
    summary = _list_summary(listed, len(passing), count, abilities)
    st.caption(summary, help=abilities.token_activations.why_not or _TINTED)
    if listed.empty:
        return
    if url_state.value_of(controls.GROUPED_BY_WORD):
        shown = passages.grouped(shown_passages, strongest, layout)
    else:
        shown = (passages.lines if layout == "lines" else passages.texts)(shown_passages, strongest)
    tinted = shown_passages and abilities.token_activations
    st.html(passages.legend(shown_passages) + shown if tinted else shown)
    _more_button(len(listed), len(passing), _COUNTS[layout])


def _layout_buttons(level: str) -> None:
    by_level = f"By level ({controls.LAYOUTS[layout_of_level(level)].lower()})"
    option_buttons.show(
        "Shown as",
        controls.LAYOUT,
        controls.LAYOUTS | {"level": by_level},
        tip="By level shows high-level factors as whole windows and the others as lines. Lines put "
        "the words below each other; text flows; window shows all that the model read.",
        label_visibility="collapsed",
    )


def _more_button(shown: int, available: int, step: int) -> None:
    """Offer the examples that are left, some at a time."""
    more = min(shown - shown % 10 + step, available)  # the slider goes by tens
    if more > shown:
        st.button(
            f"Show {more - shown} more, of {available - shown} that are left",
            key="more_examples",
            icon=":material/expand_more:",
            on_click=url_state.set_controls,
            args=({controls.EXAMPLE_COUNT: more},),
        )


def _read_missing_contexts(selected: Selected, listed: pd.DataFrame) -> None:
    """Let the model say what the bundle does not hold, or say what is missing for that."""
    if len(live_tokens.known_contexts(selected, listed)) == len(listed):
        return
    if live_model.missing_part(selected.bundle):
        with st.container(border=True):
            live_model.show_how_to_get(selected.bundle)
        return
    # A place of its own, which is empty again when the list stands.
    note = st.empty()
    try:
        live_tokens.read_contexts(
            selected, listed, lambda share, words: note.progress(share, words)
        )
    except InputError as error:
        live_model.show_refusal(error)
    note.empty()


def _list_summary(listed: pd.DataFrame, passing: int, count: int, abilities: Abilities) -> str:
    filtered = shell.plain_text(example_filter.said())
    if listed.empty:
        if filtered:
            return f"None of the {count} stored examples passes the filter: {filtered}."
        return "None of the stored examples is that strong: lower the smallest activation."
    low, high = listed["activation"].min(), listed["activation"].max()
    words = listed["word"].str.casefold().nunique()
    of_those = (
        f"{len(listed)} of {passing} that pass the filter ({filtered}), of"
        if filtered
        else f"{len(listed)} of"
    )
    which = (
        f"{of_those} the {count} strongest, one a window of text; activation {low:.2f} "
        f"to {high:.2f}"
        if abilities.activations
        else f"{of_those} the {count} on the website; the number is the rank there"
    )
    return f"{which}; {words} different word{'s' if words != 1 else ''}."


def _in_order(unordered: list[Passage], sort: str) -> list[Passage]:
    if sort == "after":
        return sorted(
            unordered,
            key=lambda passage: "".join(passage.tokens[passage.stop :]).strip().casefold(),
        )
    if sort == "before":
        return sorted(
            unordered,
            key=lambda passage: "".join(passage.tokens[: passage.start]).casefold().split()[::-1],
        )
    return unordered


def _download(selected: Selected, shown_passages: list[Passage]) -> None:
    def table() -> pd.DataFrame:
        rows = []
        for passage in shown_passages:
            before, word, after = (
                "".join(passage.tokens[a:b])
                for a, b in (
                    (0, passage.start),
                    (passage.start, passage.stop),
                    (passage.stop, len(passage.tokens)),
                )
            )
            activation = None if passage.ranked else round(passage.activation, 4)
            rows.append((passage.rank + 1, activation, before, word.strip(), after, passage.source))
        columns = ["rank", "activation", "before", "word", "after", "document"]
        return pd.DataFrame(rows, columns=columns)

    downloads.show(table, f"factor_{selected.factor}_layer_{selected.layer}")


def smallest_shown(examples: pd.DataFrame) -> float | None:
    """Return the smallest stored activation, where the histogram draws its line."""
    return float(np.min(examples["activation"])) if len(examples) else None


_READER = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")


def _start_reading_windows(bundle: Bundle, windows: Iterable[int]) -> "Future[None]":
    """Begin to read these windows."""
    return _READER.submit(bundle.warm_windows, list(windows))


def finish_reading(reading: "Future[None] | None") -> None:
    """Wait for reading that has begun, and cancel what has not, so that nothing is read twice.

    An error is passed over: it comes up again where the list reads the same windows.
    """
    if reading is not None and not reading.cancel():
        reading.exception()
