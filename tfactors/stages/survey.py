"""The stage that reads the whole corpus through the model once, and writes what was found.

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
import pyarrow as pa
from scipy.sparse import csr_array

from tfactors import ragged
from tfactors.bundle.format import CONTEXTS, example_file
from tfactors.bundle.writing import write_table, write_words
from tfactors.coding.sparse_coding import duality_gap
from tfactors.describe import levels
from tfactors.parallel import ahead
from tfactors.stages.corpus import WINDOWS_A_BATCH
from tfactors.stages.kept_codes import DrawnOccurrences, HeldOutCodes, chosen_windows
from tfactors.stages.run import Checkpoint, Run
from tfactors.survey import activation_sample, contexts, survey
from tfactors.survey.layer import LayerSurvey
from tfactors.survey.moments import Moments
from tfactors.survey.window_tokens import WindowTokens

# Held-out tokens of which one proves its codes in float64, which costs as much as solving them.
TOKENS_A_PROOF = 8
# Factors whose examples are written together: a table for each would cost more than its rows.
FACTORS_A_WRITE = 256


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
        state = survey.Survey.load(checkpoint.path)
    else:
        state = survey.Survey(
            run.layers,
            settings.factors,
            settings.importance_k,
            settings.examples,
            CONTEXTS,
        )
    kept = chosen_windows(run.held_out, lengths, settings.seed)
    step, windows = checkpoint.step, np.arange(len(lengths))
    occurrences = DrawnOccurrences(run)
    run.coder  # noqa: B018 - made once, before threads ask for it
    frames = (run.files.windows(windows[first:][:WINDOWS_A_BATCH]) for first in firsts[step:])
    with run.progress(tokens, "survey", "token", state.tokens) as bar:
        for frame, coded in ahead(partial(_code_batch, run), frames):
            before = state.tokens
            _survey_batch(run, state, frame, coded, kept, occurrences)
            bar.update(state.tokens - before)
            step += 1
            checkpoint.save_if_due(step, state.save)
    if ranks.size > 1:
        state = _merge_surveys(run, state)
    if not ranks.leads:
        return {}
    _write_survey(run, state)
    checkpoint.clear()
    active = np.array([s.active for s in state.states])
    held_out = state.held_out
    errors, variance = (sum(getattr(m, n) for m in held_out) for n in ("errors", "variance"))
    by_layer = [
        {
            "layer": layer,
            "l0": float(active[i].sum() / state.tokens),
            "explained_variance": held_out[i].explained_variance,
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
        "held_out_tokens": held_out[0].tokens,
        "layers": [{k: _finite(v) for k, v in row.items()} for row in by_layer],
    }


def _merge_surveys(run: Run, state: survey.Survey) -> survey.Survey:
    """Return the survey of all ranks on rank 0, one after the other by way of the disk."""
    if not run.ranks.leads:
        for layer in state.states:
            layer.pack()
        state.save(run.work / f"found.{run.ranks.rank}.npz")  # for rank 0, which reads it now
    run.ranks.wait()
    for rank in range(1, run.ranks.size) if run.ranks.leads else ():
        state.merge(survey.Survey.load(run.work / f"found.{rank}.npz"))
    return state


@dataclass
class _CodedBatch:
    """What the model and the solver make of some windows; a list has one entry a layer."""

    codes: list[csr_array]  # (tokens, m)
    norms: np.ndarray  # (layers,) sums of ‖x‖ over the tokens
    held_out: list[Moments]


def _code_batch(run: Run, frame: Any) -> _CodedBatch:
    """Run the model over some windows and solve every code; threads may share the run."""
    settings = run.settings
    states = run.states(list(frame["token_ids"]))
    sizes = np.array([len(t) for t in frame["token_ids"]])
    held_out = np.flatnonzero(np.repeat(run.held_out[frame["window"].to_numpy()], sizes))
    batch = _CodedBatch([], np.empty(len(states)), [Moments() for _ in states])
    for i, x in enumerate(states):
        codes = run.coder.encode(x, settings.penalty, settings.tol)
        batch.codes.append(codes)
        batch.norms[i] = np.linalg.norm(x, axis=1).sum(dtype=np.float64)
        if len(held_out):
            x, codes = x[held_out], codes[held_out]
            errors = run.coder.squared_error(x, codes)
            gap = np.full(1, np.nan)  # of codes that minimise nothing
            if settings.coding == "solver":
                some = slice(None, None, TOKENS_A_PROOF)
                gap = duality_gap(x[some], run.coder.dictionary, codes[some], settings.penalty)
            batch.held_out[i].add(x, codes, errors, gap)
    return batch


def _survey_batch(
    run: Run,
    state: survey.Survey,
    frame: Any,
    coded: _CodedBatch,
    kept: np.ndarray,
    occurrences: DrawnOccurrences,
) -> None:
    """Take in a batch, and keep the codes of those windows that are ``kept``, (windows,) bool,
    and of the occurrences of words that were drawn.
    """
    state.norms.add(coded.norms)
    for moments, more in zip(state.held_out, coded.held_out, strict=True):
        moments.merge(more)
    tokens = WindowTokens.of(frame)
    windows, positions = tokens.windows, tokens.positions
    state.add(coded.codes, windows, positions, tokens.words)
    rows = np.flatnonzero(kept[windows])
    HeldOutCodes.of(run).save(windows[rows], positions[rows], [c[rows] for c in coded.codes])
    occurrences.save(windows, positions, coded.codes)


def _write_survey(run: Run, state: survey.Survey) -> None:
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

    def list_words(layer_state: LayerSurvey) -> tuple[np.ndarray, ...]:
        return layer_state.words(of_word, totals)

    list(ahead(write_examples, range(n_layers)))
    of_layers = zip(run.layers, state.contexts, state.states, strict=True)
    rows = [contexts.table(layer, kept, s.examples()) for layer, kept, s in of_layers]
    write_table(run.folder, "contexts.parquet", pa.concat_tables(rows))
    peak = levels.peak_layers(importance, run.layers)
    rows = [activation_sample.table(s, vocabulary, peak == int(s.layer[0])) for s in state.samples]
    write_table(run.folder, "samples.parquet", pa.concat_tables(rows))
    names, of_word = np.unique([w.casefold() for w in state.vocabulary], return_inverse=True)
    totals = np.bincount(of_word, state.word_totals).astype(np.int64)
    tables = []
    listed = ahead(list_words, state.states)
    for number, (_, (name, factors, count, mean)) in zip(run.layers, listed, strict=True):
        columns = {
            "word": pa.array(names)[0:0] if not len(name) else pa.array(names).take(pa.array(name)),
            "factor": factors,
            "layer": np.full(len(name), number),
            "count": count,
            "mean_activation": mean,
            "occurrences": totals[name],
        }
        tables.append(pa.table(columns))
    write_words(run.folder, pa.concat_tables(tables))


def _example_tables(state: LayerSurvey, vocabulary: np.ndarray) -> Iterator[pa.Table]:
    found = state.examples()
    for first in range(0, len(state.active), FACTORS_A_WRITE):
        factors = list(islice(found, FACTORS_A_WRITE))
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
    """NaN, which JSON cannot hold, as None."""
    return value if value is not None and np.isfinite(value) else None
