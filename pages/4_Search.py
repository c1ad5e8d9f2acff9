"""Search: factors by the words they answer to, by their names, by number; or all, filtered."""

import streamlit as st

from tfactors.app import (
    controls,
    definitions,
    factor_table,
    factor_view,
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

query = view.get(controls.QUERY)
found, missing = searching.find(bundle, query)
level, peak = view.get(controls.IN_LEVEL), view.get(controls.PEAKS)
if level:
    levels = definitions.levels(bundle.factors, factor_view.thresholds(bundle))
    found = found[levels[found["factor"]] == level]
if peak != controls.PEAK:
    found = found[bundle.factors["peak_layer"].to_numpy()[found["factor"]] == peak]
if missing:
    absent = ", ".join(f"“{shell.plain(word[:40])}”" for word in missing)
    st.caption(f"Not in the index of this bundle: {absent}. Rare words are left out of it.")

count = f"**{len(found):,}** factor{'s' if len(found) != 1 else ''}"
order = "the best match first" if "match" in found else "the most important first"
more = f"; the first {MOST_ROWS} are listed" if len(found) > MOST_ROWS else ""
st.markdown(f"{count}, {order}{more}. Choose a row to open it.", help=definitions.LEVEL_RULE)
if len(found):
    found = found.head(MOST_ROWS).reset_index(drop=True)
    rows = factor_table.frame(bundle, found["factor"].to_numpy())
    rows = rows.join(found.drop(columns="factor"))
    if "active" in rows:
        rows["active"] = rows["active"].round(2)
    columns = factor_table.MATCH if "match" in found else None
    factor_table.show(rows, "found", f"Factors found for “{query}”.", columns)
level_controls.sidebar(bundle)
