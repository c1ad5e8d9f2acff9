"""The gallery: a card for each bundle that can be opened here, and all of them as a table."""

from pathlib import Path

import streamlit as st

from tfactors.app.frame import controls, shell, store, url_state
from tfactors.app.parts import downloads
from tfactors.bundle import Bundle
from tfactors.bundle.summary import coding_in_words
from tfactors.display.text import documents
from tfactors.portrait import gallery
from tfactors.portrait.gallery import Entry

_MOST_CARDS = 60
_COLUMNS = 2


def show(bundle: Bundle) -> None:
    """Draw the search, the cards of what it finds, and the table for download."""
    entries = _entries(store.bundle_folders())
    st.text_input(
        "Find a bundle",
        placeholder="model, text, licence",
        max_chars=80,
        width=320,
        **url_state.widget(controls.GALLERY_QUERY, ""),
    )
    query = str(url_state.value_of(controls.GALLERY_QUERY))
    found = [entry for entry in entries if entry.says(query)]
    st.caption(_count(len(found), len(entries)))
    if not found:
        st.markdown("Nothing here says that. Empty the field to see all bundles.")
    for start in range(0, min(len(found), _MOST_CARDS), _COLUMNS):
        columns = st.columns(_COLUMNS)
        for column, entry in zip(columns, found[start : start + _COLUMNS], strict=False):
            with column.container(border=True, height="stretch"):
                _card(entry, is_open=_is(entry, bundle))
    if found:
        downloads.show(lambda: gallery.table(found), "bundles")
    st.caption(
        "`tfactors dashboard FOLDER` shows the bundles of a folder, `tfactors dashboard hf:owner` "
        "those of an owner on the hub."
    )


def _count(found: int, all_of_them: int) -> str:
    count = f"{found:,} of {all_of_them:,} bundles" if found < all_of_them else f"{found:,} bundles"
    if found == all_of_them == 1:
        count = "1 bundle"
    more = f"; the first {_MOST_CARDS} are drawn" if found > _MOST_CARDS else ""
    return f"{count}{more}"


def _card(entry: Entry, is_open: bool) -> None:
    """Draw one bundle: a link that opens it, and its facts."""
    title = shell.plain_text(entry.title)
    if entry.about is None:
        st.markdown(f"**{title}**")
        st.error(shell.plain_text(entry.wrong), icon=":material/error:")
        return
    shell.link(
        controls.HOME, title, ":material/folder_open:", changes={controls.BUNDLE: entry.name}
    )
    about = entry.about
    levels = ", ".join(f"{count:,} {name}" for name, count in about.metrics.levels.items())
    quality = [
        f"L0 {about.metrics.l0:.1f}" if about.metrics.l0 is not None else "",
        f"explained variance {about.metrics.explained_variance:.3f}"
        if about.metrics.explained_variance is not None
        else "",
    ]
    facts = {
        "Model": f"{about.model.name}, layers {', '.join(map(str, about.model.layers))}",
        "Texts": "; ".join(source.title or source.name for source in about.corpus.sources)
        + f": {documents(about.corpus.documents)}, {about.corpus.tokens:,} tokens",
        "Factors": f"{about.dictionary.factors:,}; {coding_in_words(about)}",
        "Levels": levels,
        "Quality": ", ".join(filter(None, quality)),
        "Licences": "; ".join(entry.licences),
        "Size": f"{entry.megabytes:,.1f} MB",
        "Name": f"{entry.name}, open now" if is_open else entry.name,
    }
    lines = [f"*{name}* {shell.plain_text(fact)}" for name, fact in facts.items() if fact]
    st.markdown("  \n".join(lines))


def _is(entry: Entry, bundle: Bundle) -> bool:
    return entry.about is not None and entry.about.manifest_sha256 == bundle.fingerprint


def _entries(folders: dict[str, Path]) -> list[Entry]:
    """Return the entries, read again where a manifest has changed."""
    return [_entry(name, str(path), store.manifest_stamp(path)) for name, path in folders.items()]


@st.cache_resource(max_entries=400, show_spinner=False)
def _entry(name: str, path: str, stamp: tuple[int, int] | None) -> Entry:
    return Entry.of(name, Path(path))
