"""Words of windows, the answers of tokens to slots, and the words around them."""

import numpy as np
import pandas as pd
import pytest
from planted_text import Planted
from scipy.sparse import csr_array

from tfactors.describe.text_words import TextWords, stem
from tfactors.describe.token_slots import TokenSlots
from tfactors.describe.word_bags import NEAR, WordBags, telling

TOKENS = [
    "The", " navy", " sails", ".", " Sailing", " ships", " left", " in", " 1805", ",", " and",
    " Nelson", " won", ";", " he", " left", " 27", " ships", " un", "beat", "able", " .",
]  # fmt: skip
STARTS = [token not in ("beat", "able") for token in TOKENS]


def answers_at(position: int) -> dict[tuple[str, int], set[str]]:
    frame = pd.DataFrame([{"window": 0, "tokens": TOKENS, "word_starts": np.array(STARTS)}])
    text = TextWords.read(np.array([0]), lambda n: frame.iloc[n])
    source = np.array(["sea stories"], object)
    tokens = TokenSlots.of(text, np.array([0]), np.array([position]), source)
    answers: dict[tuple[str, int], set[str]] = {}
    for slot, value in zip(tokens.slots, tokens.answers[0], strict=True):
        answers.setdefault((slot.kind, slot.offset), set()).add(tokens.value_text(value))
    return answers


@pytest.mark.parametrize(
    ("position", "kind", "offset", "expected"),
    [
        (6, "word", 0, {"left"}), (6, "word", -1, {"ships"}), (6, "word", 3, {","}),
        (6, "class", 2, {"year"}), (6, "source", 0, {"sea stories"}), (2, "lemma", 0, {"sail"}),
        (3, "class", 0, {"stop"}), (3, "word", -3, {"the"}), (0, "word", -1, {""}),
        (21, "word", 1, {""}), (21, "class", -1, {"word"}), (11, "class", 0, {"Name"}),
        (4, "class", 0, {"word-ing"}), (8, "class", 0, {"year"}), (16, "class", 0, {"number"}),
        (19, "piece", 0, {"…beat"}), (18, "piece", 0, {"un…"}), (6, "piece", 0, {""}),
        (19, "word", 0, {"unbeatable"}), (19, "word", -1, {"ships"}),
    ],
)  # fmt: skip
def test_a_token_answers_what_its_text_says(position, kind, offset, expected):
    assert answers_at(position)[kind, offset] == expected


def test_places_in_the_sentence_the_window_and_the_word_are_answers_too():
    assert "the first word of a sentence" in answers_at(4)["position", 0]
    assert "the last word of a sentence" in answers_at(3)["position", 0]
    assert "the first token of a window" in answers_at(0)["position", 0]
    assert "the inside of such a word" in answers_at(20)["position", 0]
    assert {"un-", "unb-", "-le", "-ble"} < answers_at(19)["affix", 0]


@pytest.mark.parametrize(
    "forms",
    [
        ("leave", "leaves", "leaving"),
        ("stop", "stops", "stopped", "stopping"),
        ("study", "studies", "studied", "studying"),
        ("church", "churches"),
        ("nation", "nations", "nation's"),
        ("tax", "taxes", "taxed"),
        ("class", "classes"),
    ],
)
def test_the_forms_of_a_word_have_one_stem(forms):
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize("pair", [("bus", "busy"), ("this", "the"), ("king", "k"), ("use", "us")])
def test_other_words_have_other_stems(pair):
    assert stem(pair[0]) != stem(pair[1])


def test_words_around_tokens_are_counted_as_one_would_by_hand():
    rng = np.random.default_rng(0)
    words = ["forest", "timber", "court", "judge", "river", "water", "stone"]
    planted = Planted([" ".join(rng.choice(words, 30)) for _ in range(6)])
    bags = WordBags(planted.text, planted.windows, planted.tokens.words, planted.content)
    stems = planted.text.stems
    listed = np.flatnonzero(np.isin(stems.texts, [stem("forest"), stem("court")]))
    of_token = [stem(word) for word in planted.spelled]
    for at in range(len(of_token)):
        window = np.flatnonzero(planted.windows == planted.windows[at])
        around = [i for i in window if i != at and abs(i - at) <= NEAR]
        near = sum(of_token[i] in ("forest", "court") for i in around)
        assert bags.near(listed)[at] == min(near, 9)
        held = {of_token[i] for i in window} & {"forest", "court"}
        assert bags.in_window(listed)[at] == len(held)


def test_telling_words_are_those_with_the_largest_log_odds_and_enough_bags():
    share = np.array([0.5, 0.1, 0.1, 0.9])
    bags = csr_array(np.array([[1, 1, 0, 1], [0, 1, 0, 1], [1, 1, 1, 1], [0, 1, 0, 0]], float))
    assert telling(bags, np.ones(4), share).tolist() == [1]
    # One bag that counts for four is one bag: nothing is sure of it.
    assert not len(telling(bags[:1], np.ones(1), share))
