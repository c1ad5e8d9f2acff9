"""Levels by their rule: low, mid and high from where a factor peaks and what it needs."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfactors.bundle import BundleError
from tfactors.bundle.manifest import Importance, LevelThresholds
from tfactors.describe.levels import (
    OlderThresholds,
    Thresholds,
    classify,
    deciding_parts,
    depths,
    levels_of,
    peak_layers,
)


def test_the_peak_is_where_the_importance_is_largest() -> None:
    importance = np.random.default_rng(0).random((50, 4))
    peak = peak_layers(importance, [0, 2, 4, 6])
    for curve, layer in zip(importance, peak, strict=True):
        assert curve[[0, 2, 4, 6].index(layer)] == curve.max()
    np.testing.assert_array_equal(depths(peak, 6), peak / 6)


SHARES = st.floats(0, 1)
NUMBERS = st.floats(1, 1000)


@given(NUMBERS, SHARES, NUMBERS, NUMBERS, SHARES, SHARES | st.none())
def test_every_factor_with_numbers_has_the_level_of_the_rule(
    words: float, share: float, windows: float, low: float, least: float, of_few: float | None
) -> None:
    level = classify(*np.array([[words], [share], [windows]]), Thresholds(low, least, of_few))[0]
    if words <= low:
        assert level == (
            "high" if of_few is not None and share >= of_few and windows >= 3 else "low"
        )
    else:
        assert level == ("high" if share >= least and windows >= 3 else "mid")


def test_a_factor_that_is_active_too_seldom_has_a_level_only_where_its_words_settle_it() -> None:
    words, nan = np.array([np.nan, 2.0, 40.0, 40.0]), np.full(4, np.nan)
    windows = np.array([np.nan, np.nan, np.nan, 50.0])
    assert classify(words, nan, windows).tolist() == ["", "low", "", ""]


def of_2026(**columns: object) -> pd.DataFrame:
    known = {"word_elsewhere": np.nan, "sentence_elsewhere": np.nan, "same_place": np.nan}
    return pd.DataFrame(known | columns)


def test_in_older_bundles_a_third_of_the_blocks_is_still_low() -> None:
    for blocks in (3, 6, 9, 12, 24):
        depth = depths(np.array([blocks // 3, blocks // 3 + 1]), blocks)
        factors = of_2026(depth=depth, sentence_elsewhere=0.0)
        assert levels_of(factors, OlderThresholds()).tolist() == ["low", "high"]


@given(SHARES, SHARES, SHARES, SHARES, SHARES | st.none(), SHARES)
def test_older_bundles_have_the_levels_of_the_rule_they_were_built_with(
    depth: float, word: float, sentence: float, low: float, least: float | None, share: float
) -> None:
    sentences = {"sentence_elsewhere": [sentence], "retained_sentence": [sentence]}
    if least is None:
        sentences["sentence_elsewhere"] = [np.nan]
    factors = of_2026(depth=[depth], word_elsewhere=[word], **sentences)
    level = levels_of(factors, OlderThresholds(low, least, share))[0]
    if abs(depth - low) > 1e-6:
        by_word = least is not None and word >= least
        rest = "high" if sentence < share else "mid"
        assert level == ("low" if depth < low or by_word else rest)


def test_in_older_bundles_a_dead_factor_has_no_level_and_one_of_unknown_reach_may_be_low() -> None:
    factors = of_2026(
        depth=[np.nan, np.nan, 0.1, 0.9], sentence_elsewhere=[np.nan, 0.5] + 2 * [np.nan]
    )
    assert levels_of(factors, OlderThresholds()).tolist() == ["", "", "low", ""]


def test_in_older_bundles_a_factor_of_one_place_in_the_window_is_low() -> None:
    factors = of_2026(
        depth=[0.9, 0.9, 0.9, 0.9],
        sentence_elsewhere=[0.9, 0.2, 0.9, 0.2],
        word_elsewhere=[0.1, np.nan, 0.1, np.nan],
        same_place=[1.0, 0.6, 0.2, 0.2],
    )
    assert levels_of(factors, OlderThresholds()).tolist() == ["low", "low", "mid", "high"]


def test_the_manifest_says_which_rule_a_bundle_has() -> None:
    def of(**levels: float) -> Thresholds | OlderThresholds:
        return Importance(200, 200, LevelThresholds(**levels)).thresholds

    assert of(low_words=4.0, window_share=0.2) == Thresholds(4.0, 0.2, None)
    full = of(low_words=4.0, window_share=0.2, few_words_share=0.3)
    assert full == Thresholds(4.0, 0.2, 0.3)
    assert of(low_depth=0.25, sentence_share=0.4) == OlderThresholds(0.25, None, 0.4)
    assert of(low_depth=0.2, sentence_share=0.4, word_share=0.6) == OlderThresholds(0.2, 0.6, 0.4)
    with pytest.raises(BundleError, match="neither low_words and window_share nor"):
        of(low_words=4.0)


@given(SHARES, SHARES, SHARES)
def test_the_parts_that_decide_are_a_whole(token: float, window: float, sentence: float) -> None:
    parts = deciding_parts(token, window, sentence)
    assert list(parts) == ["word", "sentence", "window", "rest"]
    assert min(parts.values()) >= 0
    assert sum(parts.values()) == pytest.approx(1)
    assert parts["word"] == token
    assert parts["rest"] == pytest.approx(1 - max(min(token + window, 1), sentence))


def test_importing_the_levels_does_not_import_torch_or_pandas() -> None:
    program = (
        "import sys, tfactors.describe.levels; "
        "print({'torch', 'pandas', 'numba'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr
