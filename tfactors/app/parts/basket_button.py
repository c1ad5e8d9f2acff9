"""The buttons that put factors into the basket and take them out again."""

from collections.abc import Sequence

import streamlit as st

from tfactors.app.frame import basket
from tfactors.bundle import Bundle

ICON = ":material/shopping_basket:"


def toggle(bundle: Bundle, factor: int, layer: int) -> None:
    """Draw the button of one factor at a layer; its key is B."""
    entry = (factor, layer)
    inside = entry in basket.entries()
    st.button(
        "Out of the basket" if inside else "Into the basket",
        key="basket",
        shortcut="B",
        icon=ICON,
        type="secondary",
        on_click=basket.remove if inside else basket.add,
        args=(bundle, entry if inside else (entry,)),
        help=f"Factor {factor:,} at layer {layer}. The basket goes with you over the pages; the "
        "page Basket has its table.",
    )


def add_all(bundle: Bundle, entries: Sequence[basket.Entry], key: str) -> None:
    """Draw the button that puts all factors of a table into the basket, as many as fit."""
    held = basket.entries()
    new = [entry for entry in dict.fromkeys(entries) if entry not in held]
    room = basket.MOST - len(held)
    fitting = new[: max(room, 0)]
    if not new:
        label = "All in the basket"
    elif not fitting:
        label = f"The basket is full: {basket.MOST} factors"
    else:
        which = "" if len(fitting) == len(entries) else "the first "
        which = "the others, " if len(fitting) == len(new) < len(entries) else which
        label = f"{which}{len(fitting)} into the basket"
        label = label[0].upper() + label[1:]
    st.button(
        label,
        key=f"basket_{key}",
        icon=ICON,
        type="tertiary",
        disabled=not fitting,
        on_click=basket.add,
        args=(bundle, tuple(fitting)),
        help=f"Each at the layer of its row, else at its peak. The basket holds {basket.MOST}.",
    )
