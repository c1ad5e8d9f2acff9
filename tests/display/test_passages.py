"""Passages as HTML: whatever stands in a text, it is shown as text."""

import re
from dataclasses import replace

from synthetic_bundle import HOSTILE

from tfactors.display import passages


def test_control_characters_and_long_words_cannot_break_a_line() -> None:
    for token in [*HOSTILE, "\x00\x07\x85", "b" * 10_000]:
        shown = passages.escape(token)
        assert len(shown) < 500
        assert not re.search(r"[<>\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


def test_what_follows_a_word_is_unread_text_to_a_causal_model():
    example = passages.Passage(["We", " left", " home"], 1, 2, 1.0, "", "left", causal=True)
    for draw in (passages.lines, passages.texts):
        assert '<span class="tf-outside"> home</span>' in draw([example], 1.0)
    assert "not read by the model here, which reads from left" in passages.legend([example])
    both_ways = replace(example, causal=False)
    assert "tf-outside" not in passages.texts([both_ways], 1.0) + passages.legend([both_ways])


def test_what_is_written_from_right_to_left_is_shown_so_on_both_sides_of_its_word():
    tokens = ["باع", " التاجر", " الكتاب", " (book)"]
    example = passages.Passage(tokens, 1, 2, 1.0, "", "التاجر")
    shown = passages.lines([example], 1.0)
    assert '<li class="tf-line tf-rtl">' in shown
    assert '<span class="tf-before" dir="rtl"><bdi dir="rtl">باع' in shown
    assert '<p dir="rtl"><bdi dir="rtl">باع' in passages.texts([example], 1.0)
    latin = replace(example, tokens=["He", " said", " كتاب"])
    assert "rtl" not in passages.lines([latin], 1.0) + passages.texts([latin], 1.0)
