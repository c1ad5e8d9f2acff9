"""A token as a sum of factors: “bank = 3.1 *river* + 1.9 *deposit* + … + ε”, with links.

Where what each token brings of its own is subtracted, the sum begins with “bank itself”.
"""

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell
from tfactors.app.parts import selection
from tfactors.bundle import Bundle
from tfactors.display import passages

TERMS = 6


def show(bundle: Bundle, word: str, active: pd.DataFrame, layer: int, key: str) -> None:
    """Draw “word = 3.1 river + 1.9 deposit + …”, each term a link to its factor at the layer.

    ``active`` has factor and activation, strongest first; ``key`` is one of the page's own.
    """
    rest = f"+ {len(active) - TERMS} smaller " if len(active) > TERMS else ""
    itself = bundle.about.baseline is not None
    none = "0 " if active.empty and not itself else ""
    with st.container(
        horizontal=True, gap="xsmall", vertical_alignment="center", key=f"terms_{key}"
    ):
        st.html(
            f'<p class="tf-equation"><mark><bdi>{passages.escape(word)}</bdi></mark> = '
            f"{f'<bdi>{passages.escape(word)}</bdi> <i>itself</i> ' if itself else ''}</p>",
            width="content",
        )
        factors, values = active["factor"].tolist()[:TERMS], active["activation"].tolist()
        for place, (factor, value) in enumerate(zip(factors, values, strict=False)):
            words = " / ".join(
                passages.shorten(part, 24) for part in selection.name_words(bundle, factor)[:2]
            )
            plus = "+ " if place or itself else ""
            shell.link(
                controls.FACTOR_PAGE,
                f"{plus}**{value:.1f}** {shell.plain_text(words or str(factor))}",
                changes={controls.FACTOR: factor, controls.LAYER: layer},
            )
        st.html(f'<p class="tf-equation">{none}{rest}+ ε</p>', width="content")
