"""A reader's own text, taken apart: which factors every token is made of, at every layer.

Draws a map of tokens and layers, the equation of the chosen token, and the same token over all
layers. :mod:`tfactors.app.views.text_beside` draws what the token shares with another text, and
:mod:`tfactors.app.views.text_path` how it changes with λ.
"""

from typing import TYPE_CHECKING

import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import (
    chart_clicks,
    downloads,
    factor_table,
    figures,
    intervention,
    live_decomposition,
    option_buttons,
    own_part,
    reader_text,
    selection,
)
from tfactors.app.views import text_beside, text_charts, text_equation, text_path
from tfactors.bundle import Bundle
from tfactors.display import passages
from tfactors.display.text import as_html
from tfactors.portrait import definitions
from tfactors.portrait.figure import Figure

if TYPE_CHECKING:
    from tfactors.explain.decomposition import Decomposition


_SHOWN = 48  # tokens in the map at a time
_TABLE = 390  # pixels: ten rows, the rest by scrolling


def show(bundle: Bundle, text: str, decomposition: "Decomposition") -> None:
    """Draw a text that was taken apart."""
    position, layer = _chosen_place(bundle, text, decomposition)
    _draw_map(bundle, decomposition, position, layer)
    st.space("small")
    _draw_equation(bundle, decomposition, position, layer)
    st.space("small")
    _draw_layers(bundle, decomposition, position)
    if bundle.about.baseline:
        st.space("small")
        _draw_own_part(decomposition, position)
    st.space("small")
    text_beside.show(bundle, decomposition, position, layer)
    if bundle.abilities.penalty:
        st.space("small")
        text_path.show(bundle, text, position, layer)
    st.space("small")
    # Last, because it may ask the model.
    intervention.show_for_text(bundle, text, decomposition, position, layer)


def _chosen_place(bundle: Bundle, text: str, decomposition: "Decomposition") -> tuple[int, int]:
    """Return the token and layer of the link; without a token, where the factors carry most."""
    layer = url_state.value_of(controls.LAYER)
    token = reader_text.token_of_link(controls.TOKEN, len(decomposition.tokens))
    if token is None:
        position, start = live_decomposition.starting_place(bundle, text)
    else:
        position, start = token, bundle.layers[-1]
    return position, start if layer == controls.PEAK else layer


def _draw_map(bundle: Bundle, decomposition: "Decomposition", position: int, layer: int) -> None:
    measure = url_state.value_of(controls.MEASURE)
    cells = decomposition.residuals[["layer", "position", "explained", "l0"]].copy()
    if measure == "factor":
        factor = url_state.value_of(controls.FACTOR) or 0
        places = ["layer", "position"]
        of_factor = decomposition.factors[decomposition.factors["factor"] == factor]
        cells = cells.merge(of_factor[[*places, "activation"]], on=places, how="left")
        cells = cells.fillna({"activation": 0.0})
    column = {"explained": "explained", "l0": "l0", "factor": "activation"}[measure]
    first = position // _SHOWN * _SHOWN
    tokens = [passages.shorten(token.strip() or "␣", 14) for token in decomposition.tokens["token"]]
    cells = cells[(cells["position"] >= first) & (cells["position"] < first + _SHOWN)]
    cells["token"] = [f"{at} {tokens[at]}" for at in cells["position"]]
    cells["value"] = cells[column]
    cells["chosen"] = (cells["position"] == position) & (cells["layer"] == layer)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        option_buttons.show("Colour", controls.MEASURE, controls.MEASURES)
        if measure == "factor":
            st.number_input(
                "Factor",
                0,
                bundle.n_factors - 1,
                width=140,
                **url_state.widget(controls.FACTOR, url_state.value_of(controls.FACTOR) or 0),
            )
        reader_text.choose_place(bundle, len(tokens), position, layer)
    key = chart_clicks.key_until_click("tokens")
    event = text_charts.token_map(
        cells,
        controls.MEASURES[measure],
        key=key,
        alt=f"{controls.MEASURES[measure]} of tokens {first + 1} to "
        f"{min(first + _SHOWN, len(tokens))} at every layer.",
    )
    st.caption("Every column is a token, every row a layer. Click a cell to read its equation.")
    if point := chart_clicks.clicked_point(event, key, "tokens"):
        url_state.set_controls(
            {controls.TOKEN: int(point["position"]), controls.LAYER: int(point["layer"])}
        )
        st.rerun()


def _draw_equation(
    bundle: Bundle, decomposition: "Decomposition", position: int, layer: int
) -> None:
    word = str(decomposition.tokens["token"].iloc[position]).strip()
    here = live_decomposition.rows_at(decomposition.residuals, position, layer).iloc[0]
    active = live_decomposition.rows_at(decomposition.factors, position, layer)
    st.subheader(
        f"What “{shell.plain_text(passages.shorten(word, 40))}” is made of at layer {layer}",
        anchor=False,
        help=definitions.EQUATION,
    )
    text_equation.show(bundle, word, active, layer, "equation")
    residual = f"{here['residual']:.1f} of {here['norm']:.1f}"
    figures.show(
        [
            Figure("Active factors", str(int(here["l0"])), definitions.ACTIVE_FACTORS),
            Figure("Explained", f"{here['explained']:.0%}", definitions.SHARE_EXPLAINED),
            Figure("Residual ‖ε‖", residual, definitions.RESIDUAL),
        ]
    )
    if active.empty:
        return
    rows = factor_table.factor_rows(bundle, active["factor"].to_numpy())
    rows["activation"] = active["activation"].to_numpy()
    rows["at"] = layer
    column = st.column_config.NumberColumn(
        "Activation", format="%.2f", width="small", help=definitions.ACTIVATION
    )
    factor_table.show(
        rows,
        f"terms_{position}_{layer}",
        f"The {len(rows)} factors that make up “{word[:40]}” at layer {layer}.",
        {"activation": column},
        tallest=_TABLE,
    )


def _draw_layers(bundle: Bundle, decomposition: "Decomposition", position: int) -> None:
    word = passages.escape(str(decomposition.tokens["token"].iloc[position]).strip())
    st.subheader("The same token over the layers", anchor=False, help=definitions.OVER_LAYERS)
    columns = []
    of_token = decomposition.factors[decomposition.factors["position"] == position]
    layers, factors, values = (
        of_token[name].tolist() for name in ("layer", "factor", "activation")
    )
    largest = max(values, default=1.0)
    terms: dict[int, list[tuple[int, float]]] = {layer: [] for layer in bundle.layers}
    for layer, factor, value in zip(layers, factors, values, strict=True):
        terms[layer].append((factor, value))
    for layer in bundle.layers:
        items = "".join(
            f'<li style="--w:{value / largest:.3f}"><bdi>{_short_word(bundle, factor)}</bdi>'
            f"<span>{value:.1f}</span></li>"
            for factor, value in terms[layer][: text_equation.TERMS]
        )
        columns.append(
            f'<section class="tf-column"><h4>Layer {layer}</h4><ol>{items or "<li>–</li>"}</ol>'
            "</section>"
        )
    st.caption("Its strongest factors at each layer: watch the meaning of the word settle.")
    group = f'<div class="tf-layers" role="group" tabindex="0" aria-label="{word} by layer">'
    st.html(f"{group}{''.join(columns)}</div>")
    downloads.show(
        lambda: of_token.assign(name=[_first_word(bundle, at) for at in of_token["factor"]]),
        f"token_{position}",
    )


def _draw_own_part(decomposition: "Decomposition", position: int) -> None:
    word = str(decomposition.tokens["token"].iloc[position]).strip()
    st.subheader("The word itself, and what the text makes of it", anchor=False)
    st.caption(definitions.OWN_PART)
    of_token = decomposition.residuals[decomposition.residuals["position"] == position]
    own_part.show(
        own_part.of_token(of_token),
        f"Shares of “{word[:40]}” itself, its factors and the rest at every layer.",
        f"own_part_{position}",
    )


def _first_word(bundle: Bundle, factor: int) -> str:
    words = selection.name_words(bundle, factor)
    return words[0] if words else str(factor)


def _short_word(bundle: Bundle, factor: int) -> str:
    return as_html(passages.shorten(_first_word(bundle, factor), 24))
