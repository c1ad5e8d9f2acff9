"""Examples lined up by their words: which word stands at each place, and in which share of them."""

import numpy as np

from tfactors.describe.lined_up import WordShare, shares_by_offset, words_around
from tfactors.text.words import word_at


def test_every_offset_has_the_word_that_a_reader_would_write() -> None:
    """Against the word of each token, walked to word by word, in windows that may start within."""
    random = np.random.default_rng(0)
    for _ in range(200):
        length = int(random.integers(1, 30))
        tokens = [f"{'' if random.random() < 0.5 else ' '}t{i}" for i in range(length)]
        starts = random.random(length) < 0.6
        position = int(random.integers(length))
        firsts = [i for i in range(length) if i == 0 or starts[i]]
        here = max(k for k, first in enumerate(firsts) if first <= position)
        expected = {
            k - here: word_at(tokens, starts.tolist(), first)
            for k, first in enumerate(firsts)
            if abs(k - here) <= 4
        }
        assert words_around(tokens, starts, position) == expected


def test_a_word_that_was_lost_stands_nowhere() -> None:
    starts = np.ones(3, bool)
    assert words_around(["a", "", "b"], starts, 0) == {0: "a", 2: "b"}


def test_shares_are_of_the_examples_that_have_a_word_there() -> None:
    lined_up = [{0: "of"}, {-1: "one", 0: "of"}, {-1: "One", 0: "OF"}, {-1: "two", 0: "in"}]
    shares = shares_by_offset(lined_up)
    assert shares == [
        WordShare(-1, "one", 2, 3, 2 / 3),
        WordShare(-1, "two", 1, 3, 1 / 3),
        WordShare(0, "of", 3, 4, 0.75),
        WordShare(0, "in", 1, 4, 0.25),
    ]


def test_of_words_as_common_the_one_of_the_stronger_example_comes_first() -> None:
    shares = shares_by_offset([{1: "b"}, {1: "a"}, {1: "c"}, {1: "a"}, {1: "b"}])
    assert [share.word for share in shares] == ["b", "a", "c"]


def test_nothing_lined_up_has_no_words() -> None:
    assert shares_by_offset([]) == []
