"""The frame around every page: menu, open bundle, notices, and calm words when something is wrong.

``dashboard.py`` calls :func:`draw_dashboard`. A server that was just started opens a link to a page
without running ``dashboard.py``, because Streamlit still takes ``pages/`` for a menu of its own
then. So every page begins with :func:`bundle`, which draws the frame where that is missing.
"""

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import streamlit as st

from tfactors.app.frame import (
    basket,
    controls,
    kept_notes,
    llm_labels,
    notes,
    server,
    store,
    style,
    svg_button,
    url_state,
)
from tfactors.bundle import Bundle, BundleError
from tfactors.display import look
from tfactors.errors import InputError
from tfactors.visible import boxed, kept_apart

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer


TITLE = "Transformer factors"

_DRAWN = "frame.drawn"  # whether this session has drawn a page
_OPEN: ContextVar[Bundle | None] = ContextVar("open_bundle", default=None)


def draw_dashboard() -> None:
    """Draw the frame and, in it, the page that is open."""
    with server.page_turn():
        try:
            _run()
        finally:
            server.freeze_loaded_modules()
            server.release_memory()


def _run() -> None:
    pages = {
        page.path: st.Page(page.path, title=page.title, default=page is controls.HOME)
        for page in controls.PAGES
    }
    style.write()
    current = st.navigation(list(pages.values()), position="hidden")
    here = next((p for p in controls.PAGES if pages[p.path].title == current.title), controls.HOME)
    st.set_page_config(page_title=f"{here.title} · {TITLE}", page_icon=look.ICON, layout="wide")
    url_state.take_over_url(here.path, here.controls)
    folders = store.bundle_folders()
    _begin_basket(folders)
    if st.context.is_embedded:
        path = _named_bundle(folders)
    else:
        with st.sidebar:
            _menu()
            path = _choose_bundle(folders)
    if path is None:
        show_no_bundle()
        return
    try:
        opened = store.open_bundle(path)
        url_state.check_against(here.controls, opened)
        wrong = [notes.begin(opened), llm_labels.begin(opened)]
        if not st.context.is_embedded:
            with st.sidebar:
                kept_notes.draw(opened)
        said = [*wrong, kept_notes.notice(opened), url_state.long_link()]
        for sentence in [*url_state.notices(), *filter(None, said)]:
            st.info(plain_text(sentence), icon=":material/info:")
        token = _OPEN.set(opened)
        try:
            current.run()
        finally:
            _OPEN.reset(token)
        st.session_state[_DRAWN] = True
        if not st.context.is_embedded:
            with st.sidebar:
                svg_button.show()
    except InputError as error:
        show_error(error, path.name)


def bundle() -> Bundle:
    """Return the open bundle; when a page was started without the frame, run the frame instead."""
    opened = _OPEN.get()
    if opened is None:
        draw_dashboard()
        st.stop()
    return opened


def has_drawn() -> bool:
    """Return whether this session has drawn a page before."""
    return _DRAWN in st.session_state


def _begin_basket(folders: dict[str, Path]) -> None:
    """Take up the basket, which the links of the menu have to know before the bundle is drawn."""
    with suppress(InputError):  # of a bundle that cannot be opened, which is told below
        if (path := _named_bundle(folders)) is not None:
            opened = store.open_bundle(path)
            basket.begin(opened)
            url_state.check_against((basket.BASKET,), opened)


Changes = Mapping[url_state.Control[Any], Any]


def link(
    page: controls.Page,
    label: str,
    icon: str | None = None,
    changes: Changes | None = None,
    width: Literal["content", "stretch"] = "content",
) -> None:
    """Draw a link to a page; ``changes`` says what its controls have other than now."""
    query = url_state.query_of(page.controls, changes)
    st.page_link(page.path, label=label, icon=icon, query_params=query, width=width)


def open_page(page: controls.Page, changes: Changes | None = None) -> NoReturn:
    """Open another page as if its link had been clicked; ``changes`` says what is other than now.

    ``st.switch_page`` with a query makes two steps of the browser's history, so that Back would
    have to be pressed twice; a link makes one. So this draws the link, and has the browser follow
    it. The rest of the page is not drawn.
    """
    with st.container(key="leap"):
        link(page, f"Open the page {page.title}", ":material/arrow_forward:", changes=changes)
    _follow()(key="follow")
    st.stop()


# Ours from the first letter to the last: nothing that a reader or a bundle says gets in here.
_FOLLOW = """
export default () => {
  const link = document.querySelector(".st-key-leap a");
  if (link) link.click();
};
"""


def _follow() -> "ComponentRenderer":
    return st.components.v2.component("tfactors_follow", js=_FOLLOW)


def show_no_bundle() -> None:
    """Say that there is nothing to show yet, and how to make it."""
    if reason := store.why_none():
        st.title("No bundle to show")
        st.error(plain_text(reason), icon=":material/error:")
        return
    st.title("No bundle yet")
    st.markdown(
        "The dashboard shows *bundles*: what `tfactors build` finds out about a language model by "
        "reading a text. There is none here. To make one from a text of yours:"
    )
    st.code(
        "tfactors build my.txt --out artifacts/mine --preset quick\n"
        "tfactors dashboard artifacts/mine",
        language="bash",
    )
    st.caption(f"Looked in the folder “{plain_text(str(store.artifacts_folder()))}”.")


def show_error(error: InputError, name: str) -> None:
    """Say what is wrong with a bundle or a request, and what can be done."""
    if isinstance(error, BundleError):
        st.title("This bundle cannot be read")
        st.error(plain_text(str(error)), icon=":material/error:")
        st.markdown(
            "Check it with the first command; the second makes it again from the same text."
        )
        st.code(
            f"tfactors verify artifacts/{name}\ntfactors build … --out artifacts/{name}",
            language="bash",
        )
    else:
        st.title("That did not work")
        st.error(plain_text(str(error)), icon=":material/error:")
    link(controls.HOME, "Back to the first page", icon=":material/home:")


def _menu() -> None:
    st.html('<p class="tf-brand">Transformer factors</p>')
    with st.container(gap="xsmall"):
        for page in controls.PAGES:
            held = len(url_state.value_of(basket.BASKET).entries)
            count = f" ({held})" if held and page is controls.BASKET_PAGE else ""
            link(page, f"{page.title}{count}", page.icon, width="stretch")
    if st.button(
        "Find a factor",
        key="find",
        shortcut="S",
        icon=":material/search:",
        width="stretch",
        help="Opens the search.",
    ):
        open_page(controls.SEARCH_PAGE)


def _named_bundle(folders: dict[str, Path]) -> Path | None:
    """Return the bundle that the URL names, or the first."""
    if not folders:
        return None
    first = next(iter(folders))
    chosen = url_state.value_of(controls.BUNDLE) or first
    if chosen not in folders:
        url_state.add_notice(
            f"There is no bundle “{chosen[:40]}” here; “{store.bundle_title(folders[first])}” is "
            "shown."
        )
        url_state.reset(controls.BUNDLE)
        chosen = first
    return folders[chosen]


def _choose_bundle(folders: dict[str, Path]) -> Path | None:
    """Draw the choice of a bundle, where there are several; return the one in force."""
    path = _named_bundle(folders)
    if len(folders) > 1:
        chosen = url_state.value_of(controls.BUNDLE) or next(iter(folders))
        titles = store.bundle_titles(folders)
        st.selectbox(
            "Bundle",
            list(folders),
            format_func=lambda name: titles[name],
            **url_state.widget(controls.BUNDLE, chosen),
        )
    return path


def plain_text(text: str) -> str:
    r"""Return text that Markdown shows as it is, what would act on the page boxed.

    >>> plain_text("a *b* $x$ :red[c]")
    'a \\*b\\* \\$x\\$ \\:red\\[c\\]'
    """
    shown = kept_apart(boxed(text))
    return "".join("\\" + c if c in "\\`*_{}[]()<>#+-!|~$:^" else c for c in shown)
