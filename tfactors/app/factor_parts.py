"""What there is to know about a factor beside its examples, a part at a time.

In goes a factor at a layer; each function draws one part of the Factor page: its words at every
layer, how much context it needs, where in the corpus it lives, and which factors are like it.
"""

import html

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app import controls, definitions, factor_table, passages, published, shell
from tfactors.app.factor_view import Selected

_WORDS = 7
_LINES = 3
_CONTEXT = 7
_SIMILAR = 15


def by_layer(it: Selected) -> None:
    """Draw the words that the factor answers to at each layer, side by side, and examples."""
    st.subheader("What it answers to, layer by layer", anchor=False)
    st.caption(
        "The words that carry most of the factor's activation at each layer (bar), and how many of "
        "the word's tokens activate it (number). Follow them to watch a meaning form."
    )
    st.html(
        f'<div class="tf-layers">{"".join(_column(it, layer) for layer in it.bundle.layers)}</div>'
    )
    for layer in it.bundle.layers:
        found = passages.passages(it.bundle, it.bundle.examples(it.factor, layer, _LINES), _CONTEXT)
        st.markdown(f"**Layer {layer}**{' (peak)' if layer == it.row['peak_layer'] else ''}")
        if found:
            st.html(passages.lines(found, float(it.overview.maximum[it.factor].max())))
        else:
            st.caption("No token activates it here.")


def _column(it: Selected, layer: int) -> str:
    words = it.bundle.words(it.factor, layer)
    words["carried"] = words["count"] * words["mean_activation"]
    words["answered"] = words["count"] / words["occurrences"]
    words = words.sort_values("carried", ascending=False, kind="stable").head(_WORDS)
    rows = "".join(
        f'<li style="--w:{row.carried / words["carried"].max():.3f}">'
        f"<bdi>{passages.escape(row.word)}</bdi><span>{row.answered:.0%}</span></li>"
        for row in words.itertuples()
    )
    here = " tf-here" if layer == it.layer else ""
    importance = it.overview.importance[it.factor, it.overview.layer_index(layer)]
    return (
        f'<section class="tf-column{here}"><h4>Layer {layer}</h4>'
        f'<p class="tf-sub">importance {importance:.2f}</p><ol>{rows or "<li>silent</li>"}</ol>'
        "</section>"
    )


def context(it: Selected) -> None:
    """Draw how much of the activation is left when the context is cut to a few tokens."""
    st.subheader("How much text it needs", anchor=False, help=definitions.REACH)
    kept = it.bundle.retention(it.factor)
    if kept.empty:
        dead = "This was not measured: the factor is dead."
        st.caption(dead if it.bundle.has("dictionary.parquet") else published.NO_DICTIONARY)
        return
    layer = int(kept["layer"].iloc[0])
    alone = {kind: float(kept.loc[kept["kind"] == kind, "retained"].mean())
             for kind in ("word", "sentence")}  # fmt: skip
    side = "before" if it.bundle.manifest["model"].get("causal") else "on each side of"
    st.markdown(
        f"The model reads its strongest examples at layer {layer} again, with only a few tokens "
        f"{side} the word. Of the activation, the word alone keeps **{alone['word']:.0%}** "
        f"and the word's own sentence **{alone['sentence']:.0%}**."
    )
    from tfactors.app import charts

    radius = kept[kept["kind"] == "radius"].sort_values("radius")
    charts.retention(
        radius,
        alone["sentence"],
        it.level,
        alt="Share of the activation that is left by tokens of context: "
        + ", ".join(f"{row.radius}: {row.retained:.0%}" for row in radius.itertuples()),
    )


def corpus(it: Selected, examples: pd.DataFrame) -> None:
    """Draw from which sources and years the strongest examples come."""
    st.subheader("Where in the corpus it lives", anchor=False)
    if examples.empty:
        st.caption(f"No token activates the factor at layer {it.layer}.")
        return
    documents = it.bundle.documents
    windows = it.bundle.windows(examples["window"].to_list())
    found = documents.iloc[windows["document"]]
    titles = it.bundle.manifest["corpus"]["sources"]
    names = {source["name"]: str(source["title"]) for source in titles}
    tokens = documents.groupby("source")["tokens"].sum() / documents["tokens"].sum()
    share = found["source"].value_counts(normalize=True)
    parts = (
        f"**{share.get(source, 0.0):.0%}** are from {shell.plain(names.get(source, str(source)))} "
        f"({expected:.0%} of the corpus)"
        for source, expected in tokens.items()
    )
    st.markdown(
        f"Of its {len(examples)} strongest examples at layer {it.layer}, {'; '.join(parts)}."
    )
    from tfactors.app import charts

    dated, all_dated = found["year"].dropna(), documents.dropna(subset=["year"])
    if len(dated) >= 10 and all_dated["year"].nunique() > 1:
        st.markdown(
            "**By decade**", help="Examples with a year, against the tokens of that decade."
        )
        decades = (all_dated["year"].astype(int) // 10 * 10).to_numpy()
        expected = pd.Series(all_dated["tokens"].to_numpy()).groupby(decades).sum()
        observed = (dated.astype(int) // 10 * 10).value_counts()
        frame = pd.DataFrame({"expected": expected / expected.sum()})
        frame["observed"] = (observed / observed.sum()).reindex(frame.index).fillna(0.0)
        charts.decades(
            frame.rename_axis("decade").reset_index(),
            it.level,
            alt="Share of the dated examples by decade, against the share of the corpus.",
        )
    common = found["title"].value_counts().head(8)
    rows = "".join(
        f"<dt>{count} example{'s' if count > 1 else ''}</dt>"
        f"<dd><bdi>{html.escape(passages.shorten(str(title), 120))}</bdi></dd>"
        for title, count in common.items()
    )
    st.html(f'<dl class="tf-facts">{rows}</dl>')


def similar(it: Selected) -> None:
    """Draw the factors whose atoms point the same way."""
    st.subheader("Factors like it", anchor=False)
    if not it.bundle.has("dictionary.parquet"):
        st.caption(published.NO_DICTIONARY)
        return
    st.caption(
        "By the cosine of their atoms: 1 is the same direction, 0 is unrelated. Choose a row to "
        "open the factor."
    )
    atoms = it.bundle.dictionary
    cosine = atoms @ atoms[it.factor]
    order = np.argsort(-cosine, kind="stable")
    order = order[order != it.factor][:_SIMILAR]
    rows = factor_table.frame(it.bundle, order)
    rows["cosine"] = cosine[order]
    column = st.column_config.NumberColumn("Cosine", format="%.2f", width="small")
    factor_table.show(
        rows,
        f"similar_{it.factor}",
        f"The {len(rows)} factors nearest to factor {it.factor} by the cosine of their atoms.",
        {"cosine": column},
        {controls.PART: "examples"},
    )
