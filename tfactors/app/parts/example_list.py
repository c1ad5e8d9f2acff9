"""The list of examples of a factor at a layer, with its sidebar, its order and its download.

Turns the stored examples (strongest first) into one list as the reader wants it: so many, from this
activation on, in this order, as lines or as running text.

The text of the examples is read in a thread of its own while the page above the list is made, for
most of which Python is free. One such thread serves all readers; who cannot wait reads directly.
"""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import (
    definitions,
    downloads,
    factor_summary,
    live_model,
    live_tokens,
    published,
)
from tfactors.app.parts.selection import Selected
from tfactors.bundle import Bundle
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display.passages import Passage
from tfactors.errors import InputError

_TINTED = (
    "The marked word is the one whose activation is shown. The other tokens that activate the "
    "factor are tinted blue, the deeper the nearer to that activation; point at one for its "
    "number. The bundle holds these numbers of the strongest examples. In the others, until the "
    "model has read them again, words tinted yellow and dotted are ones that the "
    "factor answers to as a rule: the stronger, the larger its mean activation over all their "
    "tokens. Text in grey italics stands beside the window in the document; the model "
    "did not read it here."
)


def sidebar(ranked: bool, expanded: bool = True) -> None:
    """Draw the controls of the list; where only ranks are known, those of activations are none."""
    with st.sidebar, st.expander("Examples", expanded=expanded, icon=":material/list:"):
        st.slider("How many", 10, 200, step=10, **url_state.widget(controls.EXAMPLE_COUNT))
        if not ranked:
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
            disabled=url_state.get(controls.LAYOUT) == "window",
            **url_state.widget(controls.CONTEXT),
        )
        st.selectbox(
            "Order",
            list(controls.SORTS),
            format_func=lambda sort: controls.SORTS[sort],
            **url_state.widget(controls.SORT),
        )
        st.segmented_control(
            "Shown as",
            list(controls.LAYOUTS),
            required=True,
            format_func=lambda layout: controls.LAYOUTS[layout],
            help="Lines put the words below each other; text flows; window shows all that the "
            "model read.",
            **url_state.widget(controls.LAYOUT),
        )
        st.toggle("Group by word", **url_state.widget(controls.GROUPED_BY_WORD))
        if not ranked:
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
    kept = examples[enough]
    kept = kept.iloc[::-1] if sort == "weakest" else kept
    kept = kept.head(top)
    return kept.sort_values(["window", "position"]) if sort == "document" else kept


def start_reading(selected: Selected, examples: pd.DataFrame) -> "Future[None]":
    """Begin to read the text of the list, for :func:`show`, while other things are drawn."""
    return _start_reading_windows(selected.bundle, _listed(examples)["window"].to_list())


def _listed(examples: pd.DataFrame) -> pd.DataFrame:
    top, floor = (
        url_state.get(controls.EXAMPLE_COUNT),
        url_state.get(controls.LEAST_ACTIVATION) / 100,
    )
    return listed_examples(examples, top, floor, url_state.get(controls.SORT))


def show(selected: Selected, examples: pd.DataFrame, begun: "Future[None] | None" = None) -> None:
    """Draw the list of a factor's examples, as the sidebar says."""
    stored = len(examples)
    sort = url_state.get(controls.SORT)
    kept = _listed(examples)
    layout = url_state.get(controls.LAYOUT)
    words = None if layout == "window" else url_state.get(controls.CONTEXT)
    habits = _usual_activations(selected)
    if url_state.get(controls.EVERY_TOKEN) and not selected.bundle.ranked:
        _read_missing_contexts(selected, kept)
    contexts = live_tokens.known_contexts(selected, kept)
    if begun is not None:
        _finish_reading(begun)
    found = passages_of(selected.bundle, kept, words, habits=habits, contexts=contexts)
    found = _in_order(found, sort)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(
            f"Where it is active at layer {selected.layer}",
            anchor=False,
            help=definitions.ACTIVATION,
        )
        if found:
            _download(selected, found)
    ranked = selected.bundle.ranked
    if not stored:
        says = factor_summary.silence_sentence(selected)
        if not ranked and selected.row["alive"]:
            says = f"{says} It is most important at layer {selected.row['peak_layer']}."
        elif not ranked:
            says = (
                "This factor is dead: no token of the corpus activates it at any layer. "
                "Try the next one."
            )
        st.markdown(says)
        return
    st.caption(_list_summary(kept, stored, ranked), help=published.RANKS if ranked else _TINTED)
    strongest = float(examples["activation"].max())
    if url_state.get(controls.GROUPED_BY_WORD):
        shown = passages.grouped(found, strongest, layout)
    else:
        shown = (passages.lines if layout == "lines" else passages.texts)(found, strongest)
    st.html(shown if ranked or not found else passages.legend(found) + shown)


def _read_missing_contexts(selected: Selected, kept: pd.DataFrame) -> None:
    """Let the model say what the bundle does not hold, or say what is missing for that."""
    if len(live_tokens.known_contexts(selected, kept)) == len(kept):
        return
    if live_model.missing_part(selected.bundle):
        with st.container(border=True):
            live_model.show_how_to_get(selected.bundle)
        return
    # A place of its own, which is empty again when the list stands.
    note = st.empty()
    try:
        live_tokens.read_contexts(selected, kept, lambda share, words: note.progress(share, words))
    except InputError as error:
        live_model.show_refusal(error)
    note.empty()


def _usual_activations(selected: Selected) -> dict[str, float]:
    """Return what the factor answers to as a rule: mean activation over all tokens of a word,
    those that leave it silent among them, as a share of the word with the largest.
    """
    if selected.bundle.ranked:
        return {}
    words = selected.bundle.words(selected.factor, selected.layer)
    mean = words["mean_activation"] * words["count"] / words["occurrences"]
    return dict(zip(words["word"], (mean / mean.max()).astype(float), strict=True))


def _list_summary(kept: pd.DataFrame, stored: int, ranked: bool) -> str:
    if kept.empty:
        return "None of the stored examples is that strong: lower the smallest activation."
    low, high = kept["activation"].min(), kept["activation"].max()
    words = kept["word"].str.casefold().nunique()
    what = (
        f"{len(kept)} of the {stored} on the website; the number is the rank there"
        if ranked
        else f"{len(kept)} of the {stored} strongest, one a window of text; activation {low:.2f} "
        f"to {high:.2f}"
    )
    return f"{what}; {words} different word{'s' if words != 1 else ''}."


def _in_order(found: list[Passage], sort: str) -> list[Passage]:
    if sort == "after":
        return sorted(found, key=lambda p: "".join(p.tokens[p.stop :]).strip().casefold())
    if sort == "before":
        return sorted(found, key=lambda p: "".join(p.tokens[: p.start]).casefold().split()[::-1])
    return found


def _download(selected: Selected, found: list[Passage]) -> None:
    def table() -> pd.DataFrame:
        rows = []
        for p in found:
            before, word, after = (
                "".join(p.tokens[a:b])
                for a, b in ((0, p.start), (p.start, p.stop), (p.stop, len(p.tokens)))
            )
            activation = None if p.ranked else round(p.activation, 4)
            rows.append((p.rank + 1, activation, before, word.strip(), after, p.source))
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


def _finish_reading(begun: "Future[None]") -> None:
    """Wait for what has begun; what has not is not read any more, so that nothing is read twice.

    What went wrong is not told here: who asks for the windows meets it again.
    """
    if not begun.cancel():
        begun.exception()
