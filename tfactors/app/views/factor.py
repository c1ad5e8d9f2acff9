"""What there is to know about a factor beside its examples, a part at a time.

Each function draws one part of the Factor page: the words at every layer, where in the corpus the
factor lives, and which factors and tokens are like it.
"""

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell
from tfactors.app.parts import downloads, factor_table
from tfactors.app.parts.selection import Selected
from tfactors.bundle.passages import passages_of
from tfactors.display import passages
from tfactors.display.text import as_html
from tfactors.portrait import definitions, layer_words

_LINES = 3
_CONTEXT = 7
_SIMILAR = 15
_DOCUMENTS = 8


def show_words_by_layer(selected: Selected) -> None:
    """Draw the words that the factor answers to at each layer, side by side, and examples."""
    st.subheader("What it answers to, layer by layer", anchor=False, help=definitions.LAYER_WORDS)
    carried = (
        "The words that carry most of the factor's activation at each layer (bar), and how many of "
        "the word's tokens activate it (number)."
    )
    about_words = selected.bundle.abilities.whole_words.why_not or carried
    st.caption(f"{about_words} Follow them to watch a meaning form.")
    columns = "".join(layer_words.column_html(selected, at) for at in selected.bundle.layers)
    st.html(
        '<div class="tf-layers" role="group" tabindex="0" aria-label="Words by layer">'
        f"{columns}</div>"
    )
    downloads.show(lambda: _words_by_layer(selected), f"words_{selected.factor}")
    for layer in selected.bundle.layers:
        examples = passages_of(
            selected.bundle, selected.bundle.examples(selected.factor, layer, _LINES), _CONTEXT
        )
        st.markdown(f"**Layer {layer}**{' (peak)' if layer == selected.row['peak_layer'] else ''}")
        if examples:
            st.html(
                passages.lines(examples, float(selected.overview.maximum[selected.factor].max()))
            )
        else:
            silent = selected.bundle.abilities.silence
            st.caption("No token activates it here." if silent else "No page.")


def _words_by_layer(selected: Selected) -> pd.DataFrame:
    words = [
        selected.bundle.words(selected.factor, at).assign(layer=at) for at in selected.bundle.layers
    ]
    return pd.concat(words, ignore_index=True)


def show_sources(selected: Selected, examples: pd.DataFrame) -> None:
    """Draw from which sources and years the strongest examples come."""
    st.subheader("Where in the corpus it lives", anchor=False, help=definitions.CORPUS)
    if not selected.bundle.abilities.documents:
        st.caption(selected.bundle.abilities.documents.why_not)
        return
    if examples.empty:
        st.caption(f"No token activates the factor at layer {selected.layer}.")
        return
    documents = selected.bundle.documents
    windows = selected.bundle.windows(examples["window"].to_list())
    sources = documents.iloc[windows["document"]]
    names = {source.name: source.title for source in selected.bundle.about.corpus.sources}
    tokens = documents.groupby("source")["tokens"].sum() / documents["tokens"].sum()
    share = sources["source"].value_counts(normalize=True)
    titles = {source: shell.plain_text(names.get(source, str(source))) for source in tokens.index}
    parts = (
        f"**{share.get(source, 0.0):.0%}** are from {titles[source]} ({expected:.0%} of the corpus)"
        for source, expected in tokens.items()
    )
    st.markdown(
        f"Of its {len(examples)} strongest examples at layer {selected.layer}, {'; '.join(parts)}."
    )
    from tfactors.app.views import factor_charts

    dated, all_dated = sources["year"].dropna(), documents.dropna(subset=["year"])
    if len(dated) >= 10 and all_dated["year"].nunique() > 1:
        st.markdown("**By decade**", help=definitions.DECADES)
        decades = (all_dated["year"].astype(int) // 10 * 10).to_numpy()
        expected = pd.Series(all_dated["tokens"].to_numpy()).groupby(decades).sum()
        observed = (dated.astype(int) // 10 * 10).value_counts()
        frame = pd.DataFrame({"expected": expected / expected.sum()})
        frame["observed"] = (observed / observed.sum()).reindex(frame.index).fillna(0.0)
        factor_charts.decade_bars(
            frame.rename_axis("decade").reset_index(),
            selected.level,
            alt="Share of the dated examples by decade, against the share of the corpus.",
        )
        st.caption("Bars: of the dated examples. Lines: of all dated text.")
    columns = ["source", "title", "year"]
    counts = sources[columns].value_counts(dropna=False).rename("examples").reset_index()
    common = sources["title"].value_counts().head(_DOCUMENTS)
    rows = "".join(
        f"<dt>{count} example{'s' if count > 1 else ''}</dt>"
        f"<dd><bdi>{as_html(passages.shorten(str(title), 120))}</bdi></dd>"
        for title, count in common.items()
    )
    if len(counts) > _DOCUMENTS:
        st.markdown(f"**The {_DOCUMENTS} documents with most of them**, of {len(counts)}")
    st.html(f'<dl class="tf-facts">{rows}</dl>')
    downloads.show(lambda: counts, f"documents_{selected.factor}_{selected.layer}")


def show_similar(selected: Selected) -> None:
    """Draw the factors and the tokens of the vocabulary that are near a factor."""
    _show_near_atoms(selected)
    _show_firing_together(selected)
    _show_near_tokens(selected)


def _show_firing_together(selected: Selected) -> None:
    """Draw the factors that fire on the same held-out tokens."""
    st.subheader("Factors that fire with it", anchor=False, help=definitions.TOGETHER)
    neighbours = selected.bundle.neighbours(selected.factor, "together")
    if neighbours.empty:
        none = "No other factor fires on its tokens more often than by chance."
        st.caption(selected.bundle.abilities.neighbours.why_not or none)
        return
    st.caption(
        "By the correlation of firing on held-out text at this factor's peak layer: 1 is on the "
        "same tokens, 0 is by chance."
    )
    rows = factor_table.factor_rows(selected.bundle, neighbours["other"].to_numpy())
    rows["together"] = neighbours["value"].to_numpy()
    column = st.column_config.NumberColumn(
        "Together", format="%.2f", width="small", help=definitions.TOGETHER
    )
    factor_table.show(
        rows,
        f"together_{selected.factor}",
        f"The {len(rows)} factors that fire most often with factor {selected.factor}.",
        {"together": column},
        {controls.PART: "examples"},
    )


def _show_near_tokens(selected: Selected) -> None:
    """Draw the nearest tokens of the model's vocabulary."""
    st.subheader("Near words of the model's vocabulary", anchor=False, help=definitions.VOCABULARY)
    if not selected.bundle.abilities.vocabulary:
        st.caption(selected.bundle.abilities.vocabulary.why_not)
        return
    kinds = {
        "input": "Nearest at the input, cosine",
        "logit": "Logit raised most",
        "logit_low": "Logit lowered most",
    }
    for kind, title in kinds.items():
        tokens = selected.bundle.vocabulary(selected.factor, kind)
        if len(tokens):
            words = ", ".join(
                f"<bdi>{passages.escape(row.token)}</bdi> <small>{row.value:.2f}</small>"
                for row in tokens.itertuples()
            )
            st.html(f'<dl class="tf-facts"><dt>{title}</dt><dd>{words}</dd></dl>')
    downloads.show(
        lambda: pd.concat(
            [selected.bundle.vocabulary(selected.factor, kind).assign(kind=kind) for kind in kinds],
            ignore_index=True,
        ),
        f"vocabulary_{selected.factor}",
    )
    if selected.bundle.vocabulary(selected.factor, "logit").empty:
        st.caption("The model was saved without a language-model head, so there are no logits.")


def _show_near_atoms(selected: Selected) -> None:
    """Draw the factors whose atoms point the same way."""
    st.subheader("Factors like it", anchor=False, help=definitions.COSINE)
    if not selected.bundle.abilities.dictionary:
        st.caption(selected.bundle.abilities.dictionary.why_not)
        return
    st.caption(
        "By the cosine of their atoms: 1 is the same direction, 0 is unrelated. Choose a row to "
        "open the factor."
    )
    atoms = selected.bundle.dictionary
    cosine = atoms @ atoms[selected.factor]
    order = np.argsort(-cosine, kind="stable")
    order = order[order != selected.factor][:_SIMILAR]
    rows = factor_table.factor_rows(selected.bundle, order)
    rows["cosine"] = cosine[order]
    column = st.column_config.NumberColumn(
        "Cosine", format="%.2f", width="small", help=definitions.COSINE
    )
    factor_table.show(
        rows,
        f"similar_{selected.factor}",
        f"The {len(rows)} factors nearest to factor {selected.factor} by the cosine of atoms.",
        {"cosine": column},
        {controls.PART: "examples"},
    )
