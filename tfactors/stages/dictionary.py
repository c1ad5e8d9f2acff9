"""Turns the states of all layers into a dictionary, or takes in one from elsewhere.

Random choices follow from the seed and the place in the stream alone, so that an interrupted stage
goes on to the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.bundle.writing import write_dictionary
from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.learner_2021 import GradientLearner
from tfactors.coding.shared_coding import SharedCoder
from tfactors.stages.dictionary_proof import take_in_dictionary
from tfactors.stages.run import Checkpoint, Run
from tfactors.stages.training_stream import TrainingStream

# Samples that the dictionary's running sums remember: long, so that the atoms settle.
MEMORY = 300_000
# Of each window no less than this share is learnt from: fewer tokens of more windows keep
# atoms from learning single windows by heart, and cost as many more passes through the model.
SMALLEST_SHARE = 0.5
# Windows on which it is measured how much there is to explain at each layer.
BALANCED_BY = 32


def learn_dictionary(
    run: Run,
    stage: str = "dictionary",
    write: Callable[[Path, np.ndarray], None] = write_dictionary,
) -> dict[str, Any]:
    """Learn the dictionary on a shuffled stream of all layers' states, or import one.

    The ranks share its windows, each reading its own ahead of time, and code every batch together;
    then all of them do the same update.

    Parameters
    ----------
    run : Run
        The build.
    stage : str
        Names the progress.
    write : callable
        Puts the atoms (m, d) into a folder.

    Returns
    -------
    dict
        How many samples were learnt from, in how many windows, and what each layer weighed; or
        where an imported dictionary comes from and how it has proved itself.
    """
    if run.settings.dictionary:
        return run.ranks.lead(partial(take_in_dictionary, run))
    settings, checkpoint, ranks = run.settings, Checkpoint(run, stage), run.ranks
    lengths = run.load_array("lengths")
    rare = 1.0 / np.sqrt(np.maximum(run.load_array("token_counts"), 1))
    share, order = 1.0, []
    for epoch in range(settings.epochs):
        windows = np.flatnonzero(~run.held_out)
        windows = np.random.default_rng([settings.seed, 2, epoch]).permutation(windows)
        wanted, tokens = settings.training_tokens, np.cumsum(lengths[windows])
        if wanted and len(tokens):
            share = min(1.0, max(SMALLEST_SHARE, wanted / tokens[-1]))
            windows = windows[: np.searchsorted(tokens, wanted / share) + 1]
        order.append(windows)
    of_layer = ranks.lead(partial(layer_weights, run, np.concatenate(order)))
    of_token = rare if settings.damping else np.ones_like(rare)
    stream = TrainingStream(run, np.concatenate(order), of_token, np.array(of_layer), share)
    learner = _learner(run, checkpoint.path)
    samples = [stream.tokens(i, lengths) * len(run.layers) for i in range(stream.stretches)]
    step = checkpoint.step
    stretches = stream.batches(step, settings.batch)
    with run.progress(sum(samples), stage, "state", sum(samples[:step])) as bar, closing(stretches):
        for batches in stretches:
            for states, weights in batches:
                learner.partial_fit(states, sample_weight=weights)
                bar.update(len(states))
            step += 1
            if ranks.leads:
                checkpoint.save_if_due(step, learner.save)
    if ranks.leads:
        write(run.folder, learner.components_)
        checkpoint.clear()
    notes = {"samples": sum(samples), "windows": sum(map(len, order))}
    return notes | ({"layer_weights": of_layer} if settings.balance else {})


def layer_weights(run: Run, windows: np.ndarray) -> list[float]:
    """Return what a state of each layer weighs in learning, E the mean ‖z‖²: median(E) / E, ≤ 1."""
    if not run.settings.balance:
        return [1.0] * len(run.layers)
    states = run.states(list(run.files.windows(windows[:BALANCED_BY])["token_ids"]))
    energy = np.array([np.mean(np.square(z), dtype=np.float64) for z in states])
    weights = np.minimum(1, np.median(energy) / np.maximum(energy, 1e-12))
    # How the states were added up, by one thread or by two, must not decide a digit.
    return weights.round(6).tolist()


def _learner(run: Run, saved: Path | None) -> DictionaryLearner | GradientLearner:
    """Return the learner that the settings name, new or as it was saved."""
    settings = run.settings
    if settings.learner == "2021":
        if saved:
            return GradientLearner.load(saved)
        return GradientLearner(settings.factors, settings.penalty, random_state=settings.seed)
    if saved:
        learner = DictionaryLearner.load(saved)
    else:
        learner = DictionaryLearner(
            settings.factors, settings.penalty, memory=MEMORY, random_state=settings.seed
        )
    learner.coder = partial(SharedCoder, ranks=run.ranks)
    return learner
