"""Factor: one factor at one layer, its curve, its numbers and its words in context."""

import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import (
    example_list,
    factor_view,
    intervention,
    level_controls,
    notes_view,
    sharing,
    toolbar,
)
from tfactors.app.views import factor as factor_parts
from tfactors.app.views import factor_context

bundle = shell.bundle()
if sharing.is_embedded():
    sharing.compact(bundle)
    st.stop()
it = toolbar.show(bundle)
examples = bundle.examples(it.factor, it.layer)
part = url_state.get(controls.PART)
begun = example_list.begin(it, examples) if part == "examples" else None

head, curve, bars = st.columns([5, 4, 3], gap="large")
with head:
    factor_view.headline(it)
with curve:
    clicked = factor_view.importance_curve(it)
with bars:
    factor_view.activation_histogram(it, example_list.smallest_shown(examples))
if clicked is not None and clicked != it.layer:
    url_state.change({controls.LAYER: clicked})
    st.rerun()

notes_view.show(bundle, it.factor)
factor_view.numbers(it)
st.segmented_control(
    "Show",
    list(controls.PARTS),
    required=True,
    format_func=controls.PARTS.__getitem__,
    label_visibility="collapsed",
    **url_state.widget(controls.PART),
)
match part:
    case "examples":
        example_list.show(it, examples, begun)
        example_list.sidebar(it.bundle.ranked)
    case "random":
        factor_parts.drawn(it)
    case "layers":
        factor_parts.by_layer(it)
    case "context":
        factor_context.show(it)
    case "corpus":
        factor_parts.corpus(it, examples)
    case "similar":
        factor_parts.similar(it)
    case "effect":
        intervention.of_factor(it)
level_controls.sidebar(bundle)
notes_view.sidebar(bundle, it.factor)
sharing.sidebar(it.factor)
