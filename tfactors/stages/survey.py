"""Turns the whole corpus, read through the model once, into the tables of the survey.

Batches of windows go through the model and the solver side by side; what they give enters the
running state of `tfactors.survey.survey` in the order of the corpus, and at the end becomes the
tables of examples, contexts, samples, importance, histograms and words. Under torchrun every rank
surveys its share of the windows, and rank 0 merges them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import csr_array

from tfactors import ragged
from tfactors.binary_digits import rounded_down
from tfactors.bundle.format import example_file
from tfactors.bundle.writing import write_table, write_words
from tfactors.coding.imported_dictionary import EncoderCoder
from tfactors.coding.solver import SparseCoder
from tfactors.coding.sparse_coding import proved_gap
from tfactors.describe import levels
from tfactors.errors import InputError
from tfactors.explain.read_states import read_states
from tfactors.parallel import ahead
from tfactors.stages.corpus import WINDOWS_A_BATCH
from tfactors.stages.kept_codes import (
    MOST_TOKENS_FOR_NAMES,
    DrawnOccurrences,
    KeptCodes,
    chosen_windows,
)
from tfactors.stages.run import Checkpoint, Run
from tfactors.survey import activation_sample, contexts
from tfactors.survey.layer import LayerSurvey
from tfactors.survey.moments import Moments
from tfactors.survey.survey import Survey
from tfactors.survey.window_tokens import WindowTokens

# Held-out tokens of which one proves its codes in float64, which costs as much as solving them.
TOKENS_A_PROOF = 8
# Factors whose examples are written together: a table for each would cost more than its rows.
FACTORS_A_WRITE = 256
# Binary digits of the mean activations of words: 0.05 %, and half the size.
MEAN_BITS = 11


def survey_corpus(run: Run) -> dict[str, Any]:
    """Solve every code of the corpus and keep what each factor does at each layer.

    Every rank surveys batches of its own; rank 0 merges what they found and writes it.
    """
    settings, ranks = run.settings, run.ranks
    checkpoint = Checkpoint(run, f"survey.{ranks.rank}of{ranks.size}")
    lengths = run.load_array("lengths")
    firsts = range(0, len(lengths), WINDOWS_A_BATCH)[ranks.rank :: ranks.size]
    tokens = int(sum(lengths[first : first + WINDOWS_A_BATCH].sum() for first in firsts))
    if checkpoint.path:
        state = Survey.load(checkpoint.path)
    else:
        state = Survey(
            run.layers,
            settings.factors,
            settings.importance_k,
            settings.examples,
            settings.contexts,
            most_tokens=int(lengths.sum()),
        )
    every, seed = np.ones(len(lengths), bool), settings.seed
    kept = [
        (KeptCodes.of_held_out(run), chosen_windows(run.held_out, lengths, seed)),
        (KeptCodes.of_sample(run), chosen_windows(every, lengths, seed, MOST_TOKENS_FOR_NAMES)),
    ]
    step, windows = checkpoint.step, np.arange(len(lengths))
    occurrences = DrawnOccurrences(run)
    coder = run.coder  # made once, before threads ask for it
    frames = (run.files.windows(windows[first:][:WINDOWS_A_BATCH]) for first in firsts[step:])
    with run.progress(tokens, "survey", "token", state.tokens) as bar:
        for frame, coded in ahead(partial(_code_batch, run, coder), frames):
            before = state.tokens
            _survey_batch(state, frame, coded, kept, occurrences)
            bar.update(state.tokens - before)
            step += 1
            checkpoint.save_if_due(step, state.save)
    if ranks.size > 1:
        state = _merge_surveys(run, state)
    if not ranks.leads:
        return {}
    if not any(layer.active.any() for layer in state.states):
        raise InputError(
            f"penalty {settings.penalty:g}: no factor is active anywhere in the text; give a "
            "smaller --penalty, and another folder for --out"
        )
    _write_survey(run, state)
    checkpoint.clear()
    return _quality(run, state)


def _quality(run: Run, state: Survey) -> dict[str, Any]:
    """Return how good the factors are, in all and by layer, as the manifest says it."""
    active = np.array([s.active for s in state.states])
    held_out = state.held_out
    errors = sum(moments.errors for moments in held_out)
    variance = sum(moments.variance for moments in held_out)
    context = sum(moments.context_variance for moments in held_out)
    by_layer = [
        {
            "layer": layer,
            "l0": float(active[i].sum() / state.tokens),
            "explained_variance": held_out[i].explained_variance,
            "explained_context": held_out[i].explained_context,
            "context_share": held_out[i].context_share,
            "duality_gap": held_out[i].mean_gap,
            "mean_norm": float(state.norms.value[i] / state.tokens),
            "density_above_0.1": float((active[i] > 0.1 * state.tokens).mean()),
        }
        for i, layer in enumerate(run.layers)
    ]
    return {
        "alive": float((active.sum(axis=0) > 0).mean()),
        "l0": float(active.sum() / state.tokens / len(run.layers)),
        "explained_variance": 1 - errors / variance if variance else None,
        "explained_context": 1 - errors / context if context else None,
        "held_out_tokens": held_out[0].tokens,
        "layers": [{k: _finite(v) for k, v in row.items()} for row in by_layer],
    }


def _merge_surveys(run: Run, state: Survey) -> Survey:
    """Return the survey of all ranks on rank 0, one after the other by way of the disk."""
    if not run.ranks.leads:
        for layer in state.states:
            layer.pack()
        state.save(run.work / f"found.{run.ranks.rank}.npz")  # for rank 0, which reads it now
    run.ranks.wait()
    for rank in range(1, run.ranks.size) if run.ranks.leads else ():
        state.merge(Survey.load(run.work / f"found.{rank}.npz"))
    return state


@dataclass
class _CodedBatch:
    """What the model and the solver make of some windows.

    Attributes
    ----------
    codes : list of (tokens, m) csr_array
        One matrix a layer.
    norms : (layers,) float64
        Sums of ‖x‖ over the tokens.
    held_out : list of Moments
        How well the codes of held-out tokens reconstruct them, one a layer.
    """

    codes: list[csr_array]
    norms: np.ndarray
    held_out: list[Moments]


def _code_batch(run: Run, coder: SparseCoder | EncoderCoder, frame: pd.DataFrame) -> _CodedBatch:
    """Run the model over some windows and code every state; threads may share run and coder."""
    settings = run.settings
    states, own = read_states(run.model, run.transform, list(frame["token_ids"]), run.layers)
    sizes = np.array([len(t) for t in frame["token_ids"]])
    held_out = np.flatnonzero(np.repeat(run.held_out[frame["window"].to_numpy()], sizes))
    batch = _CodedBatch([], np.empty(len(states)), [Moments() for _ in states])
    for i, x in enumerate(states):
        codes = coder.encode(x, settings.penalty, settings.tol)
        batch.codes.append(codes)
        whole = x if own is None else x + own[i]
        batch.norms[i] = np.linalg.norm(whole, axis=1).sum(dtype=np.float64)
        if len(held_out):
            x, codes = x[held_out], codes[held_out]
            errors = coder.squared_error(x, codes)
            gap = np.full(1, np.nan)  # of codes that minimise nothing
            if isinstance(coder, SparseCoder):
                proved = slice(None, None, TOKENS_A_PROOF)
                limits = settings.penalty, settings.tol
                gap = proved_gap(coder, x[proved], codes[proved], *limits)
            batch.held_out[i].add(x, codes, errors, gap, whole[held_out])
    return batch


def _survey_batch(
    state: Survey,
    frame: pd.DataFrame,
    coded: _CodedBatch,
    kept: list[tuple[KeptCodes, np.ndarray]],
    occurrences: DrawnOccurrences,
) -> None:
    """Take a batch into the survey, and save the codes that later stages ask for.

    Those are the codes of ``kept`` windows, a folder for each choice of them, (windows,) bool, and
    of the occurrences of words that were drawn.
    """
    state.norms.add(coded.norms)
    for moments, batch_moments in zip(state.held_out, coded.held_out, strict=True):
        moments.merge(batch_moments)
    tokens = WindowTokens.of(frame)
    windows, positions = tokens.windows, tokens.positions
    state.add(coded.codes, windows, positions, tokens.words)
    for folder, chosen in kept:
        rows = np.flatnonzero(chosen[windows])
        folder.save(windows[rows], positions[rows], [c[rows] for c in coded.codes])
    occurrences.save(windows, positions, coded.codes)


def _write_survey(run: Run, state: Survey) -> None:
    """Write every table that follows from a survey."""
    m, n_layers = run.settings.factors, len(run.layers)
    factor = np.repeat(np.arange(m, dtype=np.int32), n_layers)
    layer = np.tile(np.asarray(run.layers, np.int16), m)
    importance = np.stack([s.importance() for s in state.states], axis=1)
    density = np.stack([s.active / state.tokens for s in state.states], axis=1)
    maximum = np.stack([s.maximum() for s in state.states], axis=1)
    values = {"importance": importance, "density": density, "maximum": maximum}
    write_table(
        run.folder,
        "importance.parquet",
        pa.table({"factor": factor, "layer": layer} | {k: v.ravel() for k, v in values.items()}),
    )
    counts = np.stack([s.histogram for s in state.states], axis=1).reshape(m * n_layers, -1)
    bins = pa.array(list(counts), pa.list_(pa.int32()))
    write_table(
        run.folder,
        "histograms.parquet",
        pa.table({"factor": factor, "layer": layer, "counts": bins}),
    )
    vocabulary = np.array(state.vocabulary, dtype=object)

    def write_examples(place: int) -> None:
        tables = _example_tables(state.states[place], vocabulary)
        write_table(run.folder, example_file(run.layers[place]), tables)

    list(ahead(write_examples, range(n_layers)))
    of_layers = zip(run.layers, state.contexts, state.states, strict=True)
    tables = [contexts.contexts_table(layer, top, s.examples()) for layer, top, s in of_layers]
    write_table(run.folder, "contexts.parquet", pa.concat_tables(tables))
    peak = levels.peak_layers(importance, run.layers)
    tables = [
        activation_sample.samples_table(sample, vocabulary, peak == int(sample.layer[0]))
        for sample in state.samples
    ]
    write_table(run.folder, "samples.parquet", pa.concat_tables(tables))
    write_words(run.folder, _word_table(run, state))


def _word_table(run: Run, state: Survey) -> pa.Table:
    """Return the word index of all layers; a name joins the words that differ in case alone."""
    # Not as an array of NumPy's: each word of one is as long as the longest.
    folded = [word.casefold() for word in state.vocabulary]
    names = sorted(set(folded))
    number_of = {name: number for number, name in enumerate(names)}
    of_word = np.array([number_of[name] for name in folded], np.int64)
    totals = np.bincount(of_word, state.word_totals).astype(np.int64)

    def list_words(layer_state: LayerSurvey) -> tuple[np.ndarray, ...]:
        return layer_state.words(of_word, totals)

    tables = []
    listed = ahead(list_words, state.states)
    for number, (_, (name, factors, count, mean)) in zip(run.layers, listed, strict=True):
        columns = {
            "word": pa.array(names, pa.string()).take(pa.array(name, pa.int64())),
            "factor": factors,
            "layer": np.full(len(name), number),
            "count": count,
            "mean_activation": rounded_down(mean, MEAN_BITS),
            "occurrences": totals[name],
        }
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _example_tables(state: LayerSurvey, vocabulary: np.ndarray) -> Iterator[pa.Table]:
    """Yield the rows of an example file, some factors a table; ``vocabulary`` is (words,)."""
    examples = state.examples()
    for first in range(0, len(state.active), FACTORS_A_WRITE):
        factors = list(islice(examples, FACTORS_A_WRITE))
        sizes = [len(windows) for windows, *_ in factors]
        windows, positions, words, values = map(np.concatenate, zip(*factors, strict=True))
        numbers = np.arange(first, first + len(factors), dtype=np.int32)
        columns = {
            "factor": np.repeat(numbers, sizes),
            "rank": ragged.spans(0, sizes).astype(np.int16),
            "window": windows,
            "position": positions,
            "word": pa.array(vocabulary[words], pa.string()),
            "activation": values,
        }
        yield pa.table(columns)


def _finite(value: float | None) -> float | None:
    """Return a number, or None for NaN, which JSON cannot hold."""
    return value if value is not None and np.isfinite(value) else None
