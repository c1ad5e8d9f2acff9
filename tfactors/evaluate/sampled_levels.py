"""Turns a dictionary and a sample of text into the peak layer and the level of its factors.

A sample is a small corpus, and is surveyed as a build surveys its own (:mod:`tfactors.survey`).
Importance on the sample is the mean of the K' largest activations, K' being the bundle's K times
the sample's share of the corpus, and at least 3. What decides a factor is told by all its
activations in the sample (:mod:`tfactors.survey.variance_shares`), and on how many words it spreads
by the same share of the bundle's strongest examples, at least 20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from tfactors.describe import levels
from tfactors.evaluate.sample import Sample
from tfactors.explain.encoder import FactorEncoder
from tfactors.survey.survey import Survey
from tfactors.survey.variance_shares import (
    FEWEST_ACTIVATIONS,
    effective_number,
    numbers_of_all_activations,
    strongest,
)
from tfactors.survey.window_tokens import WindowTokens

if TYPE_CHECKING:
    from tqdm import tqdm

    from tfactors.bundle import Bundle

LEAST_K = 3
WINDOWS_A_BATCH = 64
# Nobody reads the word index of a sample: a small table is enough for what it must forget.
WORD_TABLE_BYTES = 32 * 2**20


def peaks_and_levels(
    bundle: Bundle, encoder: FactorEncoder, sample: Sample, bar: tqdm
) -> pd.DataFrame:
    """Measure where the factors of an encoder peak on a sample, and their level.

    Parameters
    ----------
    bundle : Bundle
        Says how large the corpus is, and by which thresholds its levels part; where it has an older
        rule the levels part by today's.
    encoder : FactorEncoder
        The model with the dictionary to ask, the bundle's own or another of m factors.
    sample : Sample
        Text of the bundle.
    bar : tqdm
        Counts the windows of the sample.

    Returns
    -------
    DataFrame
        A row a factor, m in all: peak (a layer, −1 where the sample never activates the factor)
        and level ("low", "mid", "high", and "" for a factor that is active too seldom).
    """
    share = len(sample) / bundle.about.corpus.tokens
    importance_k = max(LEAST_K, round(bundle.about.importance.k * share))
    importance, codes = _surveyed(encoder, sample, importance_k, bar)
    alive = importance.max(axis=1) > 0
    peak = np.where(alive, levels.peak_layers(importance, encoder.layers), -1)
    thresholds = bundle.about.importance.thresholds
    if isinstance(thresholds, levels.OlderThresholds):
        thresholds = levels.Thresholds()
    token_ids, tokens = np.concatenate(sample.texts), WindowTokens.of(sample.frame)
    words = np.array([word.casefold() for word in tokens.words], object)
    examples = max(FEWEST_ACTIVATIONS, round(bundle.about.importance.examples * share))
    level = np.full(len(peak), "", dtype=object)
    for at, layer in enumerate(encoder.layers):
        of_layer = np.flatnonzero(peak == layer)
        of_peak = csr_array(codes[at][:, of_layer])
        numbers = numbers_of_all_activations(of_peak, token_ids, tokens.windows)
        numbers["effective_words"] = effective_number(strongest(of_peak, examples), words)
        level[of_layer] = levels.levels_of(pd.DataFrame(numbers), thresholds)
    return pd.DataFrame({"peak": peak, "level": level.astype(str)})


def _surveyed(
    encoder: FactorEncoder, sample: Sample, importance_k: int, bar: tqdm
) -> tuple[np.ndarray, list[csr_array]]:
    """Return the importance of each factor, (m, L), and all codes (n, m) of each layer."""
    survey = Survey(
        encoder.layers,
        encoder.n_factors,
        importance_k,
        examples=1,
        contexts=1,
        table_bytes=WORD_TABLE_BYTES,
    )
    windows = sample.frame
    of_batches = []
    for first in range(0, len(windows), WINDOWS_A_BATCH):
        batch = windows.iloc[first : first + WINDOWS_A_BATCH]
        states = encoder.states(list(batch["token_ids"]), encoder.layers)
        codes = [encoder.coder.encode(x, encoder.penalty, encoder.tol) for x in states]
        tokens = WindowTokens.of(batch)
        survey.add(codes, tokens.windows, tokens.positions, tokens.words)
        of_batches.append(codes)
        bar.update(len(batch))
    importance = np.stack([state.importance() for state in survey.states], axis=1)
    of_layers = [csr_array(vstack(parts)) for parts in zip(*of_batches, strict=True)]
    return importance, of_layers
