"""A text of the reader's own, asked for: the field, examples to begin with, and λ.

Turns the link of a page into the text that it is about; without one it is the first example, so
that a page never opens empty.
"""

import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import live_decomposition
from tfactors.bundle import Bundle

EXAMPLES = (
    "He left the house by the river, a letter in his left hand.",
    "The bank raised its interest rates, and the river rose to the top of the bank.",
    "The Treaty of Ghent (1814) ended the war between Great Britain and the United States.",
)


def ask(bundle: Bundle) -> str:
    """Draw the field, and return the text in it."""
    written = url_state.value_of(controls.TEXT)
    text = written.strip() or EXAMPLES[0]
    st.text_area(
        f"A text of up to {live_decomposition.most_tokens(bundle)} tokens",
        height=110,
        help=f"The factors were learnt from windows of {bundle.about.corpus.window_length} "
        "tokens: in a longer text the model sees more context than they have seen.",
        **url_state.widget(controls.TEXT, written if written.strip() else text),
    )
    return text


def suggest(text: str, also: shell.Changes | None = None) -> None:
    """Offer the other examples while one of them is open; ``also`` is set along with one."""
    if text not in EXAMPLES:
        return
    st.caption(
        "An example, taken apart below. Write a text of yours in its place, or take another. Your "
        "text is read by the model on this server and kept in the link of this page, so that you "
        "can share it."
    )
    with st.container(gap=None):
        for example in EXAMPLES:
            if example != text:
                st.button(
                    example,
                    type="tertiary",
                    icon=":material/arrow_forward:",
                    on_click=_open_example,
                    args=(example, also or {}),
                )


def _open_example(text: str, also: shell.Changes) -> None:
    place: shell.Changes = {
        controls.TEXT: text,
        controls.TOKEN: None,
        controls.LAYER: controls.PEAK,
    }
    url_state.set_controls({**place, **also})


def token_of_link(control: url_state.Control[int | None], tokens: int) -> int | None:
    """Return the token that a link asks for, the last where the text has no such, and say so."""
    asked = url_state.value_of(control)
    if asked is None or asked < tokens:
        return asked
    st.caption(
        f"The link asks for token {asked + 1:,}, and the text has {tokens:,}: the last one is "
        "shown."
    )
    return tokens - 1


def choose_place(bundle: Bundle, tokens: int, position: int, layer: int) -> None:
    """Draw which of so many tokens, and which layer, is open."""
    key = f"token_{position}_{tokens}"
    st.number_input(
        f"Token, 1 to {tokens}",
        1,
        tokens,
        position + 1,
        width=140,
        key=key,
        on_change=_open_token,
        args=(key, layer),
    )
    st.segmented_control(
        "Layer", bundle.layers, required=True, **url_state.widget(controls.LAYER, layer)
    )


def _open_token(key: str, layer: int) -> None:
    """Open a token that the reader picked, at the layer that is open."""
    url_state.set_controls({controls.TOKEN: int(st.session_state[key]) - 1, controls.LAYER: layer})


def sidebar(bundle: Bundle) -> None:
    """Draw λ, where the codes are solved."""
    if not bundle.abilities.penalty:
        return
    built = live_decomposition.built_penalty(bundle)
    low, high = controls.penalty_range(bundle)
    shown = min(max(live_decomposition.chosen_penalty(bundle), low), high)
    with st.sidebar, st.expander("Sparsity", expanded=True, icon=":material/tune:"):
        st.slider(
            "λ, the price of an active factor",
            low,
            high,
            step=built / 40,
            format="%.3g",
            help="The codes are solved anew for every λ: a small one explains more with more "
            f"factors, a large one keeps only the strongest. The bundle was made with {built:g}.",
            **url_state.widget(controls.PENALTY, shown),
        )
        st.button(
            "As built",
            disabled=url_state.value_of(controls.PENALTY) is None,
            type="tertiary",
            icon=":material/undo:",
            on_click=url_state.set_controls,
            args=({controls.PENALTY: None},),
        )
