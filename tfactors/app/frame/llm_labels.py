"""What a language model called the factors, as the pages show it beside their other names.

Turns the table beside the bundle (:mod:`tfactors.bundle.llm_labels`) into the newest label of each
factor, read once for every state of the file, so that labels show while they are being made. What
cannot be used is left out, and the pages say why.
"""

from collections.abc import Mapping

import streamlit as st

from tfactors.bundle import Bundle, llm_labels
from tfactors.bundle.llm_labels import ModelLabel
from tfactors.portrait import model_label


def begin(bundle: Bundle) -> str | None:
    """Return what is wrong with the table beside the bundle, in one line; first in every run."""
    return _read(bundle)[1]


def shown(bundle: Bundle) -> Mapping[int, ModelLabel]:
    """Return by factor its newest label; empty where nobody asked, or the table is unusable."""
    return _read(bundle)[0]


def state(bundle: Bundle) -> tuple[int, int] | None:
    """Return what changes with every answer, None where nobody asked."""
    try:
        stat = (bundle.path / llm_labels.TABLE).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _read(bundle: Bundle) -> tuple[Mapping[int, ModelLabel], str | None]:
    if (now := state(bundle)) is None:
        return {}, None
    return _labels(str(bundle.path), bundle.fingerprint, now, bundle)


@st.cache_resource(max_entries=4, show_spinner=False)
def _labels(
    path: str, fingerprint: str, state: tuple[int, int], _bundle: Bundle
) -> tuple[Mapping[int, ModelLabel], str | None]:
    return model_label.labels_beside(_bundle)
