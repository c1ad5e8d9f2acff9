"""Factors worth a click, found once a bundle: :mod:`tfactors.portrait.showcase` has the rule."""

import streamlit as st

from tfactors.app.frame import controls, store
from tfactors.bundle import Bundle
from tfactors.portrait import showcase


def first_factor(bundle: Bundle) -> int:
    """Return the factor that a page shows when none was asked for."""
    return showcase.first_factor(factors_by_level(bundle))


def factors_by_level(bundle: Bundle) -> dict[str, list[int]]:
    """Return the factors worth a click of each level that has any, at most twenty, best first."""
    return _factors_by_level(bundle.fingerprint, bundle)


@st.cache_resource(max_entries=4, show_spinner=False)
def _factors_by_level(fingerprint: str, _bundle: Bundle) -> dict[str, list[int]]:
    return showcase.factors_by_level(_bundle, store.overview(_bundle), controls.MOST_SHOWN)
