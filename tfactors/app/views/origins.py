"""Where an activation of a reader's text comes from: drawn, checked and as a list.

Draws the choice of token, layer and factor, the graph
(:mod:`tfactors.app.views.origins_chart`), beside it what happens when the largest sources are
really taken away, and the same graph in words (:mod:`tfactors.app.views.origins_list`). The model
is asked once an activation; how much of the graph is kept is chosen afterwards.
"""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import (
    chart_clicks,
    downloads,
    live_decomposition,
    live_model,
    live_origins,
    reader_text,
    selection,
)
from tfactors.app.views import origins_chart, origins_layout, origins_list
from tfactors.bundle import Bundle
from tfactors.errors import InputError
from tfactors.portrait import definitions

if TYPE_CHECKING:
    from tfactors.explain.decomposition import Decomposition
    from tfactors.explain.origin_graph import OriginGraph


_PIXELS = (570, 940)  # that the graph has, about, beside the check and alone


def show(bundle: Bundle, text: str) -> None:
    """Draw where an activation of a text comes from."""
    try:
        decomposition = live_decomposition.decomposition_of(bundle, text)
        position, layer = _starting_place(bundle, text, decomposition)
    except InputError as error:
        live_model.show_refusal(error)
        return
    factor = _choose(bundle, decomposition, position, layer)
    if factor is None:
        return
    penalty = live_decomposition.chosen_penalty(bundle)
    question = live_origins.Question(text, position, factor, layer, penalty)
    try:
        origins = live_origins.origins_of(bundle, question)
    except InputError as error:
        live_model.show_refusal(error)
        return
    whole = replace(origins.graph, labels=selection.factor_names(bundle)["name"].tolist())
    graph = whole.pruned(url_state.value_of(controls.KEPT) / 100)
    st.subheader(
        f"What {shell.plain_text(selection.factor_name(bundle, factor))} on "
        f"“{shell.plain_text(origins_layout.token_text(graph.tokens[position]))}” is made of",
        anchor=False,
        help=definitions.CARRIED,
    )
    st.markdown(_in_words(graph))
    if len(graph.tokens) > origins_layout.NARROW:
        _draw_graph(graph, _PIXELS[1])
        _draw_check(origins.check, layer, "content")
    else:
        left, right = st.columns([5, 3], gap="medium")
        with left:
            _draw_graph(graph, _PIXELS[0])
        with right:
            _draw_check(origins.check, layer, "stretch")
    origins_list.show(graph)
    _draw_downloads(graph)


def _starting_place(bundle: Bundle, text: str, decomposition: "Decomposition") -> tuple[int, int]:
    """Return the token and layer of the link; else where Your text opens, above the lowest."""
    layer = url_state.value_of(controls.LAYER)
    token = reader_text.token_of_link(controls.TOKEN, len(decomposition.tokens))
    position, start = live_decomposition.starting_place(bundle, text)
    if start == bundle.layers[0]:
        above = decomposition.residuals[decomposition.residuals["layer"] > start]
        position, start = live_decomposition.richest_place(replace(decomposition, residuals=above))
    if token is not None:
        position, start = token, bundle.layers[-1]
    return position, start if layer == controls.PEAK else layer


def _choose(
    bundle: Bundle, decomposition: "Decomposition", position: int, layer: int
) -> int | None:
    """Draw what is asked, and return the factor, or None where nothing can be asked there."""
    tokens = [origins_layout.token_text(token) for token in decomposition.tokens["token"]]
    active = live_decomposition.rows_at(decomposition.factors, position, layer)
    factors = [int(factor) for factor in active["factor"]]
    strength = dict(zip(factors, active["activation"], strict=True))
    asked = url_state.value_of(controls.FACTOR)
    factor = asked if asked in strength else next(iter(factors), None)

    def named(number: int) -> str:
        return f"{strength[number]:.1f} · {selection.factor_name(bundle, number)}"

    with st.container(horizontal=True, vertical_alignment="bottom"):
        reader_text.choose_place(bundle, len(tokens), position, layer)
        if factor is not None:
            st.selectbox(
                "Factor of this token",
                factors,
                format_func=named,
                width=310,
                help=definitions.ACTIVATION,
                **url_state.widget(controls.FACTOR, factor),
            )
        st.slider(
            "Share kept",
            50,
            100,
            format="%d%%",
            width=180,
            help=definitions.SHARE_KEPT,
            **url_state.widget(controls.KEPT),
        )
    if layer == bundle.layers[0]:
        st.markdown(
            f"Layer {layer} is the lowest that this bundle takes apart, so nothing below it is "
            "known. Choose a higher one."
        )
        return None
    if factor is None:
        st.markdown("No factor is active at this token and layer. Choose another.")
    elif asked is not None and asked != factor:
        st.caption(
            f"Factor {asked:,} is silent at this token and layer; the strongest one is shown."
        )
    return factor


def _in_words(graph: "OriginGraph") -> str:
    """Say in a sentence what the ends of the graph carry."""
    nodes = graph.nodes
    lowest = nodes["layer"].min()
    carried = nodes[nodes["kind"] != "factor"].groupby("kind")["carried"].sum()
    last = nodes[(nodes["kind"] == "factor") & (nodes["layer"] == lowest)]["carried"].sum()
    words = carried.get("word")
    parts = [
        *([f"the words themselves carry **{words:.0%}**"] if words is not None else []),
        f"the factors of layer {lowest} carry **{last:.0%}**",
        f"what no factor explains **{carried.get('rest', 0.0):.0%}**",
        f"the mean states **{carried.get('start', 0.0):.0%}**",
    ]
    left = max(1 - float(carried.sum()) - float(last), 0.0)
    return (
        f"Followed down to layer {lowest}, {', '.join(parts[:-1])} and {parts[-1]}. The other "
        f"**{left:.0%}** went to factors that are not kept. The sums miss {graph.error:.1%} on the "
        "way."
    )


def _draw_graph(graph: "OriginGraph", pixels: int) -> None:
    rows = origins_chart.row_height(graph.nodes["layer"].nunique())
    drawing = origins_layout.place(graph, graph.labels, rows, pixels)
    wide = "wide" if len(drawing.tokens) > origins_layout.NARROW else "near"
    key = chart_clicks.key_until_click(f"origins_{wide}")
    left_out = (
        f" Of {len(graph.tokens)} tokens the {len(drawing.tokens)} that carry most have a column."
        if drawing.left_out
        else ""
    )
    thinner = f" {drawing.thinner:,} thinner lines are not drawn." if drawing.thinner else ""
    said = (
        "A circle is a factor, as large as what it carries: click it to open the factor. Squares "
        "are the words themselves, diamonds what no factor explains, triangles the mean state; "
        "they are faint where they carry little. A line is as thick as what flows over it."
        f"{left_out}{thinner} The files hold all."
    )
    with st.container(key=f"origin_graph_{wide}"):
        event = origins_chart.origins(
            drawing,
            key=key,
            alt="Tokens from left to right, layers upwards: which factors, words and rests the "
            "activation was made from. The list below says the same in words.",
        )
        st.caption(said)
    if point := chart_clicks.clicked_point(event, key, f"origins_{wide}"):
        shell.open_page(
            controls.FACTOR_PAGE,
            {controls.FACTOR: int(point["factor"]), controls.LAYER: int(point["layer"])},
        )


def _draw_check(check: pd.DataFrame, layer: int, width: Literal["content", "stretch"]) -> None:
    st.markdown("**Is it so?** Sources taken away", help=definitions.TAKEN_AWAY)
    if check.empty:
        st.caption("No factor is active one layer below: there is nothing to take away.")
        return
    largest = check[check["drawn"] == "largest"].iloc[-1]
    chance = check[check["drawn"] == "chance"].iloc[-1]
    st.markdown(
        f"Without the {largest['count']} largest of the {largest['active']} factors that are "
        f"active one layer below layer {layer}, the activation changes by "
        f"**{_change(largest['measured'])}** (predicted {_change(largest['predicted'])}); without "
        f"{chance['count']} by chance, by **{_change(chance['measured'])}** "
        f"({_change(chance['predicted'])})."
    )
    names = {"largest": "largest", "chance": "by chance"}
    shown = pd.DataFrame(
        {
            "Taken away": [
                f"{row.count_} {names[row.drawn]}"
                for row in check.rename(columns={"count": "count_"}).itertuples()
            ],
            "Predicted": 100 * check["predicted"],
            "Measured": 100 * check["measured"],
            "Coded": 100 * check["coded"],
        }
    )
    tips = {
        "Predicted": definitions.PREDICTED_CHANGE,
        "Measured": definitions.MEASURED_CHANGE,
        "Coded": definitions.CODED_CHANGE,
    }
    st.dataframe(
        shown,
        hide_index=True,
        width=width,
        alt="How the activation changes when sources are taken away, predicted and measured.",
        column_config={"Taken away": st.column_config.TextColumn(help=definitions.TAKEN_AWAY)}
        | {
            name: st.column_config.NumberColumn(format="%+.1f%%", help=tip, width="small")
            for name, tip in tips.items()
        },
    )


def _change(value: float) -> str:
    """Return a change in per cent with its sign.

    >>> _change(-0.834), _change(0.012), _change(-0.001)
    ('−83%', '+1%', '0%')
    """
    rounded = round(100 * value)
    return f"{rounded:+d}%".replace("-", "−") if rounded else "0%"


def _draw_downloads(graph: "OriginGraph") -> None:
    asked = graph.nodes.iloc[0]
    place = f"{asked['factor']}_{asked['layer']}_{asked['position']}"
    name, slug = f"origins_{place}", f"circuit_{place}"
    with st.container(horizontal=True, gap="small"):
        downloads.show(lambda: named_nodes(graph), f"{name}_nodes", "Nodes")
        downloads.show(lambda: graph.edges, f"{name}_edges", "Edges")
        downloads.show_json(
            lambda: as_json(graph), name, "Download tokens, nodes and edges as one object."
        )
        downloads.show_json(
            lambda: graph.to_circuit_tracer(slug),
            slug,
            "Download the graph for the front end of circuit-tracer, or for Neuronpedia.",
            "circuit-tracer",
        )


def named_nodes(graph: "OriginGraph") -> pd.DataFrame:
    """Return the nodes with the token and the name of each."""
    return graph.nodes.assign(
        token=[graph.tokens[at] if at >= 0 else "" for at in graph.nodes["position"]],
        name=[graph.labels[at] if at >= 0 else "" for at in graph.nodes["factor"]],
    )


def as_json(graph: "OriginGraph") -> str:
    """Return tokens, nodes and edges as one object."""
    record = json.loads(replace(graph, nodes=named_nodes(graph)).to_json())
    return json.dumps(record, ensure_ascii=False, indent=1)
