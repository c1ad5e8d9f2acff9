"""docs/reference/numbers explains every number that a bundle holds and that is shown."""

import re
from pathlib import Path

import numpy as np
import pytest

from tfactors.bundle.format import CONTEXTS, SCHEMAS
from tfactors.describe.levels import (
    FEW_WORDS_SHARE,
    FEWEST_WINDOWS,
    LOW_DEPTH,
    LOW_WORDS,
    SENTENCE_SHARE,
    WINDOW_SHARE,
    WORD_SHARE,
)
from tfactors.explain.effects import DIRECTIONS
from tfactors.explain.retention import RADII, REACH_SHARE
from tfactors.stages.kept_codes import MOST_TOKENS
from tfactors.stages.settings import MOST_CONTEXTS, PRESETS
from tfactors.stages.shares import SAMPLED_AN_EXAMPLE
from tfactors.survey.layer import BIN_EDGES, FACTORS_PER_WORD, FREQUENT_WORD, WORDS_PER_FACTOR
from tfactors.survey.moments import Moments
from tfactors.survey.variance_shares import FEWEST_ACTIVATIONS

PAGES = sorted((Path(__file__).parents[2] / "docs/reference/numbers").glob("*.md"))
# Where a line ends says nothing.
TEXT = " ".join(" ".join(page.read_text(encoding="utf-8").split()) for page in PAGES)
# What places or names a number, and is none itself.
PLACES = {"factor", "layer", "window", "position", "word", "document", "start", "tokens", "method",
          "token_ids", "word_starts", "source", "title", "year", "held_out", "kind", "radius",
          "atom", "positions", "other", "token", "tensor", "row",
          "values"}  # fmt: skip


@pytest.mark.parametrize("column", sorted({n for s in SCHEMAS.values() for n in s.names} - PLACES))
def test_every_number_of_a_bundle_is_defined(column):
    term = "Alive" if column == "alive" else f"`{column}`"
    assert term in TEXT


def test_the_metrics_of_a_build_are_defined():
    for name in ("alive", "l0", "explained_variance", "explained_context", "context_share",
                 "duality_gap", "mean_norm", "density_above_0.1", "corpus.held_out_tokens",
                 "coding.scale_tokens"):  # fmt: skip
        assert f"`{name}`" in TEXT


def test_the_constants_in_the_text_are_those_of_the_code():
    default = PRESETS["default"]
    assert f"the mean of its K = {default.importance_k} largest activations" in TEXT
    assert f"at most {default.examples}" in TEXT
    assert f"`importance.retention_examples`, {default.retention_examples} by default" in TEXT
    assert f"`examples`, {default.effect_examples} by default" in TEXT
    assert f"mean of {DIRECTIONS} an example" in TEXT
    assert f"windows* of at most {default.window_length} tokens" in TEXT
    assert f"the {WORDS_PER_FACTOR} words with the largest summed activation" in TEXT
    assert f"the {FACTORS_PER_WORD} factors with the largest summed" in TEXT
    assert f"at least {FREQUENT_WORD} occurrences" in TEXT
    assert f"the mean curve retains {REACH_SHARE:.0%}".replace("%", " %") in TEXT
    assert RADII[:4] == (0, 1, 2, 4)
    assert RADII[-1] == 128
    assert f"effective words ≤ {LOW_WORDS:g} " in TEXT
    assert (
        f"effective words > {LOW_WORDS:g} and share between windows ≥ {WINDOW_SHARE:g}, or of "
        f"fewer words ≥ {FEW_WORDS_SHARE:g}; and effective windows ≥ {FEWEST_WINDOWS:g}" in TEXT
    )
    assert (default.low_words, default.window_share) == (LOW_WORDS, WINDOW_SHARE)
    assert default.few_words_share == FEW_WORDS_SHARE
    assert MOST_CONTEXTS == CONTEXTS
    assert f"fewer than {FEWEST_ACTIVATIONS} activations" in TEXT
    assert f"up to {MOST_TOKENS:,} tokens in windows" in TEXT
    assert SAMPLED_AN_EXAMPLE == 3
    assert "three times `importance.retention_examples`" in TEXT
    assert (default.low_depth, LOW_DEPTH) == (1 / 3, 1 / 3)
    assert "depth ≤ 1/3" in TEXT
    assert default.word_share == WORD_SHARE == 0.55
    assert "kept by the word ≥ 0.55" in TEXT
    assert default.sentence_share == SENTENCE_SHARE == 0.5
    assert "kept by the sentence < 0.5" in TEXT
    assert np.allclose(BIN_EDGES[1:] / BIN_EDGES[:-1], 2**0.25)


def test_explained_variance_is_what_the_text_says():
    """0 for the mean, 1 for a perfect copy, whatever the batches: three claims of the text."""
    from scipy.sparse import csr_array

    x = np.random.default_rng(0).normal(3.0, 2.0, (90, 5)).astype(np.float32)
    codes, gap = csr_array((90, 4), dtype=np.float32), np.zeros(90)
    mean_error = ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    for pieces in (1, 7):
        of_mean, perfect = Moments(), Moments()
        for rows in np.array_split(np.arange(90), pieces):
            of_mean.add(x[rows], codes[rows], mean_error[rows], gap[rows])
            perfect.add(x[rows], codes[rows], np.zeros(len(rows)), gap[rows])
        assert of_mean.explained_variance == pytest.approx(0.0, abs=1e-5)
        assert perfect.explained_variance == 1.0


def test_the_contents_lead_to_every_page_and_links_to_sections():
    contents = (PAGES[0].parent / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert page.name == "index.md" or f"]({page.name})" in contents
        text = page.read_text(encoding="utf-8")
        for link, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", text):
            there = (page.parent / link).read_text(encoding="utf-8") if link else text
            headings = re.findall(r"^#+ (.*)$", there, re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
