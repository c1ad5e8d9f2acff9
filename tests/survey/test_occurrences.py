"""Which occurrences of words the survey keeps the codes of."""

import numpy as np
import pandas as pd

from tfactors.survey import occurrences


def windows_of(texts: list[list[str]]) -> pd.DataFrame:
    starts = [np.ones(len(text), bool) for text in texts]
    return pd.DataFrame({"window": range(len(texts)), "tokens": texts, "word_starts": starts})


def test_a_rare_word_is_left_out_and_a_frequent_one_drawn_at_most_once_a_window():
    common = [["Left", " and", " left"]] * occurrences.FEWEST
    rare = [[" seldom", " 1790"]] * (occurrences.FEWEST - 1)
    window, position = occurrences.draw_occurrences([windows_of(common + rare)], 500)
    assert window.tolist() == [w for w in range(occurrences.FEWEST) for _ in range(2)]
    assert position.tolist() == [0, 1] * occurrences.FEWEST  # of "left" the first, and "and"


def test_the_draw_is_the_same_however_the_windows_are_cut_into_batches():
    frame = windows_of([["a", " left", " turn"]] * 300)
    whole = occurrences.draw_occurrences([frame], 900)
    parts = occurrences.draw_occurrences([frame[:7], frame[7:100], frame[100:]], 900)
    assert np.array_equal(whole, parts)
    assert len(whole[0]) == 2 * occurrences.OCCURRENCES
    assert whole[0].max() > 200, "drawn from the whole corpus, not from its beginning"


def test_a_word_of_letters_with_vowel_signs_is_one_and_so_is_one_chinese_character():
    assert all(map(occurrences.is_word, ["left", "नमस्ते", "مَرْحَبًا", "人", "天気"]))
    assert not any(map(occurrences.is_word, ["a", "don't", "1790", "。", "x1"]))
