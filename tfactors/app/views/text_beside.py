"""Two texts side by side: which factors they share, and which part them.

Draws the equation of the other text's token, and a table of the factors of both, those that part
them most first. Two things can be compared: the two tokens, or the texts as a whole, by a factor's
largest activation in each.
"""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import (
    factor_table,
    live_decomposition,
    live_model,
    option_buttons,
    reader_text,
)
from tfactors.app.views import text_equation
from tfactors.bundle import Bundle
from tfactors.display import passages
from tfactors.errors import InputError
from tfactors.portrait import definitions

if TYPE_CHECKING:
    from tfactors.explain.decomposition import Decomposition


_TABLE = 390  # pixels: ten rows, the rest by scrolling


def show(bundle: Bundle, decomposition: "Decomposition", position: int, layer: int) -> None:
    """Draw what a token, or the whole text, shares with another text, and what parts them."""
    word = str(decomposition.tokens["token"].iloc[position]).strip()
    st.subheader("Beside another text", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            f"Another text, with “{word[:30]}” in another sense or another word in its place",
            placeholder="His left hand was in his pocket.",
            **url_state.widget(controls.OTHER_TEXT),
        )
        option_buttons.show(
            "Compare", controls.COMPARED_PART, controls.COMPARED_PARTS, tip=definitions.BESIDE
        )
    text = url_state.value_of(controls.OTHER_TEXT).strip()
    if not text:
        return
    try:
        other = live_decomposition.decomposition_of(bundle, text)
    except InputError as error:
        live_model.show_refusal(error)
        return
    if url_state.value_of(controls.COMPARED_PART) == "text":
        here, there = (_largest_activations(part, layer) for part in (decomposition, other))
        _draw_differences(bundle, here, there, layer, "texts")
        return
    words = [str(token).strip() for token in other.tokens["token"]]
    same = [at for at, token in enumerate(words) if token.casefold() == word.casefold()]
    chosen = reader_text.token_of_link(controls.OTHER_TOKEN, len(words))
    at = (same or [0])[0] if chosen is None else chosen
    st.pills(
        "Its token",
        list(range(len(words))),
        required=True,
        format_func=lambda place: passages.shorten(words[place], 20) or "␣",
        **url_state.widget(controls.OTHER_TOKEN, at),
    )
    here, there = (
        _activations_of_token(decomposition, position, layer),
        _activations_of_token(other, at, layer),
    )
    text_equation.show(bundle, word, here.reset_index(), layer, "here")
    text_equation.show(bundle, words[at], there.reset_index(), layer, "there")
    _draw_differences(bundle, here, there, layer, f"tokens_{position}_{at}")


def _activations_of_token(decomposition: "Decomposition", position: int, layer: int) -> pd.Series:
    """Return the activations of one token by factor, strongest first."""
    rows = live_decomposition.rows_at(decomposition.factors, position, layer)
    return rows.set_index("factor")["activation"].astype(float)


def _largest_activations(decomposition: "Decomposition", layer: int) -> pd.Series:
    """Return the largest activation in the text by factor."""
    rows = decomposition.factors[decomposition.factors["layer"] == layer]
    return rows.groupby("factor")["activation"].max().astype(float)


def _draw_differences(
    bundle: Bundle, here: pd.Series, there: pd.Series, layer: int, key: str
) -> None:
    both = pd.DataFrame({"here": here, "there": there}).fillna(0.0)
    shared = int(((both["here"] > 0) & (both["there"] > 0)).sum())
    st.markdown(
        f"At layer {layer} the two share **{shared}** factors; {len(here) - shared} are only in "
        f"this text and {len(there) - shared} only in the other. Those that part them most come "
        "first."
    )
    if both.empty:
        return
    both["apart"] = both["here"] - both["there"]
    both = both.loc[both["apart"].abs().sort_values(ascending=False, kind="stable").index]
    rows = factor_table.factor_rows(bundle, both.index.to_numpy())
    rows["in"] = [
        "both" if a > 0 and b > 0 else "this" if a > 0 else "the other"
        for a, b in zip(both["here"], both["there"], strict=True)
    ]
    rows[["here", "there", "apart"]] = both[["here", "there", "apart"]].to_numpy()
    rows["at"] = layer
    columns = {
        "in": st.column_config.TextColumn("In", width="small", help=definitions.IN_WHICH)
    } | {
        name: st.column_config.NumberColumn(label, help=tip, format="%.2f", width="small")
        for name, label, tip in (
            ("here", "This", definitions.HERE),
            ("there", "Other", definitions.THERE),
            ("apart", "Apart", definitions.APART),
        )
    }
    factor_table.show(
        rows,
        f"beside_{key}_{layer}",
        f"The {len(rows)} factors of both, those that part them most first.",
        columns,
        tallest=_TABLE,
    )
