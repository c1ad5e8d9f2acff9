"""Which words of the context an activation depends on: stored explanations, and new ones.

In goes a factor at a layer; out come its explained examples, supporting words underlined, opposing
ones dashed, and a form to explain any other example.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import definitions, downloads, factor_summary, published
from tfactors.app.parts.selection import Selected
from tfactors.app.views import saliency_live
from tfactors.app.views.saliency_live import Request
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display import text as explanation_text

if TYPE_CHECKING:
    from tfactors.explain.saliency import Explanation


_LISTED = 12  # weights with their errors
_DEFINED = f"{definitions.SCORE} {definitions.MAP_STABILITY} {definitions.STANDARD_ERROR}"

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
            "Method",
            list(controls.METHODS),
            required=True,
            format_func=lambda method: controls.METHODS[method],
            help="LIME fits a linear model to the activations of texts with random words left "
            "out. Occlusion leaves out one word at a time, which is exact and knows no samples. "
            "Both shows them side by side, with how far they agree.",
            **url_state.widget(controls.METHOD),
        )
        lime = url_state.get(controls.METHOD) != "occlusion"
        ours = lime and url_state.get(controls.RECIPE) == ""
        st.number_input(
            "Context, tokens each side",
            0,
            512,
            help="How much of the text the model "
            "is shown, positions kept. 0 is the whole window; words further out than "
            "this have no weight. A model that reads from left to right has "
            "none after the word.",
            **url_state.widget(controls.MASK_RADIUS),
        )
        st.segmented_control(
            "Masks of LIME",
            list(controls.RECIPES),
            required=True,
            disabled=not lime,
            format_func=lambda recipe: controls.RECIPES[recipe],
            help="Ours leave out blocks of a sixteenth of the tokens and keep the marked word. "
            "Those of 2021 leave out 1 to all tokens, read 2,001 texts and give 30 weights: up to "
            "a minute.",
            **url_state.widget(controls.RECIPE),
        )
        st.slider(
            "Samples, at most",
            50,
            1000,
            step=50,
            disabled=not ours,
            help="How many masked texts the model may read. It stops before where every "
            "weight is known to 2.5% of the activation.",
            **url_state.widget(controls.LIME_SAMPLES),
        )
        st.slider(
            "Features",
            1,
            128,
            disabled=not ours,
            help="How many words may get a weight, those with the largest.",
            **url_state.widget(controls.LIME_FEATURES),
        )
        st.text_input(
            "Replacement token",
            max_chars=30,
            placeholder="the unknown token",
            help="What stands where a word is left out: a token of the model's "
            "vocabulary, such as [MASK].",
            **url_state.widget(controls.REPLACEMENT),
        )
        st.number_input(
            "Seed",
            0,
            10**6,
            disabled=not lime,
            help="Fixes the random choice of words; the same seed gives the same picture.",
            **url_state.widget(controls.LIME_SEED),
        )


def show(selected: Selected) -> None:
    """Draw the stored explanations of a factor at a layer, and the form for new ones."""
    examples = selected.bundle.examples(selected.factor, selected.layer)
    if examples.empty:
        st.markdown(factor_summary.silence_sentence(selected))
        return
    if selected.bundle.ranked:
        _published(selected, examples)
        return
    st.html(LEGEND)
    _new(selected, examples)
    _stored(selected, examples)


def _published(selected: Selected, examples: pd.DataFrame) -> None:
    """Draw the colours of the website."""
    stored = selected.bundle.saliency(selected.factor, selected.layer)
    if stored.empty:
        st.caption(published.NO_COLOURS)
        return
    st.html(LEGEND)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.markdown("##### LIME of 2021", help=published.COLOURS)
        downloads.show(
            lambda: _stored_table(selected, examples, stored),
            f"saliency_{selected.factor}_{selected.layer}",
        )
    _texts(selected, examples, stored)


def _stored(selected: Selected, examples: pd.DataFrame) -> None:
    chosen = url_state.get(controls.METHOD)
    stored = selected.bundle.saliency(selected.factor, selected.layer)
    if chosen != "both":
        stored = stored[stored["method"] == chosen]
    st.markdown("##### Stored with the bundle", help=definitions.SCORE)
    if stored.empty:
        st.caption(
            f"Nothing is stored by {controls.METHODS[chosen]} for this factor at this layer. A "
            "bundle stores maps at the layer where each factor is most important."
            if chosen != "both"
            else "Nothing is stored for this factor at this layer. A bundle stores maps for some "
            "factors, at the layer where each is most important."
        )
        return
    methods = stored.groupby("rank")["method"].agg(set)
    twice = sorted(rank for rank, by in methods.items() if len(by) > 1)
    for rank in twice:
        _side_by_side(selected, examples, stored[stored["rank"] == rank])
    with st.container(horizontal=True, horizontal_alignment="right"):
        downloads.show(
            lambda: _stored_table(selected, examples, stored),
            f"saliency_{selected.factor}_{selected.layer}",
        )
    for method in ("lime", "occlusion"):
        alone = stored[(stored["method"] == method) & ~stored["rank"].isin(twice)]
        if not alone.empty:
            _by_method(selected, examples, alone)


def _side_by_side(selected: Selected, examples: pd.DataFrame, stored: pd.DataFrame) -> None:
    """Draw the maps of one example by two methods."""
    agreement = float(stored["agreement"].iloc[0])
    says = f", which agree to {agreement:.2f}" if np.isfinite(agreement) else ""
    st.markdown(
        f"**Example {int(stored['rank'].iloc[0]) + 1}, by both methods{says}**",
        help=definitions.MAP_AGREEMENT,
    )
    stored = stored.sort_values("method")  # lime, occlusion
    for column, (_, row) in zip(st.columns(2, gap="large"), stored.iterrows(), strict=True):
        with column:
            _by_method(selected, examples, row.to_frame().T)


def _by_method(selected: Selected, examples: pd.DataFrame, stored: pd.DataFrame) -> None:
    """Draw the stored maps of one method, one below the other."""
    st.caption(
        "  \n".join(_says(row) for row in stored.itertuples()),
        help=_DEFINED,
    )
    _texts(selected, examples, stored)


def _texts(selected: Selected, examples: pd.DataFrame, stored: pd.DataFrame) -> None:
    tints = {int(row.rank): _told_from_zero(row) for row in stored.itertuples()}
    kept = examples[examples["rank"].isin(tints)]
    found = passages_of(selected.bundle, kept, None, tints)
    st.html(passages.texts(found, float(examples["activation"].max()), numbers=True))


def _says(row: Any) -> str:
    """Return what is known of a stored map, in a sentence."""
    told = None if row.errors is None else int(np.count_nonzero(_told_from_zero(row)))
    return f"Example {row.rank + 1} · " + explanation_text.in_words(
        row.method, int(row.samples), row.score, row.stability, told
    )


def _stored_table(selected: Selected, examples: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Return the stored maps as a row for each token of each."""
    places = examples.set_index("rank")["window"].loc[stored["rank"]]
    windows = selected.bundle.windows(places.to_list(), token_ids=False)
    parts = [
        pd.DataFrame(
            {
                "example": row.rank + 1,
                "method": row.method,
                "token": tokens,
                "weight": row.weights,
                "error": np.nan if row.errors is None else row.errors,
            }
        )
        for row, tokens in zip(stored.itertuples(), windows["tokens"], strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _told_from_zero(row: Any) -> np.ndarray:
    """Return the weights of a stored map, 0 where they cannot be told from it."""
    weights = np.asarray(row.weights)
    if row.errors is None:  # an older bundle, or the website
        return weights
    from tfactors.explain.saliency import told_from_zero

    return np.where(told_from_zero(weights, np.asarray(row.errors), row.activation), weights, 0)


def _new(selected: Selected, examples: pd.DataFrame) -> None:
    missing = saliency_live.remedy(selected.bundle)
    number = min(url_state.get(controls.EXAMPLE), len(examples))
    example = examples.iloc[number - 1]
    request = Request(
        selected.factor, selected.layer, int(example["window"]), int(example["position"]),
        url_state.get(controls.METHOD), url_state.get(controls.LIME_SAMPLES),
        url_state.get(controls.LIME_FEATURES), url_state.get(controls.REPLACEMENT).strip(),
        url_state.get(controls.LIME_SEED), url_state.get(controls.RECIPE),
        url_state.get(controls.MASK_RADIUS),
    )  # fmt: skip
    st.markdown("##### Explain an example yourself")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            f"Example, 1 to {len(examples)}",
            1,
            len(examples),
            width=150,
            **url_state.widget(controls.EXAMPLE, number),
        )
        st.button(
            f"Explain with {_with(request.method)}",
            type="primary",
            shortcut="E",
            disabled=missing is not None,
            on_click=saliency_live.ask_for,
            args=(request,),
        )
        stop = st.empty()
    if missing:
        st.caption(f"To explain examples here, {shell.plain(missing)}.")
    text = st.empty()
    if saliency_live.is_asked_for(request):
        with text:
            _text(selected, examples, example, None)
        if saliency_live.known_explanations(selected.bundle, request) is None:
            stop.button("Stop", on_click=saliency_live.withdraw_request, icon=":material/stop:")
            bar = st.empty()
            saliency_live.explain(selected.bundle, request, bar.progress)
            st.rerun()
        saliency_live.withdraw_request()
    found = saliency_live.known_explanations(selected.bundle, request)
    if not found:
        with text:
            _text(selected, examples, example, None)
        return
    with text.container():
        _answers(selected, examples, example, found)


def _with(method: str) -> str:
    return "LIME and occlusion" if method == "both" else controls.METHODS[method]


def _answers(
    selected: Selected, examples: pd.DataFrame, example: pd.Series, found: "list[Explanation]"
) -> None:
    """Draw the maps of an example side by side, with what they cost and how far they agree."""
    if len(found) == 2:
        agree = found[0].agreement(found[1])
        says = f"agree to {agree:.2f}" if np.isfinite(agree) else "cannot be compared"
        st.markdown(f"**The two maps {says}**", help=definitions.MAP_AGREEMENT)
    for column, answer in zip(st.columns(len(found), gap="large"), found, strict=True):
        with column:
            _text(selected, examples, example, np.where(answer.significant, answer.weights, 0))
            says = explanation_text.in_words(
                answer.method,
                answer.samples,
                answer.score,
                answer.stability,
                int(answer.significant.sum()),
            )
            st.caption(
                f"{says}; activation {answer.activation:.2f} now, {example['activation']:.2f} in "
                "the bundle.",
                help=_DEFINED,
            )
            _errors(answer)
    if found[0].activation == 0:
        st.caption("The factor is silent here when the model reads it now: nothing to explain.")


def _errors(answer: "Explanation") -> None:
    """List the strongest weights with their standard errors."""
    told = np.flatnonzero(answer.significant)
    told = told[np.argsort(-np.abs(answer.weights[told]), kind="stable")][:_LISTED]
    if not told.size:
        return
    rows = "".join(
        f"<dt><bdi>{passages.escape(answer.tokens[at].strip())}</bdi></dt>"
        f"<dd>{answer.weights[at]:+.2f}"
        + (f" ± {answer.errors[at]:.2f}" if answer.errors[at] else "")
        + "</dd>"
        for at in told
    )
    count = f"{len(told)} largest weights" if len(told) != 1 else "one weight told from zero"
    with st.expander(f"The {count}"):
        st.html(f'<dl class="tf-facts">{rows}</dl>')
        downloads.show(lambda: _weights(answer), f"weights_{answer.method}")


def _weights(answer: "Explanation") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "token": answer.tokens,
            "weight": answer.weights,
            "error": answer.errors,
            "told_from_zero": answer.significant,
        }
    )


def _text(
    selected: Selected, examples: pd.DataFrame, example: pd.Series, weights: np.ndarray | None
) -> None:
    tints = None if weights is None else {int(example["rank"]): weights}
    found = passages_of(selected.bundle, example.to_frame().T, None, tints)
    st.html(passages.texts(found, float(examples["activation"].max())))
