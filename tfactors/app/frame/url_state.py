"""The state of the view lives in the URL: every control, read from it and written to it.

Turns the query string of the page into typed values for the controls, and the controls into a query
string. The values stay in the session while other pages are open. A click that changes a control
writes the query string, which is one step of the browser's history. So reload, Back and a shared
link all restore the view exactly.

The rule is short. A control that a reader touched writes the URL (:func:`set_controls`). When the
URL is not what we last wrote (a link, Back, reload), the URL wins (:func:`take_over_url`). Values
at their default stay out of the URL. A value that cannot be used is replaced by the default, with a
sentence that says so.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import streamlit as st

T = TypeVar("T")

# Servers take a request of 8 kB (nginx, Apache): its first line with this query, and room for the
# page's path and what proxies add.
LONGEST_LINK = 7_900
# Characters of a query that is looked at: several times what all controls of a page can hold.
LONGEST_QUERY = 50_000

_VALUES = "view.values"  # name of a control -> its value, where that is not the default
_WRITTEN = "view.written"  # (page, query) as we last wrote or read it
_NOTICES = "view.notices"  # sentences about values that could not be used
_PAGE = "view.page"  # the controls of the page that is open


class Unusable(ValueError):
    """A value from the URL that the control cannot take; the message completes a sentence."""


class Beyond(Unusable):
    """More than the control takes; ``nearest`` is what it takes of it: of a number that end."""

    def __init__(self, message: str, nearest: Any) -> None:
        super().__init__(message)
        self.nearest = nearest


class TooLong(Unusable):
    """A text that is longer than the control takes."""


@dataclass(frozen=True)
class Control(Generic[T]):
    """One thing a reader can set: its name in the URL, its default, how it is read and written.

    ``check`` gets the value and the open bundle (None when there is none) and raises
    :class:`Unusable` where the bundle has no such thing. A ``sticky`` control stays as it is where
    a link says nothing of it.
    """

    name: str
    default: T
    read: Callable[[str], T]
    write: Callable[[T], str] = str
    check: Callable[[T, Any], None] | None = None
    sticky: bool = False


def value_of(control: Control[T]) -> T:
    """Return the value of a control."""
    return st.session_state.get(_VALUES, {}).get(control.name, control.default)


def set_controls(changes: Mapping[Control[Any], Any]) -> None:
    """Set controls, and write them to the URL as one step of its history. For callbacks."""
    for control, value in changes.items():
        _put(control, value)
    st.session_state[_NOTICES] = []
    page, controls = st.session_state.get(_PAGE, ("", ()))
    written = query_of(controls)
    st.session_state[_WRITTEN] = (page, written)
    st.query_params.from_dict(written)


def query_of(
    controls: Iterable[Control[Any]], changes: Mapping[Control[Any], Any] | None = None
) -> dict[str, str]:
    """Return the query string of a page as a dictionary: its controls that are not at default."""
    changes = changes or {}
    values = ((control, changes.get(control, value_of(control))) for control in controls)
    return {c.name: c.write(value) for c, value in values if value != c.default}


def take_over_url(page: str, controls: tuple[Control[Any], ...]) -> None:
    """Take over the URL when it is not what we last wrote. First thing in every run."""
    st.session_state[_PAGE] = (page, controls)
    given = dict(st.query_params)
    notices: list[str] = []
    if (length := sum(map(len, [*given, *given.values()]))) > LONGEST_QUERY:
        notices.append(
            f"The link has {length:,} characters, and {LONGEST_QUERY:,} is the most: the page is "
            "shown as it opens by itself."
        )
        given = {}
        st.query_params.clear()
    if st.session_state.get(_WRITTEN) == (page, given):
        return
    st.session_state[_WRITTEN] = (page, given)
    for control in controls:
        if control.sticky and control.name not in given:
            continue
        value = control.default
        if control.name in given:
            try:
                value = control.read(given[control.name])
            except ValueError as error:
                notices.append(_sentence(control, given[control.name], error))
        _put(control, value)
    st.session_state[_NOTICES] = notices


def check_against(controls: Iterable[Control[Any]], bundle: Any) -> None:
    """Replace values that this bundle does not have, and say so."""
    for control in controls:
        value = value_of(control)
        if control.check is None or value == control.default:
            continue
        try:
            control.check(value, bundle)
        except Unusable as error:
            st.session_state[_NOTICES].append(_sentence(control, control.write(value), error))
            _put(control, error.nearest if isinstance(error, Beyond) else control.default)


def long_link() -> str | None:
    """Return that the link of this page is too long for many servers, where it is."""
    length = len(urlencode(query_of(controls_of_page())))
    if length <= LONGEST_LINK:
        return None
    return (
        f"The link to this view has {length:,} characters, and many servers refuse more than "
        f"{LONGEST_LINK:,}: it may not open after a reload, or where you send it. Keep the text "
        "itself, or take a shorter one."
    )


def controls_of_page() -> tuple[Control[Any], ...]:
    """Return the controls of the page that is open."""
    return st.session_state.get(_PAGE, ("", ()))[1]


def reset(control: Control[Any]) -> None:
    """Set a control to its default without touching the URL."""
    _put(control, control.default)


def restore(control: Control[T], value: T) -> None:
    """Set a control to what the reader had before, without touching the URL."""
    _put(control, value)


def notices() -> list[str]:
    """Return the sentences about values that could not be used."""
    return st.session_state.get(_NOTICES, [])


def add_notice(sentence: str) -> None:
    """Add a sentence that stays on the page until the reader's next step. For callbacks."""
    st.session_state.setdefault(_NOTICES, []).append(sentence)


def replace_notices(sentences: list[str]) -> None:
    """Say these sentences until the reader's next step, and no older ones. For callbacks."""
    st.session_state[_NOTICES] = sentences


def widget(control: Control[Any], shown: Any = None) -> dict[str, Any]:
    """Return the keyword arguments that tie a Streamlit widget to a control.

    ``shown`` is what the widget shows where that is not the control's value as it stands (None
    for "the bundle's own"). The widget's value is only set where it differs, so that a quick second
    click is not overwritten by the answer to the first.
    """
    key = f"control_{control.name}"
    value = value_of(control) if shown is None else shown
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value
    return {"key": key, "on_change": _touched, "args": (control, key)}


def _touched(control: Control[Any], key: str) -> None:
    value = st.session_state[key]
    try:
        # A choice whose options changed meanwhile hands out the label of one that is gone.
        if value != control.default:
            control.read(control.write(value))
    except TooLong as error:
        replace_notices([f"What you typed was not taken: {error}."])
        return
    except ValueError:
        return
    set_controls({control: value})


def _put(control: Control[Any], value: Any) -> None:
    values = st.session_state.setdefault(_VALUES, {})
    if value == control.default:
        values.pop(control.name, None)
    else:
        values[control.name] = value


def _sentence(control: Control[Any], given: str, error: ValueError) -> str:
    shown = given if len(given) <= 40 else given[:40] + "…"
    reason = str(error) if isinstance(error, Unusable) else "it is not a value of this control"
    instead = control.write(error.nearest) if isinstance(error, Beyond) else "The default"
    return f"The link asks for {control.name} “{shown}”: {reason}. {instead} is shown instead."


def whole_number(name: str, default: int | None, low: int, high: int, **more: Any) -> Control[Any]:
    """Return a control of whole numbers from ``low`` to ``high``."""

    def read(text: str) -> int:
        # int() also takes underscores, blanks and other scripts' digits: not in a link.
        if not text.isascii() or not text.lstrip("-").isdigit() or len(text) > 12:
            raise Unusable("it is not a whole number")
        value = int(text)
        if not low <= value <= high:
            raise Unusable(f"it has to be from {low:,} to {high:,}")
        return value

    return Control(name, default, read, **more)


def number(name: str, default: float | None, low: float, high: float) -> Control[Any]:
    """Return a control of numbers from ``low`` to ``high``, kept to six digits."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise Unusable("it is not a number") from None
        if math.isnan(value):
            raise Unusable("it is not a number")
        if not low <= value <= high:
            raise Unusable(f"it has to be from {low:g} to {high:g}")
        return value

    return Control(name, default, read, lambda value: f"{value:g}")


def choice(name: str, default: str, options: Iterable[str]) -> Control[str]:
    """Return a control with a few named options."""
    options = tuple(options)

    def read(text: str) -> str:
        if text not in options:
            raise Unusable(f"it has to be one of {', '.join(filter(None, options))}")
        return text

    return Control(name, default, read)


def switch(name: str, default: bool = False) -> Control[bool]:
    """Return a control that is on or off."""
    plain = choice(name, "off", ("on", "off"))
    return Control(name, default, lambda t: plain.read(t) == "on", lambda v: "on" if v else "off")


def free_text(name: str, longest: int) -> Control[str]:
    """Return a control of free text of at most ``longest`` characters."""

    def read(text: str) -> str:
        if len(text) > longest:
            raise TooLong(f"it has {len(text):,} characters, and {longest:,} is the most")
        return text

    return Control(name, "", read)
