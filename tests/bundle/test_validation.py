"""JSON from outside as records, and the one line that says what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Meta

from tfactors.bundle.validation import FieldError, parse_json, quoted, typed


@dataclass(frozen=True)
class Leaf:
    size: Annotated[int, Meta(ge=1)]
    kind: Literal["oak", "ash", "elm"] = "oak"
    note: Annotated[str, Meta(max_length=5)] | None = None


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    named: Mapping[str, Leaf] = field(default_factory=dict)
    height: float = 0.0
    code: Annotated[str, Meta(pattern="^[a-z]+$", description="lower letters")] = "a"


def test_a_record_takes_defaults_and_passes_over_what_it_does_not_know() -> None:
    assert typed({"leaves": [{"size": 2}], "height": 3, "later": {}}, Tree) == Tree(
        (Leaf(2),), {}, 3.0
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "the whole is []; expected an object"),
        ({}, "'leaves' is missing; expected a list"),
        ({"leaves": [{}]}, "'leaves[0].size' is missing; expected int"),
        ({"leaves": [{"size": 1}, {"size": 0}]}, "'leaves[1].size' is 0; expected int >= 1"),
        ({"leaves": [{"size": True}]}, "'leaves[0].size' is True; expected int"),
        (
            {"leaves": [{"size": 1, "kind": "fir"}]},
            "'leaves[0].kind' is 'fir'; expected oak, ash or elm",
        ),
        (
            {"leaves": [{"size": 1, "note": "too long"}]},
            "'leaves[0].note' is 'too long'; expected a text of at most 5",
        ),
        (
            {"leaves": [], "named": {"a": {"size": 1}, "b": {"size": "x"}}},
            "'named.b.size' is 'x'; expected int",
        ),
        ({"leaves": [], "named": {"a": {}}}, "'named.a.size' is missing; expected int"),
        ({"leaves": [], "height": "3"}, "'height' is '3'; expected float"),
        ({"leaves": [], "height": 10**400}, "expected a smaller number"),
        ({"leaves": [], "code": "A"}, "'code' is 'A'; expected lower letters"),
    ],
)
def test_the_first_field_that_does_not_fit_is_named(content: Any, says: str) -> None:
    with pytest.raises(FieldError) as caught:
        typed(content, Tree)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=9),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=9), inner),
    max_leaves=20,
)


def message_of(content: Any) -> str:
    """What is said of a tree that does not fit; nothing of one that does."""
    try:
        typed(content, Tree)
    except FieldError as error:
        return str(error)
    return ""


@given(JSON, some.sampled_from(["leaves", "named", "height", "code", "other"]))
def test_whatever_is_handed_in_becomes_a_record_or_one_short_line(inner: Any, key: str) -> None:
    for content in (inner, {"leaves": [], key: inner}, {"leaves": [inner], "named": {"x": inner}}):
        message = message_of(content)
        assert len(message.splitlines()) <= 1
        assert len(message) < 300


@pytest.mark.parametrize(
    "text", ["", "[", "[" * 100_000, '{"a": NaN}', b"\xff\xfe{", "{'a': 1}", '{"a": 1, "a": 2}']
)
def test_what_is_no_json_is_said_to_be_none(text: str | bytes) -> None:
    with pytest.raises(FieldError, match=r"^not JSON"):
        parse_json(text)


def test_what_is_quoted_is_short_and_in_one_line() -> None:
    assert quoted({"a": ["x" * 10_000] * 1000}).count("\n") == 0
    assert len(quoted(["\n" * 10_000] * 1000)) < 130
