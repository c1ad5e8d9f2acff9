"""Turns the codes that the survey kept of a sample of the corpus into what decides each factor.

Shares are of all activations at the factor's peak layer in up to 150,000 tokens, words of its
strongest examples; neither costs a pass of the model. Only what the word's own sentence decides is
asked of the model, at activations drawn at random.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from tfactors import ragged
from tfactors.explain.elsewhere import activations_elsewhere
from tfactors.explain.encoder import FactorEncoder
from tfactors.stages.kept_codes import KeptCodes, chosen_windows
from tfactors.stages.run import Run
from tfactors.survey.variance_shares import (
    FEWEST_ACTIVATIONS,
    changed_text_share,
    effective_number,
    numbers_of_all_activations,
)

# Random activations for each of `retention_examples`: as many texts as two other places of an
# example's word and one other text took before. A bundle holds 40 activations to draw from.
SAMPLED_AN_EXAMPLE = 3


def shares_at_peaks(run: Run, peak: np.ndarray) -> pd.DataFrame:
    """Return what decides each factor at its peak layer.

    Parameters
    ----------
    run : Run
        A build whose survey is done.
    peak : (m,) int
        The peak layer of each factor, −1 for a dead one.

    Returns
    -------
    DataFrame
        m rows: columns as :func:`numbers_of_all_activations`, float32 as in factors.parquet; NaN
        for a dead factor.
    """
    kept = KeptCodes.of_sample(run)
    windows, positions = kept.places()
    lengths = run.load_array("lengths")
    chosen = chosen_windows(np.ones(len(lengths), bool), lengths, run.settings.seed)
    rows = np.flatnonzero(chosen[windows])
    windows, positions = windows[rows], positions[rows]
    token_ids = _tokens_at(run, windows, positions)
    parts = [pd.DataFrame(index=np.arange(len(peak)))]
    for i, layer in enumerate(run.layers):
        of_layer = np.flatnonzero(peak == layer)
        codes = csr_array(kept.codes(i, len(peak))[rows][:, of_layer])
        numbers = numbers_of_all_activations(codes, token_ids, windows)
        words = _effective_words(run, of_layer, run.layers[i])
        parts.append(pd.DataFrame(numbers | {"effective_words": words}, index=of_layer))
    return pd.concat(parts[1:]).reindex(parts[0].index).astype(np.float32)


def _effective_words(run: Run, factors: np.ndarray, layer: int) -> list[float]:
    """Return on how many words the strongest examples of factors spread; NaN where few are known.

    Of all activations the many weak ones would decide, which no reader sees.
    """
    of_layer = run.files.examples_of(
        factors.tolist(), [layer] * len(factors), run.settings.examples
    )
    found = dict.fromkeys(factors.tolist(), float("nan"))
    for factor, examples in of_layer.groupby("factor"):
        if len(examples) >= min(FEWEST_ACTIVATIONS, run.settings.examples):
            words = np.array([word.casefold() for word in examples["word"]], object)
            activations = csr_array(examples["activation"].to_numpy(np.float64)[:, None])
            found[factor] = float(effective_number(activations, words)[0])
    return list(found.values())


def _tokens_at(run: Run, windows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the id of the token at each place, (n,) int32."""
    if not len(windows):
        return np.zeros(0, np.int32)
    numbers, which = np.unique(windows, return_inverse=True)
    token_ids = run.files.windows(numbers)["token_ids"]
    starts = ragged.offsets(token_ids.str.len().to_numpy())
    return np.concatenate(token_ids.to_list())[starts[which] + positions]


def sentence_shares(
    run: Run, encoder: FactorEncoder, factors: pd.Series, layers: pd.Series
) -> list[float]:
    """Return the share of each factor's variance that word and sentence decide, at its layer.

    The model reads activations drawn at random again, in another text of the same length that the
    word's own sentence stands in (:func:`changed_text_share`).
    """
    places = list(zip(factors.tolist(), layers.tolist(), strict=True))
    samples = [_drawn(run, factor, layer) for factor, layer in places]
    sample = pd.concat(samples, ignore_index=True)
    changed = activations_elsewhere(
        encoder, sample, run.files.windows, len(run.held_out), ("sentence",), seed=run.settings.seed
    )[:, 0, 0]
    edges = ragged.offsets([len(own) for own in samples])
    activation = sample["activation"].to_numpy(np.float64)
    shares = []
    for (factor, layer), start, stop in zip(places, edges[:-1], edges[1:], strict=True):
        importance = run.files.importance(factor)
        density = float(importance.loc[importance["layer"] == layer, "density"].iloc[0])
        own = slice(start, stop)
        shares.append(changed_text_share(activation[own], changed[own], density))
    return np.clip(shares, 0, 1).tolist()


def _drawn(run: Run, factor: int, layer: int) -> pd.DataFrame:
    """Return some of the activations that the survey drew at random of a factor at a layer."""
    sample = run.files.samples(factor, layer)
    order = np.random.default_rng([run.settings.seed, 6, factor]).permutation(len(sample))
    number = SAMPLED_AN_EXAMPLE * run.settings.retention_examples
    return sample.iloc[order[:number]].assign(layer=layer)
