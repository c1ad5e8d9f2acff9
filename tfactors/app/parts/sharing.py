"""A factor to show elsewhere: its link, and a compact view for a blog post.

``?embed=true`` after a link to a factor takes away the menu and the controls and leaves the
headline, the curve and the strongest examples, with a way to the whole page.
"""

from urllib.parse import urlencode

import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import factor_summary, selection, showcase, sidebar_section
from tfactors.bundle import Bundle
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display.text import as_html

_EXAMPLES = 12
_WORDS = 8
_HEIGHT = 760  # pixels of a frame that shows the compact view without scrolling


def is_embedded() -> bool:
    """Say whether the page stands in somebody else's."""
    return bool(st.context.is_embedded)


def show_compact(bundle: Bundle) -> None:
    """Draw a factor for another page."""
    chosen = url_state.value_of(controls.FACTOR)
    factor = showcase.first_factor(bundle) if chosen is None else chosen
    selected = selection.select_factor(bundle, factor, url_state.value_of(controls.LAYER))
    head, curve = st.columns([5, 4], gap="medium")
    with head:
        factor_summary.headline(selected)
    with curve:
        clicked = factor_summary.importance_curve(selected)
    if clicked is not None and clicked != selected.layer:
        url_state.set_controls({controls.LAYER: clicked})
        st.rerun()
    examples = bundle.examples(selected.factor, selected.layer)
    passages_shown = passages_of(
        bundle,
        examples.head(_EXAMPLES),
        _WORDS,
        contexts=bundle.contexts(selected.factor, selected.layer),
    )
    if passages_shown:
        shown = passages.lines(passages_shown, float(examples["activation"].max()))
        tinted = bundle.abilities.token_activations
        st.html(passages.legend(passages_shown) + shown if tinted else shown)
    else:
        st.caption(bundle.abilities.nothing_at(selected.layer))
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.caption(f"{shell.plain_text(bundle.title)}: a transformer factor, by tfactors.")
        st.link_button(
            "Open in the dashboard", view_address(), icon=":material/open_in_new:", type="tertiary"
        )


def sidebar(factor: int) -> None:
    """Draw the link of this page and the code that embeds it."""
    share = sidebar_section.folded_section("share", "Share", ":material/share:")
    if not share.open:
        return
    with share:
        st.caption("This view exactly as it is now:")
        st.code(view_address(), language=None, wrap_lines=True)
        if long_link := url_state.long_link():
            st.warning(long_link, icon=":material/link_off:")
        st.caption("The factor in a page of yours:")
        whole = as_html(view_address(embed="true"))
        st.code(
            f'<iframe src="{whole}" title="Factor {factor}" width="100%" height="{_HEIGHT}" '
            'style="border: 0"></iframe>',
            language=None,
            wrap_lines=True,
        )


def view_address(**more: str) -> str:
    """Return the link that restores this view."""
    query = url_state.query_of(url_state.controls_of_page()) | more
    return (st.context.url or "") + (f"?{urlencode(query)}" if query else "")
