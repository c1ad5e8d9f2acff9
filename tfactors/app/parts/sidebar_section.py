"""A section of the sidebar that is folded away until a reader opens it.

Only an open section is filled: the browser builds what is folded away as well, and builds it anew
with every factor.
"""

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.elements.lib.mutable_expander_container import ExpanderContainer


def folded_section(name: str, title: str, icon: str, expanded: bool = False) -> "ExpanderContainer":
    """Draw a part of the sidebar; ``.open`` says whether to fill it. ``name`` is its own."""
    with st.sidebar:
        return st.expander(title, expanded, key=f"fold_{name}", icon=icon, on_change="rerun")
