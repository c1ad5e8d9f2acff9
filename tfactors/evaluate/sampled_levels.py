"""Turns a dictionary and a sample of text into the peak layer and the level of its factors.

A sample is a small corpus, and is surveyed as a build surveys its own (:mod:`tfactors.survey`).
Importance on the sample is the mean of the K' largest activations, K' being the bundle's K times
the sample's share of the corpus, and at least 3. What a factor keeps elsewhere is measured on its
three strongest windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfactors.describe import levels
from tfactors.evaluate.sample import Sample
from tfactors.explain import elsewhere, retention
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.word_places import WordPlaces
from tfactors.survey.survey import Survey
from tfactors.survey.window_tokens import WindowTokens

if TYPE_CHECKING:
    from tqdm import tqdm

    from tfactors.bundle import Bundle

EXAMPLES, DRAWS = 3, 3  # of each factor; other places and texts of each example
WINDOWS_A_BATCH = 64
# Nobody reads the word index of a sample: a small table is enough for what it must forget.
WORD_TABLE_BYTES = 32 * 2**20


def survey_sample(encoder: FactorEncoder, sample: Sample, importance_k: int, bar: tqdm) -> Survey:
    """Return the survey of a sample, its windows numbered from 0; the bar counts them."""
    survey = Survey(
        encoder.layers,
        encoder.n_factors,
        importance_k,
        EXAMPLES,
        contexts=1,
        table_bytes=WORD_TABLE_BYTES,
    )
    windows = sample.frame
    for first in range(0, len(windows), WINDOWS_A_BATCH):
        batch = windows.iloc[first : first + WINDOWS_A_BATCH]
        states = encoder.states(list(batch["token_ids"]), encoder.layers)
        codes = [encoder.coder.encode(x, encoder.penalty, encoder.tol) for x in states]
        tokens = WindowTokens.of(batch)
        survey.add(codes, tokens.windows, tokens.positions, tokens.words)
        bar.update(len(batch))
    return survey


def peaks_and_levels(
    bundle: Bundle,
    encoder: FactorEncoder,
    sample: Sample,
    factors: np.ndarray,
    bar: tqdm,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure where the factors of an encoder peak on a sample, and the level of some of them.

    Parameters
    ----------
    bundle : Bundle
        Says how large the corpus is, and by which thresholds its levels part.
    encoder : FactorEncoder
        The model with the dictionary to ask, the bundle's own or another of m factors.
    sample : Sample
        Text of the bundle.
    factors : (f,) int
        The factors whose level is measured; what they keep elsewhere is what costs time.
    bar : tqdm
        Counts the windows of the sample.
    seed : int
        Of the other texts and places that are drawn.

    Returns
    -------
    DataFrame
        A row a factor, m in all: peak (a layer, −1 where the sample never activates the factor)
        and level ("low", "mid", "high", and "" for a factor that is not asked for or not active).
    """
    share = len(sample) / bundle.about.corpus.tokens
    importance_k = max(EXAMPLES, round(bundle.about.importance.k * share))
    survey = survey_sample(encoder, sample, importance_k, bar)
    importance = np.stack([state.importance() for state in survey.states], axis=1)
    peak = levels.peak_layers(importance, encoder.layers)
    alive = importance.max(axis=1) > 0
    asked = alive & np.isin(np.arange(encoder.n_factors), factors)
    depth = np.where(asked, levels.depths(peak, bundle.blocks), np.nan)
    thresholds = bundle.about.importance.thresholds
    low = depth <= thresholds.low_depth + levels.ROUNDING
    examples = _peak_examples(survey, np.where(asked & ~low, peak, -1))
    word, sentence = _retained(encoder, examples, sample.frame, thresholds, seed)
    sentence[low] = 1.0
    level = levels.classify(depth, word, sentence, thresholds)
    return pd.DataFrame({"peak": np.where(alive, peak, -1), "level": level})


def _peak_examples(survey: Survey, peak: np.ndarray) -> pd.DataFrame:
    """Return the examples of each factor at its layer ``peak`` (m,); of none where that is −1."""
    columns = ("factor", "layer", "window", "position", "activation")
    tables = [pd.DataFrame({name: [] for name in columns})]
    for layer, state in zip(survey.layers, survey.states, strict=True):
        for factor, (windows, positions, _, activations) in enumerate(state.examples()):
            if peak[factor] == layer:
                examples = (factor, layer, windows, positions, activations)
                tables.append(pd.DataFrame(dict(zip(columns, examples, strict=True))))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _retained(
    encoder: FactorEncoder,
    examples: pd.DataFrame,
    texts: pd.DataFrame,
    thresholds: levels.Thresholds,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the word and the sentence of each factor keep, as the thresholds ask, (m,)."""

    def windows(numbers: Sequence[int]) -> pd.DataFrame:
        return texts.iloc[list(numbers)]

    word, sentence = np.full((2, encoder.n_factors), np.nan)
    if examples.empty:
        return word, sentence
    if thresholds.word_share is None:
        alone = retention.retention(encoder, examples, windows, radii=(0,))
        sentence[alone["factor"]] = alone["sentence"]
        return word, sentence
    places = WordPlaces(examples, windows, [texts])
    same_word = elsewhere.kept_by_the_word(encoder, examples, windows, places, DRAWS, seed)
    word[same_word["factor"]] = same_word["word"]
    other_text = elsewhere.kept_elsewhere(
        encoder, examples, windows, len(texts), ("sentence",), DRAWS, seed
    )
    sentence[other_text["factor"]] = other_text["sentence"]
    return word, sentence
