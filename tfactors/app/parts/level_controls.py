"""The thresholds of the levels in the sidebar, with how many factors each level has."""

import numpy as np
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import definitions, level_rule, selection, sidebar_section
from tfactors.bundle import Bundle


def factor_counts(bundle: Bundle) -> dict[str, int]:
    """Return how many factors each level has at the thresholds in force."""
    levels = level_rule.levels_in_force(bundle.factors, selection.thresholds_in_force(bundle))
    return {level: int(np.sum(levels == level)) for level in controls.LEVELS}


def sidebar(bundle: Bundle, expanded: bool = False) -> None:
    """Draw the thresholds."""
    levels = sidebar_section.folded_section("levels", "Levels", ":material/stairs:", expanded)
    if not levels.open:
        return
    limits = selection.thresholds_in_force(bundle)
    with levels:
        st.slider(
            "Low: peak at this depth or less",
            0.0,
            1.0,
            step=0.01,
            help=definitions.DEPTH,
            **url_state.widget(controls.LOW_DEPTH, round(limits.low_depth, 2)),
        )
        if limits.word_share is not None:
            st.slider(
                "Low too: its words keep at least",
                0.0,
                1.0,
                step=0.01,
                format="percent",
                help=definitions.WORD_ELSEWHERE,
                **url_state.widget(controls.WORD_SHARE, round(limits.word_share, 2)),
            )
        if not bundle.abilities.level_rule:
            st.caption(bundle.abilities.level_rule.why_not)
        else:
            st.slider(
                "High: its sentence keeps less than",
                0.0,
                1.0,
                step=0.01,
                format="percent",
                help=level_rule.sentence_share_help(limits),
                **url_state.widget(controls.SENTENCE_SHARE, round(limits.sentence_share, 2)),
            )
        counts = factor_counts(bundle)
        st.caption(" · ".join(f"{count:,} {level}" for level, count in counts.items()))
        thresholds = (controls.LOW_DEPTH, controls.WORD_SHARE, controls.SENTENCE_SHARE)
        st.button(
            "As built",
            disabled=all(url_state.value_of(control) is None for control in thresholds),
            type="tertiary",
            icon=":material/undo:",
            on_click=url_state.set_controls,
            args=(dict.fromkeys(thresholds),),
        )
