"""Where a sentence begins and ends among the tokens of a window."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfactors.text.sentences import sentence_bounds, sentence_starts


def sentences(text):
    edges = [0, *sentence_starts(text), len(text)]
    return [text[a:b].strip() for a, b in pairwise(edges)]


@pytest.mark.parametrize(
    "text",
    [
        "It rained.| We stayed in.| Did you?| Yes!| 12 of us did.",
        'He said "no."| "Why?" she asked.| (He left.)| Nobody knew…| Then it ended.',
        "“So be it.”| ‘Never.’| «Non.»| [Applause.]| He sat down.",
        "Mr. Fox and Dr. Lee met Mrs. Ray in St. Louis.| Gen. Grant came.",
        "The U.S. Army is in the U.S. already.| The U.K. Parliament met.| It sat.",
        "He lives in the U.S.| He works there.",
        "J. R. R. Tolkien wrote it.| Harry S. Truman read it to D. B. Penn.",
        "It is vitamin C.| The dose is 3.5 grams, i.e. No. 5 of e.g. Table 2.",
        "He said no.| Five men left.",
        "On Jan. 3 and Dec. 25 it snowed.| It was cold.",
        "Smith et al. (1998) disagree.| Others, cf. Jones, do not, etc.| Most agree.",
        "World War I.| World War II.| It was 7 °C.| Summer came.",
        "It cost $1,740,690,489.49.| Probably more.| In 1930.| The end.",
        "Baker v. Carr was decided at 7 p.m. Eastern time.",
        "Wait... what?| Yes... and no.",
        "1. The first point.| 2. The second point.",
        "III. A heading?| No.",
        "He wrote for Yahoo! and left.",
        "人口は多い。|東京です！|はい。",
        "Etymology|\nThe name is old|\nIts use is not.",
        "He met Mr.|\nFox is a name.",
        "Она пришла.| Он ушёл.| Élan vital.| Ça va?| Oui.",
    ],
)
def test_sentences_are_where_a_reader_sees_them(text):
    assert sentences(text.replace("|", "")) == [part.strip() for part in text.split("|")]


def test_bounds_count_tokens_and_white_space_belongs_to_the_next_sentence():
    tokens = ["The", " end", ".", " Mr", ".", " Fox", " ran", "!", '"', "\nHe", " hid"]
    assert [sentence_bounds(tokens, i) for i in range(len(tokens))] == (
        [(0, 3)] * 3 + [(3, 9)] * 6 + [(9, 11)] * 2
    )


def test_a_newline_of_its_own_token_begins_the_next_sentence():
    assert sentence_bounds(["Hi", "\n", "You"], 1) == (1, 3)


def test_a_token_without_characters_stays_with_the_one_before():
    assert sentence_bounds(["A", " 🧿", "", "", ".", " Then", " go"], 3) == (0, 5)
    assert sentence_bounds(["Stop!", "", " Go"], 1) == (0, 2)


def test_a_position_outside_the_window_is_refused():
    for position in (-1, 2):
        with pytest.raises(IndexError):
            sentence_bounds(["a", " b"], position)


token = st.sampled_from(
    ["", " The", " a", ".", "!", " Mr", " U", ".", "S", "\n", "\nIn", " 5", '"', "。", " b", ")"]
)


@given(st.lists(token | st.text(max_size=4), min_size=1, max_size=40), st.data())
def test_the_sentences_of_a_window_part_its_tokens(tokens, data):
    position = data.draw(st.integers(0, len(tokens) - 1))
    start, stop = sentence_bounds(tokens, position)
    assert 0 <= start <= position < stop <= len(tokens)
    assert {sentence_bounds(tokens, i) for i in range(start, stop)} == {(start, stop)}
    assert start == 0 or sentence_bounds(tokens, start - 1)[1] == start


@pytest.mark.parametrize(
    "text",
    ["यह घर है। वह पेड़ है।", "هل هذا بيت؟ نعم.", "یہ گھر ہے۔ وہ پیڑ ہے۔", "これは家だ。あれは木だ。"],
)
def test_a_sentence_ends_at_the_marks_of_its_script(text):
    assert len(sentence_starts(text)) == 1
