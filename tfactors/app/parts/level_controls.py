"""The thresholds of the levels in the sidebar, with how many factors each level has."""

from typing import Any

import numpy as np
import streamlit as st

from tfactors.app.frame import controls, url_state
from tfactors.app.parts import selection, sidebar_section
from tfactors.bundle import Bundle
from tfactors.describe.levels import OlderThresholds
from tfactors.portrait import definitions, level_rule, older_level_rule


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
        if isinstance(limits, OlderThresholds):
            _older_sliders(bundle, limits)
        else:
            st.slider(
                "Low: spreads on so many words or fewer",
                1.0,
                float(controls.MOST_WORDS),
                step=0.5,
                help=definitions.EFFECTIVE_WORDS,
                **_threshold("low_words", min(limits.low_words, controls.MOST_WORDS)),
            )
            _share_slider(
                "High: the window decides at least",
                "window_share",
                limits.window_share,
                definitions.WINDOW_SHARE,
            )
            if limits.few_words_share is not None:
                _share_slider(
                    "High, of few words: at least",
                    "few_words_share",
                    limits.few_words_share,
                    definitions.FEW_WORDS_SHARE,
                )
        counts = factor_counts(bundle)
        st.caption(" · ".join(f"{count:,} {level}" for level, count in counts.items()))
        st.button(
            "As built",
            disabled=all(url_state.value_of(at) is None for at in controls.THRESHOLDS.values()),
            type="tertiary",
            icon=":material/undo:",
            on_click=url_state.set_controls,
            args=(dict.fromkeys(controls.THRESHOLDS.values()),),
        )


def _older_sliders(bundle: Bundle, limits: OlderThresholds) -> None:
    """Draw the thresholds of an older rule."""
    st.slider(
        "Low: peak at this depth or less",
        0.0,
        1.0,
        step=0.01,
        help=definitions.DEPTH,
        **_threshold("low_depth", limits.low_depth),
    )
    if limits.word_share is not None:
        _share_slider(
            "Low too: its words keep at least",
            "word_share",
            limits.word_share,
            definitions.WORD_ELSEWHERE,
        )
    if not bundle.abilities.level_rule:
        st.caption(bundle.abilities.level_rule.why_not)
        return
    _share_slider(
        "High: its sentence keeps less than",
        "sentence_share",
        limits.sentence_share,
        older_level_rule.sentence_share_help(limits),
    )


def _share_slider(label: str, name: str, value: float, tip: str) -> None:
    options = _threshold(name, value)
    st.slider(label, 0.0, 1.0, step=0.01, format="percent", help=tip, **options)


def _threshold(name: str, value: float) -> dict[str, Any]:
    return url_state.widget(controls.THRESHOLDS[name], round(value, 2))
