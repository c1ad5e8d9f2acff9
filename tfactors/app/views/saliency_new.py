"""A new explanation of an example: the form that asks for it, and what the model answered."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import downloads
from tfactors.app.parts.selection import Selected
from tfactors.app.views import saliency_live
from tfactors.app.views.saliency_live import Request
from tfactors.app.views.saliency_stored import MAP_HELP
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display import text as explanation_text
from tfactors.portrait import definitions

if TYPE_CHECKING:
    from tfactors.explain.explanation import Explanation

_LISTED = 12  # weights with their errors


def show(selected: Selected, examples: pd.DataFrame) -> None:
    """Draw the choice of an example, and its explanations once they were asked for."""
    missing = saliency_live.remedy(selected.bundle)
    number = min(url_state.value_of(controls.EXAMPLE), len(examples))
    example = examples.iloc[number - 1]
    request = _request_for(selected, example)
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
            f"Explain with {_method_names(request.method)}",
            type="primary",
            shortcut="E",
            disabled=missing is not None,
            on_click=saliency_live.ask_for,
            args=(request,),
        )
        stop = st.empty()
    if missing:
        st.caption(f"To explain examples here, {shell.plain_text(missing)}.")
    text = st.empty()
    if saliency_live.is_asked_for(request):
        with text:
            _draw_text(selected, examples, example, None)
        if saliency_live.known_explanations(selected.bundle, request) is None:
            stop.button("Stop", on_click=saliency_live.withdraw_request, icon=":material/stop:")
            bar = st.empty()
            saliency_live.explain(selected.bundle, request, bar.progress)
            st.rerun()
        saliency_live.withdraw_request()
    explanations = saliency_live.known_explanations(selected.bundle, request)
    if not explanations:
        with text:
            _draw_text(selected, examples, example, None)
        return
    with text.container():
        _draw_explanations(selected, examples, example, explanations)


def _request_for(selected: Selected, example: pd.Series) -> Request:
    """Return the request that the sidebar's controls make for an example."""
    return Request(
        factor=selected.factor,
        layer=selected.layer,
        window=int(example["window"]),
        position=int(example["position"]),
        method=url_state.value_of(controls.METHOD),
        samples=url_state.value_of(controls.LIME_SAMPLES),
        features=url_state.value_of(controls.LIME_FEATURES),
        replacement=url_state.value_of(controls.REPLACEMENT).strip(),
        seed=url_state.value_of(controls.LIME_SEED),
        recipe=url_state.value_of(controls.RECIPE),
        radius=url_state.value_of(controls.MASK_RADIUS),
    )


def _method_names(method: str) -> str:
    return "LIME and occlusion" if method == "both" else controls.METHODS[method]


def _draw_explanations(
    selected: Selected,
    examples: pd.DataFrame,
    example: pd.Series,
    explanations: "list[Explanation]",
) -> None:
    """Draw the maps of an example side by side, with what they cost and how far they agree."""
    if len(explanations) == 2:
        agree = explanations[0].agreement(explanations[1])
        says = f"agree to {agree:.2f}" if np.isfinite(agree) else "cannot be compared"
        st.markdown(f"**The two maps {says}**", help=definitions.MAP_AGREEMENT)
    columns = st.columns(len(explanations), gap="large")
    for column, explanation in zip(columns, explanations, strict=True):
        with column:
            _draw_explanation(selected, examples, example, explanation)
    if explanations[0].activation == 0:
        st.caption("The factor is silent here when the model reads it now: nothing to explain.")


def _draw_explanation(
    selected: Selected, examples: pd.DataFrame, example: pd.Series, explanation: "Explanation"
) -> None:
    significant = np.where(explanation.significant, explanation.weights, 0)
    _draw_text(selected, examples, example, significant)
    sentence = explanation_text.in_words(
        explanation.method,
        explanation.samples,
        explanation.score,
        explanation.stability,
        int(explanation.significant.sum()),
    )
    st.caption(
        f"{sentence}; activation {explanation.activation:.2f} now, "
        f"{example['activation']:.2f} in the bundle.",
        help=MAP_HELP,
    )
    _draw_largest_weights(explanation)


def _draw_largest_weights(explanation: "Explanation") -> None:
    """List the strongest weights with their standard errors."""
    largest = np.flatnonzero(explanation.significant)
    largest = largest[np.argsort(-np.abs(explanation.weights[largest]), kind="stable")][:_LISTED]
    if not largest.size:
        return
    rows = "".join(
        f"<dt><bdi>{passages.escape(explanation.tokens[at].strip())}</bdi></dt>"
        f"<dd>{explanation.weights[at]:+.2f}"
        + (f" ± {explanation.errors[at]:.2f}" if explanation.errors[at] else "")
        + "</dd>"
        for at in largest
    )
    count = f"{len(largest)} largest weights" if len(largest) != 1 else "one weight told from zero"
    with st.expander(f"The {count}"):
        st.html(f'<dl class="tf-facts">{rows}</dl>')
        downloads.show(lambda: _weight_rows(explanation), f"weights_{explanation.method}")


def _weight_rows(explanation: "Explanation") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "token": explanation.tokens,
            "weight": explanation.weights,
            "error": explanation.errors,
            "told_from_zero": explanation.significant,
        }
    )


def _draw_text(
    selected: Selected, examples: pd.DataFrame, example: pd.Series, weights: np.ndarray | None
) -> None:
    tints = None if weights is None else {int(example["rank"]): weights}
    texts = passages_of(selected.bundle, example.to_frame().T, None, tints)
    st.html(passages.texts(texts, float(examples["activation"].max())))
