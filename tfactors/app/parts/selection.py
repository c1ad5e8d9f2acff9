"""The factor that a page is about: its row, layer, name, and level at the reader's thresholds.

Turns a factor's number and a layer into a :class:`Selected`, which every part that draws a factor
takes. A name is what people wrote, else the label of the bundle, else the factor's words.
"""

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, llm_labels, notes, store, url_state
from tfactors.bundle import Bundle
from tfactors.describe.levels import OlderThresholds, Thresholds
from tfactors.portrait import level_rule, names
from tfactors.portrait.selected import Selected, peak_layer


def thresholds_in_force(bundle: Bundle) -> Thresholds | OlderThresholds:
    """Return the level thresholds in force: the reader's, else the bundle's."""
    built = bundle.about.importance.thresholds
    # What the rule does not ask (word_share of the oldest is None) no link can make it ask.
    moved: Any = {
        name: value
        for name, built_value in vars(built).items()
        if built_value is not None
        and (value := url_state.value_of(controls.THRESHOLDS[name])) is not None
    }
    return replace(built, **moved)


def select_factor(bundle: Bundle, factor: int, layer: int = controls.PEAK) -> Selected:
    """Return a factor at a layer, by default its peak layer."""
    row = bundle.factors.iloc[factor]
    limits = thresholds_in_force(bundle)
    level = str(level_rule.levels_in_force(bundle.factors.iloc[[factor]], limits)[0])
    if layer == controls.PEAK:
        layer = peak_layer(bundle, factor)
    return Selected(bundle, store.overview(bundle), factor, layer, row, level, limits)


def name_words(bundle: Bundle, factor: int) -> list[str]:
    """Return the words that a factor is called by: what people wrote, else its label or words."""
    if has_own_name(bundle, factor):
        return [notes.shown(bundle).notes[factor].label]
    return names.own_words(bundle, factor)


def has_own_name(bundle: Bundle, factor: int) -> bool:
    """Say whether people have given a factor a name."""
    note = notes.shown(bundle).notes.get(factor)
    return note is not None and bool(note.label)


def factor_name(bundle: Bundle, factor: int) -> str:
    """Return a factor's number and words in one short line of plain text: 30 · left / leave."""
    return names.short_name(factor, name_words(bundle, factor))


def factor_names(bundle: Bundle) -> pd.DataFrame:
    """Return factor, name (as :func:`factor_name`) and words of every factor of a bundle."""
    plain = _bundle_names(bundle.fingerprint, bundle)
    labelled = [at for at, note in notes.shown(bundle).notes.items() if note.label]
    if not labelled:
        return plain
    labelled_names = plain.copy()
    labelled_names.loc[labelled, "name"] = [factor_name(bundle, at) for at in labelled]
    labelled_names.loc[labelled, "words"] = [notes.shown(bundle).notes[at].label for at in labelled]
    return labelled_names


@st.cache_resource(max_entries=4, show_spinner=False)
def _bundle_names(fingerprint: str, _bundle: Bundle) -> pd.DataFrame:
    words = [names.own_words(_bundle, at) for at in range(_bundle.n_factors)]
    return pd.DataFrame(
        {
            "factor": range(_bundle.n_factors),
            "name": [names.short_name(at, parts) for at, parts in enumerate(words)],
            "words": [" / ".join(parts) for parts in words],
        }
    )


def casefolded_names(bundle: Bundle) -> list[str]:
    """Return the names of all factors for a search, upper and lower case alike.

    What a language model called a factor is found too.
    """
    plain = _casefolded_bundle_names(bundle.fingerprint, bundle)
    by_model = llm_labels.shown(bundle)
    written = notes.shown(bundle).notes
    if not by_model and not any(note.label for note in written.values()):
        return plain
    changed = {at: factor_name(bundle, at).casefold() for at, note in written.items() if note.label}
    names = [changed.get(at, known) for at, known in enumerate(plain)]
    for at, given in by_model.items():
        names[at] = f"{names[at]} {given.label.casefold()}"
    return names


@st.cache_resource(max_entries=4, show_spinner=False)
def _casefolded_bundle_names(fingerprint: str, _bundle: Bundle) -> list[str]:
    return [name.casefold() for name in _bundle_names(fingerprint, _bundle)["name"]]
