"""A reader's own text, taken apart: which factors every token is made of, at every layer.

In go a text and λ; out come a map of tokens and layers, the equation of the chosen token, the same
token over all layers, and its factors' coefficients against λ.
"""

import html
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tfactors.app import (
    charts,
    controls,
    decomposing,
    definitions,
    factor_table,
    factor_view,
    passages,
    shell,
    text_charts,
    view,
)
from tfactors.bundle import Bundle
from tfactors.errors import InputError

if TYPE_CHECKING:
    from tfactors.decomposition import Decomposition

MOST_TOKENS = 512
_SHOWN = 48  # tokens in the map at a time
_TERMS = 6
_TABLE = 390  # pixels: ten rows, the rest by scrolling
_PATH_FACTORS = 8


def sidebar(bundle: Bundle) -> None:
    """Draw λ and the layer's measure."""
    built = float(bundle.manifest["coding"]["penalty"])
    shown = min(max(decomposing.penalty(bundle), built / 5), built * 4)
    with st.sidebar, st.expander("Sparsity", expanded=True, icon=":material/tune:"):
        st.slider(
            "λ, the price of an active factor", built / 5, built * 4, step=built / 40,
            format="%.3g",
            help="The codes are solved anew for every λ: a small one explains more with more "
            f"factors, a large one keeps only the strongest. The bundle was made with {built:g}.",
            **view.widget(controls.PENALTY, shown),
        )  # fmt: skip
        st.button(
            "As built", disabled=view.get(controls.PENALTY) is None, type="tertiary",
            icon=":material/undo:", on_click=view.change, args=({controls.PENALTY: None},),
        )  # fmt: skip


def show(bundle: Bundle, text: str, made: "Decomposition") -> None:
    """Draw a text that was taken apart."""
    tokens = made.tokens["token"].tolist()
    position = min(view.get(controls.TOKEN), len(tokens) - 1)
    layer = view.get(controls.LAYER)
    layer = bundle.layers[-1] if layer == controls.PEAK else layer
    _map(bundle, made, position, layer)
    st.space("small")
    _equation(bundle, made, position, layer)
    st.space("small")
    _over_layers(bundle, made, position)
    st.space("small")
    _beside(bundle, made, position, layer)
    st.space("small")
    _path(bundle, text, position, layer)


def _map(bundle: Bundle, made: "Decomposition", position: int, layer: int) -> None:
    measure = view.get(controls.MEASURE)
    cells = made.residuals[["layer", "position", "explained", "l0"]].copy()
    if measure == "factor":
        factor = view.get(controls.FACTOR) or 0
        one = made.factors[made.factors["factor"] == factor][["layer", "position", "activation"]]
        cells = cells.merge(one, on=["layer", "position"], how="left").fillna({"activation": 0.0})
    column = {"explained": "explained", "l0": "l0", "factor": "activation"}[measure]
    first = position // _SHOWN * _SHOWN
    tokens = [passages.shorten(token.strip() or "␣", 14) for token in made.tokens["token"]]
    cells = cells[(cells["position"] >= first) & (cells["position"] < first + _SHOWN)]
    cells["token"] = [f"{at} {tokens[at]}" for at in cells["position"]]
    cells["value"] = cells[column]
    cells["chosen"] = (cells["position"] == position) & (cells["layer"] == layer)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Colour", list(controls.MEASURES), required=True,
            format_func=controls.MEASURES.__getitem__, **view.widget(controls.MEASURE),
        )  # fmt: skip
        if measure == "factor":
            st.number_input(
                "Factor", 0, bundle.n_factors - 1, width=140,
                **view.widget(controls.FACTOR, view.get(controls.FACTOR) or 0),
            )  # fmt: skip
        st.number_input(
            f"Token, 1 to {len(tokens)}", 1, len(tokens), position + 1, width=140,
            key=f"token_{position}_{len(tokens)}", on_change=_choose_token,
            args=(f"token_{position}_{len(tokens)}",),
        )  # fmt: skip
        st.segmented_control(
            "Layer", bundle.layers, required=True, **view.widget(controls.LAYER, layer)
        )
    # A new key with each choice, so that the same cell can be clicked again later.
    key = f"map_{measure}_{position}_{layer}"
    event = text_charts.token_map(
        cells, controls.MEASURES[measure], key=key,
        alt=f"{controls.MEASURES[measure]} of tokens {first + 1} to "
        f"{min(first + _SHOWN, len(tokens))} at every layer.",
    )  # fmt: skip
    st.caption("Every column is a token, every row a layer. Click a cell to read its equation.")
    if point := charts.clicked(event, key):
        view.change({controls.TOKEN: int(point["position"]), controls.LAYER: int(point["layer"])})
        st.rerun()


def _choose_token(key: str) -> None:
    view.change({controls.TOKEN: int(st.session_state[key]) - 1})


def _equation(bundle: Bundle, made: "Decomposition", position: int, layer: int) -> None:
    word = str(made.tokens["token"].iloc[position]).strip()
    here = made.residuals[
        (made.residuals["position"] == position) & (made.residuals["layer"] == layer)
    ].iloc[0]
    active = made.factors[(made.factors["position"] == position) & (made.factors["layer"] == layer)]
    terms = " + ".join(
        f'<span class="tf-term"><b>{row.activation:.1f}</b> <bdi>{_name(bundle, row.factor)}</bdi>'
        "</span>"
        for row in active.head(_TERMS).itertuples()
    )
    more = f" + {len(active) - _TERMS} smaller" if len(active) > _TERMS else ""
    st.html(
        f'<p class="tf-equation"><mark><bdi>{passages.escape(word)}</bdi></mark> = '
        f"{terms or '0'}{more} + ε</p>"
    )
    with st.container(horizontal=True, gap="medium"):
        st.metric("Active factors", int(here["l0"]), help=definitions.L0, width="content")
        st.metric(
            "Explained", f"{here['explained']:.0%}", width="content",
            help="1 − ‖ε‖² / ‖x‖² of this token at this layer.",
        )  # fmt: skip
    if active.empty:
        return
    rows = factor_table.frame(bundle, active["factor"].to_numpy())
    rows["activation"] = active["activation"].to_numpy()
    rows["at"] = layer
    column = st.column_config.NumberColumn(
        "Activation", format="%.2f", width="small", help=definitions.ACTIVATION
    )
    factor_table.show(
        rows, f"terms_{position}_{layer}",
        f"The {len(rows)} factors that make up “{word[:40]}” at layer {layer}.",
        {"activation": column}, tallest=_TABLE,
    )  # fmt: skip


def _over_layers(bundle: Bundle, made: "Decomposition", position: int) -> None:
    word = passages.escape(str(made.tokens["token"].iloc[position]).strip())
    st.subheader("The same token over the layers", anchor=False)
    columns = []
    of_token = made.factors[made.factors["position"] == position]
    largest = float(of_token["activation"].max()) if len(of_token) else 1.0
    for layer in bundle.layers:
        active = of_token[of_token["layer"] == layer].head(_TERMS)
        items = "".join(
            f'<li style="--w:{row.activation / largest:.3f}">'
            f"<bdi>{_name(bundle, row.factor, 1)}</bdi>"
            f"<span>{row.activation:.1f}</span></li>"
            for row in active.itertuples()
        )
        columns.append(
            f'<section class="tf-column"><h4>Layer {layer}</h4><ol>{items or "<li>–</li>"}</ol>'
            "</section>"
        )
    st.caption("Its strongest factors at each layer: watch the meaning of the word settle.")
    st.html(f'<div class="tf-layers" aria-label="{word}">{"".join(columns)}</div>')


def _beside(bundle: Bundle, made: "Decomposition", position: int, layer: int) -> None:
    """Draw which factors the token shares with a token of another text, and which part them."""
    word = str(made.tokens["token"].iloc[position]).strip()
    st.subheader("Beside another text", anchor=False)
    st.text_input(
        f"Another text, with “{word[:30]}” in another sense or another word in its place",
        max_chars=1000, placeholder="His left hand was in his pocket.",
        **view.widget(controls.OTHER_TEXT),
    )  # fmt: skip
    text = view.get(controls.OTHER_TEXT).strip()
    if not text:
        return
    try:
        other = decomposing.take_apart(bundle, text)
    except InputError as error:
        refused(error)
        return
    words = [str(token).strip() for token in other.tokens["token"]]
    same = [at for at, token in enumerate(words) if token.casefold() == word.casefold()]
    chosen = view.get(controls.OTHER_TOKEN)
    at = (same or [0])[0] if chosen is None else min(chosen, len(words) - 1)
    st.pills(
        "Its token", list(range(len(words))), required=True,
        format_func=lambda place: passages.shorten(words[place], 20) or "␣",
        **view.widget(controls.OTHER_TOKEN, at),
    )  # fmt: skip
    here, there = (
        part.factors[(part.factors["position"] == place) & (part.factors["layer"] == layer)]
        .set_index("factor")["activation"].astype(float)
        for part, place in ((made, position), (other, at))
    )  # fmt: skip
    both = pd.DataFrame({"here": here, "there": there}).fillna(0.0)
    both["apart"] = both["here"] - both["there"]
    shared = int(((both["here"] > 0) & (both["there"] > 0)).sum())
    st.markdown(
        f"At layer {layer} the two share **{shared}** factors; {len(here) - shared} are only in "
        f"this text and {len(there) - shared} only in the other. Those that part them most come "
        "first."
    )
    if both.empty:
        return
    both = both.loc[both["apart"].abs().sort_values(ascending=False).index]
    rows = factor_table.frame(bundle, both.index.to_numpy())
    rows[["here", "there"]] = both[["here", "there"]].to_numpy()
    rows["at"] = layer
    columns = {
        name: st.column_config.NumberColumn(label, help=tip, format="%.2f", width="small")
        for name, label, tip in (
            ("here", "Here", "Activation in this text."),
            ("there", "There", "Activation in the other text."),
        )
    }
    factor_table.show(
        rows, f"beside_{position}_{at}_{layer}",
        f"The {len(rows)} factors of both tokens, those that part them most first.",
        columns, tallest=_TABLE,
    )  # fmt: skip


def _path(bundle: Bundle, text: str, position: int, layer: int) -> None:
    st.subheader(
        "Its factors against λ", anchor=False,
        help="The codes of this token, solved for every λ. Where a line leaves zero, the factor "
        "becomes worth its price.",
    )  # fmt: skip
    path = decomposing.path(bundle, text, position, layer)
    strongest = path.groupby("factor")["activation"].max().nlargest(_PATH_FACTORS).index
    shown = path[path["factor"].isin(strongest)].copy()
    names = factor_view.names(bundle)["name"]
    shown["name"] = names.iloc[shown["factor"]].to_numpy()
    if shown.empty:
        st.caption("No factor is active at any λ of the range.")
        return
    text_charts.path(
        shown, decomposing.penalty(bundle),
        alt=f"Coefficients of {len(strongest)} factors of this token against λ.",
    )  # fmt: skip
    active = path[path["activation"] > 0].groupby("penalty").size()
    few, many = path["penalty"].max(), path["penalty"].min()
    st.caption(
        f"The {len(strongest)} strongest; the upright scale is a square root, so that small ones "
        f"show. At λ = {many:.3g} the token has {active.get(many, 0)} active factors, at "
        f"λ = {few:.3g} {active.get(few, 0)}."
    )


def _name(bundle: Bundle, factor: int, count: int = 2) -> str:
    words = factor_view.name_words(bundle, factor)
    shown = " / ".join(passages.shorten(word, 24) for word in words[:count])
    return html.escape(shown or str(factor))


def refused(error: Exception) -> None:
    """Say why a text cannot be taken apart."""
    st.info(shell.plain(str(error)), icon=":material/info:")
