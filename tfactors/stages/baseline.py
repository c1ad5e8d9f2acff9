"""Turns the training text, read through the model once, into what each token brings of its own.

Every rank sums the states of its share of the windows; rank 0 adds the sums up, which are exact, so
that their order and the number of ranks change nothing, fits the baseline and writes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfactors.bundle.writing import write_baseline
from tfactors.coding.baseline import (
    BaselineSums,
    BatchSums,
    TokenBaseline,
    fit_baseline,
    quantized,
)
from tfactors.explain.read_states import read_states, tokens_and_places
from tfactors.parallel import ahead
from tfactors.stages.corpus import WINDOWS_A_BATCH
from tfactors.stages.run import Checkpoint, Run

# Memory of the sums by token: of a larger vocabulary the rarest tokens share the prediction.
SUM_BYTES = 1 << 30


def fit_own_parts(run: Run) -> dict[str, Any]:
    """Fit and write what each token brings of its own, where the build subtracts it.

    Returns
    -------
    dict
        What the manifest says of it; empty where nothing is subtracted.
    """
    if run.settings.baseline == "none":
        return {}
    ranks, lengths = run.ranks, run.load_array("lengths")
    windows = _windows(run, lengths)
    checkpoint = Checkpoint(run, f"baseline.{ranks.rank}of{ranks.size}")
    sums = BaselineSums.load(checkpoint.path) if checkpoint.path else _no_sums(run, lengths)
    scaling = run.scaling

    def sum_batch(first: int) -> BatchSums:
        texts = list(run.files.windows(windows[first : first + WINDOWS_A_BATCH])["token_ids"])
        states, _ = read_states(run.model, scaling, texts, run.layers)
        return sums.of_batch(states, *tokens_and_places(run.model, texts))

    step = checkpoint.step
    firsts = range(0, len(windows), WINDOWS_A_BATCH)[ranks.rank :: ranks.size]
    sizes = [int(lengths[windows[first : first + WINDOWS_A_BATCH]].sum()) for first in firsts]
    with run.progress(sum(sizes), "baseline", "token", sum(sizes[:step])) as bar:
        for _, batch in ahead(sum_batch, firsts[step:]):
            sums.add(batch)
            bar.update(sizes[step])
            step += 1
            checkpoint.save_if_due(step, sums.save)
    if ranks.size > 1:
        _merge(run, sums)
    notes = {}
    if ranks.leads:
        fitted = fit_baseline(sums, run.layers, run.model.unit_embeddings, seed=run.settings.seed)
        _write(run, fitted)
        notes = {
            "kind": "token",
            "tokens": len(fitted.token_ids),
            "rank": len(fitted.basis),
            "places": len(fitted.places),
            "states": int(fitted.counts.sum()),
        }
    ranks.wait()
    checkpoint.clear()
    return notes


def _windows(run: Run, lengths: np.ndarray) -> np.ndarray:
    """Return the windows that are read, ascending: all but held-out ones, or some by chance."""
    windows = np.flatnonzero(~run.held_out)
    if not run.settings.baseline_tokens:
        return windows
    windows = np.random.default_rng([run.settings.seed, 7]).permutation(windows)
    enough = np.searchsorted(np.cumsum(lengths[windows]), run.settings.baseline_tokens) + 1
    return np.sort(windows[:enough])


def _no_sums(run: Run, lengths: np.ndarray) -> BaselineSums:
    """Return sums of nothing over the most frequent tokens that memory has room for."""
    numbers = len(run.layers) * run.model.width
    counts = run.load_array("token_counts")
    frequent = np.argsort(-counts, kind="stable")[: SUM_BYTES // (8 * numbers)]
    kinds = np.sort(frequent[counts[frequent] > 0])
    return BaselineSums.empty(kinds, int(lengths.max()), numbers)


def _merge(run: Run, sums: BaselineSums) -> None:
    """Add the sums of all ranks up on rank 0, by way of the disk."""
    paths = [run.work / f"baseline.found.{rank}.npz" for rank in range(run.ranks.size)]
    if not run.ranks.leads:
        sums.save(paths[run.ranks.rank])
    run.ranks.wait()
    for path in paths[1:] if run.ranks.leads else ():
        sums.merge(BaselineSums.load(path))


def _write(run: Run, fitted: TokenBaseline) -> None:
    """Write a baseline in whole numbers, which is what everything reads from then on."""
    parts = {
        "mean": quantized(fitted.mean[None], np.int16),
        "prior": quantized(fitted.prior, np.int16),
        "basis": quantized(fitted.basis, np.int16),
        "place": quantized(fitted.places, np.int16),
    }
    codes = (fitted.codes, fitted.steps)
    write_baseline(run.folder, parts, fitted.token_ids, fitted.counts, codes)
