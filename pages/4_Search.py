"""Search: factors by the words they answer to, by their names, by number; or all, filtered."""

import numpy as np
import streamlit as st

from tfactors.app import (
    controls,
    definitions,
    factor_table,
    level_controls,
    searching,
    shell,
    view,
)

MOST_ROWS = 500

bundle = shell.bundle()
st.title("Search", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.text_input(
        "Words, or the number of a factor", max_chars=200, placeholder="river bank, or 30",
        help="Factors come in the order of how much the words drive them, then those that have "
        "one of the words in their name.",
        **view.widget(controls.QUERY),
    )  # fmt: skip
    st.segmented_control(
        "Level", ["", *controls.LEVELS], format_func=lambda level: level or "all", required=True,
        **view.widget(controls.IN_LEVEL),
    )  # fmt: skip
    st.selectbox(
        "Peaks at layer", [controls.PEAK, *bundle.layers], width=150,
        format_func=lambda layer: "any" if layer == controls.PEAK else str(layer),
        **view.widget(controls.PEAKS),
    )  # fmt: skip

words = searching.words_of(view.get(controls.QUERY))
columns = {}
if len(words) == 1 and words[0].isascii() and words[0].isdigit():
    number = int(words[0][:12])
    rows = factor_table.frame(bundle, np.arange(bundle.n_factors)[number : number + 1])
    if rows.empty:
        st.info(f"There is no factor {number:,}: they are 0 to {bundle.n_factors - 1:,}.")
elif words:
    scores, missing = searching.by_words(bundle, words)
    named = np.setdiff1d(searching.by_name(bundle, words), scores["factor"])
    rows = factor_table.frame(bundle, np.concatenate([scores["factor"], named]).astype(int))
    rows = rows.merge(scores, on="factor", how="left")
    rows["at"] = rows["at"].fillna(rows["peak"]).astype(int)
    rows["active"] = rows["active"].round(2)
    if missing:
        absent = ", ".join(f"“{shell.plain(word[:40])}”" for word in missing)
        st.caption(f"Not in the index of this bundle: {absent}. Rare words are left out of it.")
    columns = {
        "match": st.column_config.ProgressColumn(
            "Match", min_value=0, max_value=1, format="%.2f", width="small",
            help="The mean activation over all tokens of the words at this layer, as a share of "
            "the factor's importance at its peak: 1 means that the factor is about these words.",
        ),
        "at": st.column_config.NumberColumn(
            "Layer", width="small", help="The layer where it matches best; opens there."
        ),
        "active": st.column_config.NumberColumn(
            "Active on", format="percent", width="small",
            help="The share of the words' tokens that activate it at this layer.",
        ),
        "activation": st.column_config.NumberColumn(
            "Activation", format="%.1f", width="small",
            help="Its mean activation on the tokens that activate it.",
        ),
    }  # fmt: skip
else:
    rows = factor_table.frame(bundle, np.arange(bundle.n_factors))
    rows = rows.sort_values("importance", ascending=False)

level, peak = view.get(controls.IN_LEVEL), view.get(controls.PEAKS)
if level:
    rows = rows[rows["level"] == level]
if peak != controls.PEAK:
    rows = rows[rows["peak"] == peak]
rows = rows.reset_index(drop=True)

found = f"**{len(rows):,}** factor{'s' if len(rows) != 1 else ''}"
order = "the best match first" if columns else "the most important first"
more = f"; the first {MOST_ROWS} are listed" if len(rows) > MOST_ROWS else ""
st.markdown(f"{found}, {order}{more}. Choose a row to open it.", help=definitions.LEVEL_RULE)
if len(rows):
    factor_table.show(
        rows.head(MOST_ROWS), "found", f"Factors found for “{view.get(controls.QUERY)}”.", columns
    )
level_controls.sidebar(bundle)
