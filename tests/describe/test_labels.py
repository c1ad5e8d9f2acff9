"""Labels: rules read off the text, judged on held-out tokens."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_array, csr_array

from tfactors.describe import labels
from tfactors.describe.token_rules import rules_of_tokens, stem

TEXT = "The navy sails. Sailing ships left in 1805, and Nelson won; he left 27 ships unbeatable ."
TOKENS = [
    "The", " navy", " sails", ".", " Sailing", " ships", " left", " in", " 1805", ",", " and",
    " Nelson", " won", ";", " he", " left", " 27", " ships", " un", "beat", "able", " .",
]  # fmt: skip
STARTS = [token not in ("beat", "able") for token in TOKENS]


def rules_at(position: int) -> set[tuple[str, str]]:
    fits, rules = rules_of_tokens(
        np.array([0]), np.array([position]), read, np.array(["sea stories"], object)
    )
    assert (fits.data == 1).all()
    return set(rules.iloc[fits.indices].itertuples(index=False, name=None))


def read(numbers):
    rows = [{"window": n, "tokens": TOKENS, "word_starts": np.array(STARTS)} for n in numbers]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (6, {("word", "left"), ("lemma", "left"), ("neighbour", "after “ships”"),
             ("neighbour", "before “in”"), ("affix", "-ft"), ("source", "sea stories")}),
        (2, {("word", "sails"), ("lemma", "sail"), ("affix", "sai-")}),
        (3, {("punctuation", "“.”"), ("punctuation", "any mark"),
             ("position", "the end of a sentence")}),
        (4, {("lemma", "sail"), ("affix", "-ing"), ("position", "the first word of a sentence")}),
        (8, {("number", "a number"), ("number", "a year"), ("word", "1805")}),
        (11, {("name", "a capital inside a sentence"), ("word", "nelson")}),
        (16, {("number", "a number"), ("word", "27")}),
        (0, {("position", "the first token of a window"),
             ("position", "tokens 0 to 7 of a window")}),
        (19, {("affix", "…beat"), ("word", "unbeatable"), ("affix", "un-"), ("affix", "-able"),
              ("position", "the inside of a word of several tokens")}),
        (18, {("affix", "un…"), ("position", "the beginning of a word of several tokens")}),
    ],
)  # fmt: skip
def test_a_token_fits_the_rules_that_its_text_says(position, expected):
    assert expected <= rules_at(position)


@pytest.mark.parametrize(
    ("position", "kind"),
    [(0, "name"), (4, "name"), (6, "name"), (16, "lemma"), (3, "word"), (6, "number")],
)
def test_a_token_fits_no_rule_of_another_kind(position, kind):
    assert kind not in {k for k, _ in rules_at(position)}


def test_a_year_is_a_number_of_four_digits_in_this_millennium_or_the_last():
    assert ("number", "a year") not in rules_at(16)


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


def matrix(rows, columns):
    dense = np.zeros((len(rows), columns), np.float32)
    for row, fit in enumerate(rows):
        dense[row, fit] = 1
    return csr_array(dense)


RULES = pd.DataFrame(
    [
        ("word", "left"),
        ("word", "right"),
        ("lemma", "leav"),
        ("number", "a number"),
        ("neighbour", "after “he”"),
    ],
    columns=["kind", "text"],
)
HELD_OUT = [[0, 2]] * 6 + [[0, 2, 4]] * 2 + [[2]] * 4 + [[1]] * 5 + [[3]] * 10 + [[]] * 13
NO_ANSWERS = pd.DataFrame({"factor": [], "rule": [], "place": []}, dtype=np.int64)


def label_of(
    active_rows, examples, words=("left", "right", "leave"), judged_rows=None, answers=NO_ANSWERS
):
    """Label a factor; both halves of the held-out text are HELD_OUT, active at the same rows."""
    active = np.zeros((2 * len(HELD_OUT), 1), np.float32)
    active[active_rows] = 1
    second = active_rows if judged_rows is None else judged_rows
    active[np.array(list(second), int) + len(HELD_OUT)] = 1
    judging = np.arange(2 * len(HELD_OUT)) >= len(HELD_OUT)
    proposed = labels.propose(matrix(examples, 5), np.zeros(len(examples), int), 1, answers)
    judged = labels.judge(proposed, matrix(HELD_OUT * 2, 5), csc_array(active), judging)
    return labels.choose(judged, RULES, [list(words)]).iloc[0]


def test_the_rule_that_tells_the_activations_best_is_the_label_with_its_shares():
    label = label_of([0, 1, 2, 3, 4, 5, 20], [[0, 2]] * 10)
    assert (label["label"], label["kind"]) == ("left", "word")
    assert label["precision"] == pytest.approx(6 / 8)
    assert label["recall"] == pytest.approx(6 / 7)


def test_the_forms_of_a_word_are_named_where_they_tell_more_than_the_word():
    label = label_of(range(12), [[0, 2]] * 6 + [[2]] * 6)
    assert (label["kind"], label["precision"], label["recall"]) == ("lemma", 1, 1)
    assert label["label"] == "leave"


def test_several_words_share_a_label_and_their_shares_are_of_all_of_them():
    label = label_of([*range(8), *range(12, 17)], [[0]] * 6 + [[1]] * 4)
    assert (label["label"], label["kind"]) == ("left, right", "word")
    assert (label["precision"], label["recall"]) == (1, 1)


def test_a_rule_that_no_example_shows_is_not_proposed_however_well_it_would_do():
    label = label_of(range(17, 27), [[1]] * 10)
    assert (label["label"], label["kind"]) == ("mixed: left, right, leave", "mixed")
    assert np.isnan(label["precision"])
    assert np.isnan(label["recall"])


def test_with_too_few_active_tokens_nothing_is_claimed():
    assert label_of(range(4), [[0]] * 10)["kind"] == "mixed"


def test_a_rule_below_one_half_is_not_good_enough():
    label = label_of([0, 1, *range(27, 40)], [[0]] * 10)
    assert label["kind"] == "mixed"


def test_one_half_of_the_held_out_text_chooses_the_rule_and_the_other_gives_its_shares():
    label = label_of(range(8), [[0, 2]] * 10, judged_rows=[0, 1, 2, 3, 12, 13])
    assert (label["label"], label["kind"]) == ("left", "word")
    assert label["precision"] == pytest.approx(4 / 8)
    assert label["recall"] == pytest.approx(4 / 6)


def test_words_that_few_examples_show_join_a_list_when_the_factor_answers_to_them():
    answers = pd.DataFrame({"factor": [0, 0], "rule": [1, 0], "place": [0, 1]})
    everywhere = [*range(8), *range(12, 17)]
    assert label_of(everywhere, [[0]] * 10)["label"] == "left"
    label = label_of(everywhere, [[0]] * 10, answers=answers)
    assert (label["label"], label["recall"]) == ("right, left", 1)


def test_a_dead_factor_has_no_label():
    label = label_of([], [], words=())
    assert (label["label"], label["kind"]) == ("", "")
