"""Search: factors by words, labels, numbers, meaning or an example sentence; or all, filtered."""

import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import factor_table, level_controls, live_model, option_buttons, selection
from tfactors.app.views import search as search_view
from tfactors.app.views import search_filters, search_meaning
from tfactors.errors import InputError
from tfactors.portrait import definitions, level_rule

MOST_ROWS = 500

bundle = shell.bundle()
st.title("Search", anchor=False)
by = url_state.value_of(controls.SEARCH_MODE)
with st.container(horizontal=True, vertical_alignment="bottom"):
    option_buttons.show("By", controls.SEARCH_MODE, controls.SEARCH_MODES)
    st.segmented_control(
        "Level",
        ["", *controls.LEVELS],
        format_func=lambda level: level or "all",
        required=True,
        help=bundle.abilities.level_rule.why_not
        or level_rule.rule_sentence(selection.thresholds_in_force(bundle)),
        **url_state.widget(controls.SEARCH_LEVEL),
    )
    st.selectbox(
        "Peaks at layer",
        [controls.PEAK, *bundle.layers],
        width=150,
        format_func=lambda layer: "any" if layer == controls.PEAK else str(layer),
        help=definitions.PEAK,
        **url_state.widget(controls.SEARCH_PEAK),
    )
if by == "words":
    st.text_input(
        "Words, a label, or the number of a factor",
        placeholder="river bank, or 30",
        help="Factors come in the order of how much the words drive them, then those that have "
        "one of the words in their name or label.",
        **url_state.widget(controls.QUERY),
    )
elif by == "meaning":
    st.text_input(
        "A question in your own words",
        placeholder="words about weather",
        max_chars=controls.QUERY_LENGTH,
        help=f"Up to {controls.QUERY_LENGTH} characters. A model reads it, and the factors whose "
        "contexts and names mean something like it come first.",
        **url_state.widget(controls.QUERY),
    )
else:
    st.text_input(
        "A sentence",
        placeholder="He left the house by the river.",
        help="The model reads it, and the factors that fire in it come in the order of how "
        "strongly they fire, as a share of what they reach at their best.",
        **url_state.widget(controls.QUERY),
    )

query = url_state.value_of(controls.QUERY)
found = None
missing: list[str] = []
if by == "words":
    found, missing = search_view.factors_found(bundle, query)
elif by == "meaning":
    search_meaning.show(bundle, query)
elif live_model.missing_part(bundle):
    live_model.show_how_to_get(bundle)
elif query.strip():
    try:
        found = search_view.factors_by_sentence(bundle, query)
    except InputError as error:
        live_model.show_refusal(error)
if missing:
    absent = ", ".join(f"“{shell.plain_text(word[:40])}”" for word in missing)
    st.caption(
        f"Not in the index of this bundle: {absent}. Rare words are left out of it."
        if bundle.abilities.whole_words
        else f"No example marks {absent}."
    )
if found is not None:
    before = len(found)
    found = found[search_filters.passes_filters(bundle, found["factor"].to_numpy())]
    count = f"**{len(found):,}** factor{'s' if len(found) != 1 else ''}"
    everything = "the most important first" if bundle.abilities.heights else "by number"
    order = "the best match first" if "match" in found else everything
    more = f"; the first {MOST_ROWS} are listed" if len(found) > MOST_ROWS else ""
    if len(found):
        st.markdown(f"{count}, {order}{more}. Click a row to open it.")
    elif before:
        st.markdown(f"The filters leave none of the {before:,} that were found: loosen one.")
    else:
        st.markdown("No factor was found: try another word or form of it, or part of a word.")
    if len(found):
        found = found.head(MOST_ROWS).reset_index(drop=True)
        rows = factor_table.factor_rows(bundle, found["factor"].to_numpy())
        rows = rows.join(found.drop(columns="factor"))
        if "active" in rows:
            rows["active"] = rows["active"].round(2)
        columns = {"words": factor_table.MATCH_COLUMNS, "sentence": factor_table.FIRING_COLUMNS}[by]
        if not bundle.abilities.word_matches:
            columns = factor_table.WEBSITE_MATCH_COLUMNS
        factor_table.show(
            rows, "found", f"Factors found for “{query}”.", columns if "match" in found else None
        )
search_filters.sidebar(bundle)
level_controls.sidebar(bundle)
