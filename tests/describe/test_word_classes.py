"""Closed classes, and the shapes of other words."""

import pytest

from tfactors.describe.word_classes import CLOSED, is_content, word_class


@pytest.mark.parametrize("name", CLOSED)
def test_every_word_of_a_closed_class_is_told_by_it_whatever_its_capitals(name):
    for word in CLOSED[name]:
        first = next(known for known, words in CLOSED.items() if word in words)
        assert word_class(word) == word_class(word.capitalize()) == first


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("The", "article"), ("their", "possessive"), ("made", "word"), ("making", "word-ing"),
        ("started", "word-ed"), ("slowly", "word-ly"), ("nation", "word-tion"), ("trees", "word-s"),
        ("class", "word"), ("bus", "word"), ("king", "word"), ("1805", "year"), ("1990s", "year"),
        ("27", "number"), ("3.5", "number"), (",", "comma"), ("“", "quote"), ("?", "stop"),
        ("%", "mark"), ("", "mark"), ("¶", "mark"), ("<b>", "word"),
    ],
)  # fmt: skip
def test_a_word_has_one_class_by_list_or_by_shape(word, expected):
    assert word_class(word) == expected


def test_only_open_classes_are_content():
    assert [is_content(word_class(word)) for word in ("tree", "trees", "of", "1805", ",")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert is_content("Name")
