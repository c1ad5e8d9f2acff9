"""The basket: factors, each at a layer, that a reader takes along over the pages.

It is a control of every page, so that it is in every link; a link without one leaves it as it is.
It belongs to a
bundle, because factor 30 of another build is another factor: the link says of which, and each
bundle has its own. The browser keeps it too (:mod:`tfactors.app.frame.kept_notes`), for a reader
who comes back without a link. A basket that somebody's link brings is shown and not kept, until the
reader changes it.
"""

import json
from dataclasses import dataclass

import streamlit as st

from tfactors.app.frame import url_state
from tfactors.app.frame.url_state import Beyond, Control, Unusable
from tfactors.bundle import Bundle

MOST = 100
_TAG = 8  # first letters of the bundle's fingerprint
_LONGEST = 3_000  # characters of a basket in a link

Entry = tuple[int, int]  # factor, layer

_OWN = "basket.own"  # tag of a bundle -> the reader's own basket
_OPEN = "basket.open"  # tag of the bundle that is open
_BROUGHT = "basket.brought"  # tag -> the basket that the link brought with which the session began


@dataclass(frozen=True)
class Basket:
    """Some factors of a bundle, in the order in which they were put in.

    Attributes
    ----------
    bundle : str
        How its bundle's fingerprint begins; "" of one that was typed without.
    entries : tuple of (factor, layer)
        No two are the same.
    """

    bundle: str = ""
    entries: tuple[Entry, ...] = ()


def read(text: str) -> Basket:
    """Return a basket as a link has it: ``0a1b2c3d~12.4_30.6`` is factor 12 at layer 4 and 30 at 6.

    Examples
    --------
    >>> write(read("12.4_30.6_12.4"))
    '12.4_30.6'
    """
    if len(text) > _LONGEST:
        raise Unusable(f"it has {len(text):,} characters, and {_LONGEST:,} is the most")
    tag, mark, listed = text.rpartition("~")
    if mark and not (len(tag) == _TAG and set(tag) <= set("0123456789abcdef")):
        raise Unusable("it does not say of which bundle it is")
    entries = tuple(dict.fromkeys(_read_entry(part) for part in listed.split("_") if part))
    if len(entries) > MOST:
        raise Unusable(f"it has {len(entries)} factors, and {MOST} is the most")
    return Basket(tag, entries) if entries else Basket()


def _read_entry(part: str) -> Entry:
    factor, _, layer = part.partition(".")
    if not (part.isascii() and factor.isdigit() and layer.isdigit() and len(part) <= 16):
        raise Unusable("it has to be factors and layers, as 12.4_30.6")
    return int(factor), int(layer)


def write(basket: Basket) -> str:
    """Return a basket as a link has it."""
    listed = "_".join(f"{factor}.{layer}" for factor, layer in basket.entries)
    return f"{basket.bundle}~{listed}" if basket.bundle else listed


def _check(basket: Basket, bundle: Bundle | None) -> None:
    if bundle is None:
        return
    if basket.bundle not in ("", tag_of(bundle)):
        raise Unusable("it is of another bundle, whose factors have other numbers")
    known = tuple(
        (factor, layer)
        for factor, layer in basket.entries
        if factor < bundle.n_factors and layer in bundle.layers
    )
    if len(known) < len(basket.entries):
        missing = len(basket.entries) - len(known)
        message = f"{missing} of its factors or layers are not in this bundle"
        if not known:
            raise Unusable(message)
        raise Beyond(message, Basket(basket.bundle, known))


BASKET: Control[Basket] = Control("basket", Basket(), read, write, _check, True)


def tag_of(bundle: Bundle) -> str:
    """Return how a link names a bundle."""
    return bundle.fingerprint[:_TAG]


def begin(bundle: Bundle) -> None:
    """Take the basket of the open bundle; before the controls are checked, in every run."""
    tag, shown = tag_of(bundle), url_state.value_of(BASKET)
    own: dict[str, Basket] = st.session_state.setdefault(_OWN, {})
    brought: dict[str, Basket] = st.session_state.setdefault(_BROUGHT, {})
    before = st.session_state.get(_OPEN, tag)
    st.session_state[_OPEN] = tag
    if before != tag and (not shown.entries or shown.bundle == before):
        url_state.restore(BASKET, own.get(tag, Basket()))  # the reader opened another bundle
        brought.setdefault(tag, Basket())
    elif shown.bundle in ("", tag) and tag not in brought:
        brought[tag] = Basket(tag, shown.entries) if shown.entries else shown
        url_state.restore(BASKET, brought[tag])


def entries() -> tuple[Entry, ...]:
    """Return what is in the basket."""
    return url_state.value_of(BASKET).entries


def own_entries(bundle: Bundle) -> tuple[Entry, ...]:
    """Return the reader's own basket, which is kept; another one may be shown, of a link."""
    tag, shown = tag_of(bundle), url_state.value_of(BASKET)
    own: dict[str, Basket] = st.session_state.setdefault(_OWN, {})
    if not (shown.entries and shown == st.session_state.get(_BROUGHT, {}).get(tag)):
        own[tag] = shown
    return own.get(tag, Basket()).entries


def put(bundle: Bundle, new: tuple[Entry, ...]) -> None:
    """Make the basket hold these, and no others; what is too much is left out and told.

    For callbacks.
    """
    wanted = tuple(dict.fromkeys(new))
    held = wanted[:MOST]
    url_state.set_controls({BASKET: Basket(tag_of(bundle), held) if held else Basket()})
    st.session_state.setdefault(_BROUGHT, {})[tag_of(bundle)] = Basket()
    if len(held) < len(wanted):
        url_state.add_notice(
            f"The basket holds at most {MOST} factors: {len(wanted) - len(held):,} did not fit."
        )


def add(bundle: Bundle, new: tuple[Entry, ...]) -> None:
    """Put factors into the basket, behind what is in it. For callbacks."""
    put(bundle, entries() + new)


def remove(bundle: Bundle, entry: Entry) -> None:
    """Take a factor out of the basket. For callbacks."""
    put(bundle, tuple(kept for kept in entries() if kept != entry))


def kept_entries(bundle: Bundle) -> dict[str, str]:
    """Return what the browser keeps: JSON by the name of the entry."""
    own = own_entries(bundle)
    return {"basket:": json.dumps([list(entry) for entry in own])} if own else {}


def take_kept(bundle: Bundle, text: str) -> None:
    """Take over what the browser kept, unless this session has something; nonsense is passed over.

    The address is left as it is.
    """
    try:
        given = tuple((int(factor), int(layer)) for factor, layer in json.loads(text))[:MOST]
    except (ValueError, TypeError, OverflowError, RecursionError):
        return
    known = tuple(
        dict.fromkeys(
            (factor, layer)
            for factor, layer in given
            if 0 <= factor < bundle.n_factors and layer in bundle.layers
        )
    )
    tag, own = tag_of(bundle), st.session_state.setdefault(_OWN, {})
    if known and not own.get(tag, Basket()).entries:
        own[tag] = Basket(tag, known)
        if not entries():
            url_state.restore(BASKET, own[tag])
