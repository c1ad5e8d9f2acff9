"""Which words of the context an activation depends on: stored explanations, and new ones.

In goes a factor at a layer; out come its explained examples, supporting words underlined, opposing
ones dashed, and a form to explain any other example.
"""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app import controls, definitions, explaining, passages, published, shell, view
from tfactors.app.explaining import Request
from tfactors.app.factor_view import Selected

LEGEND = (
    '<p class="tf-legend"><span><mark>word</mark> the word whose activation is explained</span>'
    '<span><span class="tf-plus" style="--a:.8">word</span> supports it: without the word the '
    "factor is less active</span>"
    '<span><span class="tf-minus" style="--a:.8">word</span> works against it (dashed)</span></p>'
)


def sidebar() -> None:
    """Draw the parameters of new explanations."""
    with st.sidebar, st.expander("Saliency", expanded=True, icon=":material/ink_highlighter:"):
        st.segmented_control(
            "Method", list(controls.METHODS), required=True,
            format_func=lambda method: controls.METHODS[method],
            help="LIME fits a linear model to the activations of texts with random words left "
            "out. Occlusion leaves out one word at a time, which is exact and knows no samples.",
            **view.widget(controls.METHOD),
        )  # fmt: skip
        lime = view.get(controls.METHOD) == "lime"
        st.slider("Samples", 50, 1000, step=50, disabled=not lime,
                  help="How many masked texts the model reads. More is steadier, and slower.",
                  **view.widget(controls.SAMPLES))  # fmt: skip
        st.slider("Features", 1, 128, disabled=not lime,
                  help="How many words may get a weight, those with the largest.",
                  **view.widget(controls.FEATURES))  # fmt: skip
        st.text_input("Replacement token", max_chars=30, placeholder="the unknown token",
                      help="What stands where a word is left out: a token of the model's "
                      "vocabulary, such as [MASK].",
                      **view.widget(controls.REPLACEMENT))  # fmt: skip
        st.number_input("Seed", 0, 10**6, disabled=not lime,
                        help="Fixes the random choice of words; the same seed gives the same "
                        "picture.", **view.widget(controls.LIME_SEED))  # fmt: skip


def show(it: Selected) -> None:
    """Draw the stored explanations of a factor at a layer, and the form for new ones."""
    examples = it.bundle.examples(it.factor, it.layer)
    if examples.empty:
        st.markdown(f"No token of the corpus activates this factor at layer {it.layer}.")
        return
    st.html(LEGEND)
    _new(it, examples)
    _stored(it, examples)


def _stored(it: Selected, examples: pd.DataFrame) -> None:
    method = view.get(controls.METHOD)
    stored = it.bundle.saliency(it.factor, it.layer)
    stored = stored[stored["method"] == method]
    st.markdown("##### Stored with the bundle", help=definitions.SCORE)
    if stored.empty:
        st.caption(
            "Nothing is stored for this factor at this layer. A bundle stores LIME for some "
            "factors, at the layer where each is most important."
        )
        return
    tints = {int(row.rank): _told_from_zero(row) for row in stored.itertuples()}
    kept = examples[examples["rank"].isin(tints)]
    st.caption(
        " · ".join(
            f"example {row.rank + 1}: score {row.score:.2f}, {row.samples} samples"
            if row.samples
            else f"example {row.rank + 1}: from the website, as shares of the largest weight"
            for row in stored.itertuples()
        )
    )
    found = passages.passages(it.bundle, kept, None, tints)
    st.html(passages.texts(found, float(examples["activation"].max()), numbers=True))


def _told_from_zero(row: Any) -> np.ndarray:
    """Return the weights of a stored map, 0 where they cannot be told from it."""
    weights = np.asarray(row.weights)
    if row.errors is None:  # an older bundle, or the website
        return weights
    from tfactors.saliency import told_from_zero

    return np.where(told_from_zero(weights, np.asarray(row.errors), row.activation), weights, 0)


def _new(it: Selected, examples: pd.DataFrame) -> None:
    missing = explaining.missing(it.bundle)
    number = min(view.get(controls.EXAMPLE), len(examples))
    example = examples.iloc[number - 1]
    request = Request(
        it.factor, it.layer, int(example["window"]), int(example["position"]),
        view.get(controls.METHOD), view.get(controls.SAMPLES), view.get(controls.FEATURES),
        view.get(controls.REPLACEMENT).strip(), view.get(controls.LIME_SEED),
    )  # fmt: skip
    st.markdown("##### Explain an example yourself")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            f"Example, 1 to {len(examples)}", 1, len(examples), width=150,
            **view.widget(controls.EXAMPLE, number),
        )  # fmt: skip
        st.button(
            f"Explain with {controls.METHODS[request.method]}", type="primary", shortcut="E",
            disabled=missing is not None, on_click=explaining.ask, args=(request,),
        )  # fmt: skip
        stop = st.empty()
    if missing and not it.bundle.has("dictionary.parquet"):
        st.caption(published.NO_DICTIONARY)
    elif missing:
        st.caption(f"To explain examples here, {shell.plain(missing)}.")
    text = st.empty()
    if explaining.asked(request):
        with text:
            _text(it, examples, example, None)
        if explaining.answer(it.bundle, request) is None:
            stop.button("Stop", on_click=explaining.withdraw, icon=":material/stop:")
            bar = st.empty()
            explaining.run(it.bundle, request, bar.progress)
            st.rerun()
        explaining.withdraw()
    answer = explaining.answer(it.bundle, request)
    with text:
        told = None if answer is None else np.where(answer.significant, answer.weights, 0)
        _text(it, examples, example, told)
    if answer is not None:
        fit = f"score {answer.score:.2f}, " if answer.method == "lime" else ""
        if np.isfinite(answer.stability):
            fit += f"two halves of the texts agree to {answer.stability:.2f}, "
        st.caption(
            f"{controls.METHODS[answer.method]}: {fit}{answer.samples:,} texts read; activation "
            f"{answer.activation:.2f} now, {example['activation']:.2f} in the bundle.",
            help=definitions.SCORE,
        )
        if answer.activation == 0:
            st.caption("The factor is silent here when the model reads it now: nothing to explain.")


def _text(
    it: Selected, examples: pd.DataFrame, example: pd.Series, weights: np.ndarray | None
) -> None:
    tints = None if weights is None else {int(example["rank"]): weights}
    found = passages.passages(it.bundle, example.to_frame().T, None, tints)
    st.html(passages.texts(found, float(examples["activation"].max())))
