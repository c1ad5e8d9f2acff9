"""The strongest examples of a factor lined up by their marked words: the commonest word at each
place before and after, the larger the more of the examples have it there.
"""

import pandas as pd
import streamlit as st

from tfactors.app.parts import downloads
from tfactors.app.parts.selection import Selected
from tfactors.describe import lined_up
from tfactors.portrait import definitions, words_around


def show(selected: Selected, examples: pd.DataFrame) -> None:
    """Draw the words around a factor's words; ``examples`` come strongest first."""
    if examples.empty:
        return
    strongest = examples.head(lined_up.EXAMPLES)
    shares = words_around.shares(selected.bundle, strongest)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(
            f"Words around it at layer {selected.layer}",
            anchor=False,
            help=definitions.WORDS_AROUND,
        )
        downloads.show(lambda: pd.DataFrame(shares), f"around_{selected.factor}_{selected.layer}")
    which = f"Its {len(strongest)} strongest examples" if len(strongest) > 1 else "Its only example"
    unread = (
        " The model reads from left to right: it had read nothing of the words after."
        if selected.bundle.about.model.causal
        else ""
    )
    st.caption(
        f"{which}, lined up by the marked word: at each place the commonest word, and the share of "
        f"the examples that have it there.{unread}"
    )
    st.html(words_around.table_html(shares))
