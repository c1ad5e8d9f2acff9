"""Which windows' codes the survey keeps."""

import numpy as np

from tfactors.stages.kept_codes import MOST_TOKENS, MOST_TOKENS_FOR_NAMES, chosen_windows

LENGTHS = np.random.default_rng(0).integers(1, 257, 20_000)
EVERY = np.ones(len(LENGTHS), bool)


def test_the_windows_that_decide_a_factor_are_among_those_that_name_it() -> None:
    few = chosen_windows(EVERY, LENGTHS, 0)
    many = chosen_windows(EVERY, LENGTHS, 0, MOST_TOKENS_FOR_NAMES)
    assert (many | ~few).all()
    assert MOST_TOKENS - 257 < LENGTHS[few].sum() <= MOST_TOKENS
    assert MOST_TOKENS_FOR_NAMES - 257 < LENGTHS[many].sum() <= MOST_TOKENS_FOR_NAMES
    assert (chosen_windows(EVERY, LENGTHS, 1) != few).any()


def test_no_other_window_is_chosen_and_of_few_all_are() -> None:
    among = np.arange(len(LENGTHS)) % 100 == 0
    assert (chosen_windows(among, LENGTHS, 0) == among).all()
