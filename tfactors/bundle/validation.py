"""Turns JSON that people or programs hand in into typed records, or into one line about its fault.

A record is a dataclass: its annotations say what each field has to be, ``Annotated`` with
``msgspec.Meta`` how long or how large it may be. :func:`typed` reads a record from JSON and raises
:class:`FieldError`, which names the path of the first field that does not fit, what was given there
and what was expected:

    'tables[0].columns[1].form' is 'html'; expected text, count, share, number or small

Fields without a default have to be there; fields that a record does not know are passed over, so
that files of a newer tfactors can be read. Files come from anywhere: what is quoted of them is cut.
"""

import json
import re
import reprlib
import types
from collections import Counter
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T")

# How the library calls the kinds of JSON, and how we do.
_KINDS = {
    "object": "an object",
    "array": "a list",
    "str": "a text",
    "bool": "true or false",
    "null": "null",
}
_PATH = re.compile(r" - at `(?P<key>key` in `)?\$(?P<path>.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")
_MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]+)`(?P<limit>.*?)(, got `.*)?\Z")

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 60
_SHORT.maxlist = _SHORT.maxdict = 12
_SHORT.maxlevel = 3
_LONGEST = 120


class FieldError(ValueError):
    """A field does not fit; the message is one line with its path, what was given and expected."""


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text holds; NaN, infinity and a name twice in one object are refused.

    Raises
    ------
    FieldError
        It is not JSON: says where.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_second)
    except (ValueError, RecursionError) as error:
        raise FieldError(f"not JSON ({str(error)[:80]})") from None


def typed(content: Any, kind: type[T]) -> T:
    """Return JSON as a record of a kind.

    Parameters
    ----------
    content : object
        What :func:`parse_json` returned.
    kind : type
        A dataclass whose fields are plain types, dataclasses, and lists or mappings of these.

    Raises
    ------
    FieldError
        Names the first field that does not fit.

    Examples
    --------
    >>> from dataclasses import make_dataclass
    >>> typed({"rows": 3}, make_dataclass("Seal", [("rows", int)]))
    Seal(rows=3)
    >>> typed({"rows": "3"}, make_dataclass("Seal", [("rows", int)]))
    Traceback (most recent call last):
    tfactors.bundle.validation.FieldError: 'rows' is '3'; expected int
    """
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise FieldError(_in_our_words(str(error), content, kind)) from None
    except UnicodeEncodeError as error:  # of what the library quotes or compares
        half = error.object[error.start : error.start + 1]
        raise FieldError(f"a text holds half of a letter ({half!a}); expected whole ones") from None


def quoted(given: object) -> str:
    """Return what was given as it may stand in a message: in one line and not for ever.

    >>> quoted([2, 1, 0]), quoted(None)
    ('[2, 1, 0]', 'None')
    >>> len(quoted("x" * 1000)) < 70
    True
    """
    text = " ".join(_SHORT.repr(given).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _refuse_second(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name, count in times.items() if count > 1)
        raise ValueError(f"{quoted(twice)} is there twice in one object")
    return content


def _in_our_words(message: str, content: Any, kind: Any) -> str:
    """Return what the library says of a field that does not fit in the form of this module."""
    at = _PATH.search(message)
    says = message[: at.start()] if at else message
    path, given, wanted = _follow(at["path"] if at else "", content, kind)
    if missing := _MISSING.fullmatch(says):
        name = missing["name"]
        path = f"{path}.{name}" if path else name
        return f"'{path}' is missing; expected {_name_of(_of_field(wanted, name))}"
    subject = f"'{path}'" if path else "the whole"
    if at and at["key"]:
        return f"{subject} has a key that does not fit: {says}"
    return f"{subject} is {quoted(given)}; expected {_expected(says, wanted)}"


def _follow(path: str, content: Any, kind: Any) -> tuple[str, Any, Any]:
    """Walk a path of the library: our words for it, what is there, and its annotation.

    The library does not say which entry of a mapping is wrong (``$.labels[...].note``), so the
    first one that does not fit is looked up.
    """
    steps: list[str] = []
    for step in _STEP.finditer(path):
        inner = _plain(kind)
        if (name := step["name"]) is not None:
            content, kind = content[name], _of_field(kind, name)
            steps.append(f".{name}")
        elif step["index"] is not None:
            index, inside = int(step["index"]), get_args(inner)
            fixed = get_origin(inner) is tuple and Ellipsis not in inside
            kind = inside[index if fixed else 0] if inside else Any
            content = content[index]
            steps.append(f"[{index}]")
        else:
            kind = get_args(inner)[1] if get_args(inner) else Any
            key = next(key for key, value in content.items() if not _fits(value, kind))
            content = content[key]
            steps.append(f".{' '.join(str(key).split())[:40]}")
    return "".join(steps).removeprefix("."), content, kind


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return False
    return True


def _plain(kind: Any) -> Any:
    """Return an annotation without its limits and without None."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        some = [one for one in get_args(kind) if one is not type(None)]
        return _plain(some[0]) if len(some) == 1 else kind
    return kind


def _of_field(kind: Any, name: str) -> Any:
    """Return the annotation of a field of a record."""
    record = _plain(kind)
    return get_type_hints(record, include_extras=True)[name] if is_dataclass(record) else Any


def _expected(says: str, kind: Any) -> str:
    """Return what a field has to be, from what the library says or what its annotation describes.

    >>> _expected("Expected `int` >= 1", int), _expected("Expected `array`, got `str`", tuple)
    ('int >= 1', 'a list')
    >>> _expected("Expected `str` of length <= 80", str)
    'a text of at most 80'
    """
    if described := _description(kind):
        return described
    if found := _EXPECTED.fullmatch(says):
        limit = found["limit"].replace("of length <=", "of at most")
        return _spoken(found["kinds"]) + limit.replace("of length >=", "of at least")
    return "a smaller number" if says == "Number out of range" else "something else"


def _description(kind: Any) -> str:
    """Return what an annotation says of itself, or ""."""
    if get_origin(kind) is Annotated:
        for limit in get_args(kind)[1:]:
            if isinstance(limit, msgspec.Meta) and limit.description:
                return limit.description
    plain = _plain(kind)
    if get_origin(plain) is Literal:
        *first, last = map(str, get_args(plain))
        return f"{', '.join(first)} or {last}" if first else last
    return ""


def _name_of(kind: Any) -> str:
    """Return what a field has to be, from its annotation alone.

    >>> _name_of(dict[str, int]), _name_of(float), _name_of(tuple[int, ...])
    ('an object', 'float', 'a list')
    """
    plain = _plain(kind)
    outer = get_origin(plain) or plain
    if described := _description(kind):
        return described
    if not isinstance(outer, type):
        return "something else"
    if is_dataclass(outer) or hasattr(outer, "keys"):
        return "an object"
    return _spoken("array" if issubclass(outer, list | tuple) else outer.__name__)


def _spoken(kinds: str) -> str:
    """Return kinds of JSON as people call them.

    >>> _spoken("int | float | str | null")
    'int, float, a text or null'
    """
    *first, last = (_KINDS.get(kind, kind) for kind in kinds.split(" | "))
    return f"{', '.join(first)} or {last}" if first else last
