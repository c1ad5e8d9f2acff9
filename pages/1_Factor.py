"""Factor: one factor at one layer, its curve, its numbers and its words in context."""

import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import (
    example_list,
    factor_note,
    factor_summary,
    intervention,
    level_controls,
    option_buttons,
    sharing,
    toolbar,
    words_around,
)
from tfactors.app.views import factor as factor_view
from tfactors.app.views import factor_bands, factor_context, factor_contrast, factor_origins

bundle = shell.bundle()
if sharing.is_embedded():
    sharing.show_compact(bundle)
    st.stop()
selected = toolbar.choose_factor(bundle)
examples = bundle.examples(selected.factor, selected.layer)
part = url_state.value_of(controls.PART)
reading = example_list.start_reading(selected, examples) if part == "examples" else None

head, curve, bars = st.columns([5, 4, 3], gap="large")
with head:
    factor_summary.headline(selected)
with curve:
    clicked = factor_summary.importance_curve(selected)
with bars:
    factor_summary.activation_histogram(selected, example_list.smallest_shown(examples))
if clicked is not None and clicked != selected.layer:
    url_state.set_controls({controls.LAYER: clicked})
    st.rerun()

factor_note.show(bundle, selected.factor)
factor_summary.numbers(selected)
option_buttons.show("Show", controls.PART, controls.PARTS, label_visibility="collapsed")
match part:
    case "examples":
        with st.container():  # also where it stays empty, so that the list below keeps its place
            if selected.level == "mid":
                example_list.finish_reading(reading)
                words_around.show(selected, examples)
        example_list.show(selected, examples, reading)
        example_list.sidebar(bundle, selected.level)
    case "random":
        factor_bands.show(selected, examples)
    case "contrast":
        factor_contrast.show(selected, examples)
    case "layers":
        factor_view.show_words_by_layer(selected)
    case "context":
        factor_context.show(selected)
        words_around.show(selected, examples)
    case "corpus":
        factor_view.show_sources(selected, examples)
    case "similar":
        factor_view.show_similar(selected)
    case "origins":
        factor_origins.show(selected)
    case "effect":
        intervention.show_for_factor(selected)
level_controls.sidebar(bundle)
factor_note.sidebar(bundle, selected.factor)
sharing.sidebar(selected.factor)
