"""The page of the basket: its factors as a table to take along, and their curves in one chart."""

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.frame import basket, controls, notes, shell, store, url_state
from tfactors.app.parts import factor_table, option_buttons, selection
from tfactors.bundle import Bundle
from tfactors.describe import labels
from tfactors.portrait import definitions

_KEY = "basket_held"
# With more curves than this a legend would be longer than the chart.
_IN_LEGEND = 12


def show(bundle: Bundle) -> None:
    """Draw what is in the basket."""
    held = basket.entries()
    _offer_own(bundle, held)
    if not held:
        st.markdown(
            "The basket is empty. On the page of a factor, **Into the basket** (key B) puts it in, "
            "at the layer that is open; under a list of factors a button puts in all of them."
        )
        shell.link(controls.SEARCH_PAGE, "Find factors", ":material/search:")
        return
    st.caption(
        f"{len(held)} of at most {basket.MOST} factors, each at a layer. They are in the link of "
        "every page, and this browser keeps them for this bundle."
    )
    _choose(bundle, held)
    rows = rows_of(bundle, held)
    factor_table.show(
        rows,
        "basket",
        f"The {len(rows)} factors of the basket.",
        _COLUMNS,
        offer_basket=False,
    )
    _draw_curves(bundle, held)


_COLUMNS = {
    "at": st.column_config.NumberColumn("Layer", width="small", help=definitions.LAYER),
    "own": st.column_config.TextColumn("Your label", width="medium", help=definitions.OWN_LABEL),
    "level": factor_table.COLUMNS["level"],
    "importance_at": st.column_config.NumberColumn(
        "Importance", format="%.2f", width="small", help=definitions.IMPORTANCE_THERE
    ),
    "density_at": st.column_config.NumberColumn(
        "Density", format="percent", width="small", help=definitions.DENSITY
    ),
    "f1": st.column_config.NumberColumn(
        "F1", format="percent", width="small", help=definitions.LABEL_F1
    ),
    "token_share": st.column_config.NumberColumn(
        "By word", format="percent", width="small", help=definitions.WORD_SHARE
    ),
    "window_share": factor_table.COLUMNS["window_share"],
}


def rows_of(bundle: Bundle, held: tuple[basket.Entry, ...]) -> pd.DataFrame:
    """Return the table of the basket: a row an entry, in their order."""
    factors, layers = (np.array(column, np.int64) for column in zip(*held, strict=True))
    overview, known = store.overview(bundle), notes.shown(bundle).notes
    rows = factor_table.factor_rows(bundle, factors)
    column = np.array([overview.layer_index(layer) for layer in layers])
    rows.insert(1, "at", layers)
    rows["own"] = [known[at].label if at in known else "" for at in factors.tolist()]
    measured = bundle.abilities.activations
    rows["importance_at"] = overview.importance[factors, column] if measured else np.nan
    rows["density_at"] = overview.density[factors, column] if measured else np.nan
    precision, recall = (rows[f"label_{name}"].to_numpy(float) for name in ("precision", "recall"))
    rows["f1"] = labels.f1_score(precision, recall)
    for name in ("token_share", "sentence_share"):
        rows[name] = bundle.factors[name].to_numpy(float)[factors]
    return rows


def _choose(bundle: Bundle, held: tuple[basket.Entry, ...]) -> None:
    """Draw the entries, each of which can be taken out, and the button that empties the basket."""
    if st.session_state.get(_KEY) != list(held):
        st.session_state[_KEY] = list(held)
    names = selection.factor_names(bundle)["name"]
    st.multiselect(
        "In the basket",
        list(held),
        format_func=lambda entry: f"{names[entry[0]]}, layer {entry[1]}",
        key=_KEY,
        on_change=_take_chosen,
        args=(bundle,),
        select_all=False,
        help="The cross of an entry, or backspace behind the last, takes it out.",
    )
    with st.container(horizontal=True):
        st.button(
            "Empty the basket",
            key="basket_empty",
            icon=":material/remove_shopping_cart:",
            on_click=basket.put,
            args=(bundle, ()),
        )


def _take_chosen(bundle: Bundle) -> None:
    basket.put(bundle, tuple((factor, layer) for factor, layer in st.session_state[_KEY]))


def _offer_own(bundle: Bundle, held: tuple[basket.Entry, ...]) -> None:
    """Offer the reader's own basket, where a link brought another one."""
    own = basket.own_entries(bundle)
    if not own or own == held:
        return
    count = f"{len(own)} factor{'s' if len(own) > 1 else ''}"
    st.caption(
        f"This basket came with the link. Your own, of {count}, is kept until you change this one."
    )
    st.button("Show mine", key="basket_own", on_click=basket.put, args=(bundle, own))


def _draw_curves(bundle: Bundle, held: tuple[basket.Entry, ...]) -> None:
    """Draw the curves of all factors of the basket in one chart."""
    from tfactors.app.views import curves_charts

    overview = store.overview(bundle)
    factors = [f for f in dict.fromkeys(f for f, _ in held) if overview.has_curve[f]]
    if not factors:
        st.caption(bundle.abilities.curves.why_not)
        return
    st.subheader("Over the layers", anchor=False, help=definitions.CURVE)
    option_buttons.show("Scale", controls.SCALE, controls.SCALES)
    by_peak = url_state.value_of(controls.SCALE) == "peak"
    values = overview.share_of_peak if by_peak else overview.importance
    names = {factor: selection.factor_name(bundle, factor) for factor in factors}
    curves_charts.importance_curves(
        overview.band_of_peak if by_peak else overview.band,
        {factor: values[factor] for factor in factors},
        names,
        "share of its own peak" if by_peak else "importance",
        legend=len(factors) <= _IN_LEGEND,
        key="basket_curves",
        alt=f"{controls.SCALES['peak' if by_peak else 'importance']} over the layers of the "
        f"{len(factors)} factors of the basket, before a grey band that holds 90% of all factors.",
    )
    unnamed = "" if len(factors) <= _IN_LEGEND else "Point at a curve for its factor. "
    st.caption(f"{unnamed}The grey band holds 90% of all factors, the dashed line their median.")
