"""Levels by their rule: low, mid and high from where a factor peaks and what it needs."""

import subprocess
import sys

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tfactors.bundle.manifest import Importance, LevelThresholds
from tfactors.describe.levels import Thresholds, classify, depths, levels_of, peak_layers


def test_the_peak_is_where_the_importance_is_largest() -> None:
    importance = np.random.default_rng(0).random((50, 4))
    peak = peak_layers(importance, [0, 2, 4, 6])
    for curve, layer in zip(importance, peak, strict=True):
        assert curve[[0, 2, 4, 6].index(layer)] == curve.max()
    np.testing.assert_array_equal(depths(peak, 6), peak / 6)


def test_a_third_of_the_blocks_is_still_low() -> None:
    for blocks in (3, 6, 9, 12, 24):
        depth = depths(np.array([blocks // 3, blocks // 3 + 1]), blocks)
        assert classify(depth, np.zeros(2), np.zeros(2)).tolist() == ["low", "high"]


SHARES = st.floats(0, 1)


@given(SHARES, SHARES, SHARES, SHARES, SHARES | st.none(), SHARES)
def test_every_factor_with_numbers_has_the_level_of_the_rule(
    depth: float, word: float, sentence: float, low: float, least: float | None, share: float
) -> None:
    thresholds = Thresholds(low, least, share)
    level = classify(np.array([depth]), np.array([word]), np.array([sentence]), thresholds)[0]
    if abs(depth - low) > 1e-6:
        by_word = least is not None and word >= least
        rest = "high" if sentence < share else "mid"
        assert level == ("low" if depth < low or by_word else rest)


def test_a_dead_factor_has_no_level() -> None:
    dead, known = np.full(2, np.nan), np.array([np.nan, 0.5])
    assert classify(dead, known, known).tolist() == ["", ""]


def test_a_factor_of_unknown_reach_is_low_or_has_no_level() -> None:
    unknown = np.full(2, np.nan)
    assert classify(np.array([0.1, 0.9]), unknown, unknown).tolist() == ["low", ""]


def test_a_word_that_stands_nowhere_else_leaves_the_level_to_the_sentence() -> None:
    late, unknown = np.full(2, 0.9), np.full(2, np.nan)
    assert classify(late, unknown, np.array([0.2, 0.9])).tolist() == ["high", "mid"]


def test_a_bundle_from_before_has_the_levels_of_the_rule_it_was_built_with() -> None:
    older = Importance(200, 200, LevelThresholds(low_depth=0.25, sentence_share=0.4)).thresholds
    assert older == Thresholds(0.25, None, 0.4)
    factors = pd.DataFrame(
        {
            "depth": [0.2, 0.9, 0.9],
            "retained_sentence": [1.0, 0.3, 0.5],
            "word_elsewhere": np.nan,
            "sentence_elsewhere": np.nan,
            "same_place": np.nan,
        }
    )
    assert levels_of(factors, older).tolist() == ["low", "high", "mid"]


def test_a_factor_of_one_place_in_the_window_is_low() -> None:
    factors = pd.DataFrame(
        {
            "depth": [0.9, 0.9, 0.9],
            "sentence_elsewhere": [0.9, 0.2, 0.9],
            "word_elsewhere": [0.1, np.nan, 0.1],
            "same_place": [1.0, 0.6, 0.2],
        }
    )
    assert levels_of(factors, Thresholds()).tolist() == ["low", "low", "mid"]


def test_importing_the_levels_does_not_import_torch_or_pandas() -> None:
    program = (
        "import sys, tfactors.describe.levels; "
        "print({'torch', 'pandas', 'numba'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr
