"""Which words of the context an activation depends on: stored explanations, and new ones.

Turns a factor at a layer into its explained examples, in which supporting words are underlined and
opposing ones dashed, and a form to explain any other example.
"""

import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import option_buttons
from tfactors.app.parts.selection import Selected
from tfactors.app.views import saliency_new, saliency_stored

_LEGEND = (
    '<p class="tf-legend"><span><mark>word</mark> the word whose activation is explained</span>'
    '<span><span class="tf-plus" style="--a:.8">word</span> supports it: without the word the '
    "factor is less active</span>"
    '<span><span class="tf-minus" style="--a:.8">word</span> works against it (dashed)</span></p>'
)


def sidebar() -> None:
    """Draw the parameters of new explanations."""
    with st.sidebar, st.expander("Saliency", expanded=True, icon=":material/ink_highlighter:"):
        option_buttons.show(
            "Method",
            controls.METHOD,
            controls.METHODS,
            tip="LIME fits a linear model to the activations of texts with random words left "
            "out. Occlusion leaves out one word at a time, which is exact and knows no samples. "
            "Both shows them side by side, with how far they agree.",
        )
        lime = url_state.value_of(controls.METHOD) != "occlusion"
        ours = lime and url_state.value_of(controls.RECIPE) == ""
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
        option_buttons.show(
            "Masks of LIME",
            controls.RECIPE,
            controls.RECIPES,
            disabled=not lime,
            tip="Ours leave out blocks of a sixteenth of the tokens and keep the marked word. "
            "Those of 2021 leave out 1 to all tokens, read 2,001 texts and give 30 weights: up to "
            "a minute.",
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
        st.markdown(selected.bundle.abilities.nothing_at(selected.layer))
        return
    if not selected.bundle.abilities.saliency:
        saliency_stored.show_website_colours(selected, examples, _LEGEND)
        return
    st.html(_LEGEND)
    saliency_new.show(selected, examples)
    saliency_stored.show(selected, examples)
