"""The stages of a build: each streams what the one before it wrote, and writes its own tables.

Every function takes the run, writes its files whole or not at all, and returns what the manifest
will say of it. Random choices follow from the seed and the place in the stream alone, so that an
interrupted stage goes on to the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_array

from tfactors import activation_sample, contexts, corpus, hidden_states, levels, saliency, survey
from tfactors.bundle import SCHEMAS, example_file, write_dictionary, write_table, write_words
from tfactors.decomposition import FactorEncoder
from tfactors.dictionary import DictionaryLearner
from tfactors.dictionary_2021 import GradientLearner
from tfactors.held_out_codes import HeldOutCodes, chosen_windows
from tfactors.parallel import ahead
from tfactors.run import Checkpoint, Run, replacing
from tfactors.settings import Settings
from tfactors.shared_coding import SharedCoder
from tfactors.sparse_coding import duality_gap

# Windows that go through the model together, several batches side by side: 16 of 128 tokens stay
# in a core's cache.
WINDOWS_A_BATCH = 16
# Windows, and factors with their examples, that are written to disk together.
WINDOWS_A_WRITE = 1024
FACTORS_A_WRITE = 256
# The scale of a layer is estimated on this many windows: 30,000 norms that vary by some 10 % give
# their mean to 0.1 %.
SCALE_WINDOWS = 256
# A corpus of fewer documents holds out windows instead, else nothing or everything is held out.
DOCUMENTS_TO_HOLD_OUT = 20
HELD_OUT_SHARE = 0.05
# Windows whose states are shuffled together before the dictionary learns from them.
WINDOWS_A_SHUFFLE = 64
# Samples that the dictionary's running sums remember: long, so that the atoms settle.
MEMORY = 300_000
# LIME explains an activation in this much context each side, which halves the cost. It is a choice,
# not the whole story: high-level factors keep some 70 % of their activation there.
SALIENCY_RADIUS = 32


def check_corpora(settings: Settings) -> None:
    """Raise for a corpus that cannot be read, before anything is written."""
    if not settings.corpora:
        raise corpus.CorpusError(
            "no corpus given; name a text file, a folder or a packaged corpus "
            f"({', '.join(corpus.PACKAGED)})"
        )
    for spec in settings.corpora:
        corpus.corpus_source(spec)
        next(iter(corpus.read_documents(spec, settings.column)))


def read_corpus(run: Run) -> dict[str, Any]:
    """Read the texts, cut them into windows, and choose what is held out."""
    settings = run.settings
    documents: list[dict[str, Any]] = []  # all that is kept of them: texts may be many
    lengths: list[int] = []
    counts = np.zeros(len(run.model.tokenizer), np.int64)
    length = min(settings.window_length, run.model.max_length)
    bar = run.progress(settings.max_tokens or None, "corpus", "token")  # type: ignore[arg-type]

    def batches() -> Iterator[pa.Table]:
        rows: list[corpus.Window] = []
        total, full = 0, False
        read = (corpus.read_documents(spec, settings.column) for spec in settings.corpora)
        for document in chain.from_iterable(read):
            tokens = 0
            for window in corpus.document_windows(
                len(documents), document.text, run.model.tokenizer, length
            ):
                full = 0 < settings.max_tokens < total + len(window.token_ids)
                if full:
                    break
                rows.append(window)
                tokens += len(window.token_ids)
                total += len(window.token_ids)
            if tokens:
                documents.append(_document_row(document, tokens))
                bar.update(tokens)
            while len(rows) >= WINDOWS_A_WRITE:
                yield _window_table(rows[:WINDOWS_A_WRITE], lengths, counts)
                del rows[:WINDOWS_A_WRITE]
            if full:
                break
        if rows:
            yield _window_table(rows, lengths, counts)

    with bar:
        write_table(run.folder, "windows.parquet", batches())
    if not lengths:
        raise corpus.CorpusError(
            f"{', '.join(settings.corpora)}: no text of at least {corpus.MIN_WINDOW} tokens; "
            "give more text"
        )
    held_out, rule = _hold_out(run, [d["held_out"] for d in documents], np.asarray(lengths))
    run.save_array("held_out", held_out)
    run.save_array("token_counts", counts)
    run.save_array("lengths", np.asarray(lengths, np.int32))
    columns = {
        "document": list(range(len(documents))),
        "source": [d["source"] for d in documents],
        "title": [d["title"] for d in documents],
        "year": pa.array([d["year"] for d in documents], pa.int16()),
        "held_out": [rule == "documents" and d["held_out"] for d in documents],
        "tokens": [d["tokens"] for d in documents],
    }
    write_table(run.folder, "documents.parquet", pa.table(columns))
    sources = []
    for spec in settings.corpora:
        source = corpus.corpus_source(spec)
        mine = [d["tokens"] for d in documents if d["source"] == source.name]
        sources.append({**vars(source), "documents": len(mine), "tokens": sum(mine)})
    return {
        "sources": sources,
        "documents": len(documents),
        "windows": len(lengths),
        "tokens": int(sum(lengths)),
        "window_length": length,
        "held_out": rule,
        "held_out_tokens": int(np.asarray(lengths)[held_out].sum()),
    }


def _document_row(document: corpus.Document, tokens: int) -> dict[str, Any]:
    row = {name: getattr(document, name) for name in ("source", "title", "year", "held_out")}
    return row | {"tokens": tokens}


def _window_table(rows: list[corpus.Window], lengths: list[int], counts: np.ndarray) -> pa.Table:
    first = len(lengths)
    lengths += [len(w.token_ids) for w in rows]
    np.add.at(counts, np.concatenate([w.token_ids for w in rows]), 1)
    columns = {
        "window": pa.array(range(first, first + len(rows)), pa.int32()),
        "document": pa.array([w.document for w in rows], pa.int32()),
        "start": pa.array([w.start for w in rows], pa.int32()),
        "tokens": pa.array([w.tokens for w in rows], pa.list_(pa.string())),
        "token_ids": pa.array([w.token_ids for w in rows], pa.list_(pa.int32())),
        "word_starts": pa.array([w.word_starts for w in rows], pa.list_(pa.bool_())),
    }
    return pa.table(columns)


def _hold_out(run: Run, documents: list[bool], lengths: np.ndarray) -> tuple[np.ndarray, str]:
    """Choose the windows kept for evaluation: those of held-out documents, or some of all."""
    if len(documents) >= DOCUMENTS_TO_HOLD_OUT:
        chosen = np.array(documents)
        of_window = np.concatenate([f["document"].to_numpy() for f in run.files.iter_windows()])
        held_out = chosen[of_window]
        if 0.01 < lengths[held_out].sum() / lengths.sum() < 0.2:
            return held_out, "documents"
    number = max(1, round(HELD_OUT_SHARE * len(lengths))) if len(lengths) > 1 else 0
    held_out = np.zeros(len(lengths), bool)
    held_out[np.random.default_rng([run.settings.seed, 0]).permutation(len(lengths))[:number]] = (
        True
    )
    return held_out, "windows"


def estimate_scale(run: Run) -> dict[str, Any]:
    """Measure each layer's mean norm on some windows, and choose its scale."""
    if run.settings.scale == "none":
        return {"scale": [1.0] * len(run.layers), "tokens": 0}
    windows = np.flatnonzero(~run.held_out)
    windows = np.random.default_rng([run.settings.seed, 1]).permutation(windows)[:SCALE_WINDOWS]
    norms, tokens = np.zeros(len(run.layers)), 0

    def measure(token_ids: list[np.ndarray]) -> tuple[np.ndarray, int]:
        states = run.model.hidden_states(token_ids, run.layers)
        return np.linalg.norm(states, axis=2).sum(axis=1, dtype=np.float64), states.shape[1]

    for _, (more, rows) in ahead(measure, _token_ids(run, windows)):
        norms += more
        tokens += rows
    scale = hidden_states.layer_scales(norms / tokens, run.model.width)
    return {"scale": scale.astype(np.float32).tolist(), "tokens": tokens}


def _token_ids(run: Run, windows: np.ndarray) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(windows), WINDOWS_A_BATCH):
        yield list(run.files.windows(windows[start : start + WINDOWS_A_BATCH])["token_ids"])


def learn_dictionary(run: Run) -> dict[str, Any]:
    """Learn the dictionary on a shuffled stream of all layers' states, or import one.

    The ranks take turns in reading a stretch of it through the model, each one ahead of its turn,
    and code every batch together; then all of them do the same update.
    """
    if run.settings.dictionary:
        from tfactors.importing import import_stage  # which builds with these stages

        return run.ranks.lead(partial(import_stage, run))
    settings, checkpoint, ranks = run.settings, Checkpoint(run, "dictionary"), run.ranks
    lengths = run.load_array("lengths")
    rare = 1.0 / np.sqrt(np.maximum(run.load_array("token_counts"), 1))
    order = []
    for epoch in range(settings.epochs):
        windows = np.flatnonzero(~run.held_out)
        windows = np.random.default_rng([settings.seed, 2, epoch]).permutation(windows)
        if settings.training_tokens:
            until = np.searchsorted(np.cumsum(lengths[windows]), settings.training_tokens)
            windows = windows[: until + 1]
        order.append(windows)
    stream = np.concatenate(order)
    learner = _learner(run, checkpoint.path)
    chunks = range(0, len(stream), WINDOWS_A_SHUFFLE)
    total = int(lengths[stream].sum()) * len(run.layers)
    first = checkpoint.step
    done = int(lengths[stream[: first * WINDOWS_A_SHUFFLE]].sum()) * len(run.layers)

    def read(step: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = stream[chunks[step] : chunks[step] + WINDOWS_A_SHUFFLE]
        token_ids = list(run.files.windows(chosen)["token_ids"])
        states = run.states(token_ids).reshape(-1, run.model.width)
        weights = np.tile(rare[np.concatenate(token_ids)], len(run.layers)).astype(np.float32)
        shuffle = np.random.default_rng([settings.seed, 3, step]).permutation(len(states))
        return states[shuffle], weights[shuffle]

    mine = ahead(read, range(first + ranks.rank, len(chunks), ranks.size), threads=1)
    with run.progress(total, "dictionary", "state", done) as bar, closing(mine):
        for step in range(first, len(chunks)):
            reader = (step - first) % ranks.size
            count = int(lengths[stream[chunks[step] :][:WINDOWS_A_SHUFFLE]].sum()) * len(run.layers)
            if reader == ranks.rank:
                _, (states, weights) = next(mine)
            for part in np.array_split(np.arange(count), max(1, round(count / settings.batch))):
                batch = np.empty((len(part), run.model.width), np.float32)
                weight = np.empty(len(part), np.float32)
                if reader == ranks.rank:
                    batch, weight = states[part], weights[part]
                batch, weight = ranks.broadcast(batch, reader), ranks.broadcast(weight, reader)
                learner.partial_fit(batch, sample_weight=weight if settings.damping else None)
            bar.update(count)
            if ranks.leads:
                checkpoint.save_if_due(step + 1, learner.save)
    if ranks.leads:
        write_dictionary(run.folder, learner.components_)
        checkpoint.clear()
    return {"samples": total, "windows": len(stream)}


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
            run.layers, settings.factors, settings.importance_k, settings.examples
        )
    kept = chosen_windows(run.held_out, lengths, settings.seed)
    step, windows = checkpoint.step, np.arange(len(lengths))
    run.coder  # noqa: B018 - made once, before threads ask for it
    frames = (run.files.windows(windows[first:][:WINDOWS_A_BATCH]) for first in firsts[step:])
    with run.progress(tokens, "survey", "token", state.tokens) as bar:
        for frame, coded in ahead(partial(_code_batch, run), frames):
            before = state.tokens
            _survey_batch(state, frame, coded)
            _keep_held_out(run, frame, coded.codes, kept)
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
        with replacing(run.work / f"found.{run.ranks.rank}.npz") as temporary:
            state.save(temporary)
    run.ranks.wait()
    for rank in range(1, run.ranks.size) if run.ranks.leads else ():
        state.merge(survey.Survey.load(run.work / f"found.{rank}.npz"))
    return state


@dataclass
class _CodedBatch:
    """What the model and the solver make of some windows; a list has one entry a layer."""

    codes: list[csr_array]  # (tokens, m)
    norms: np.ndarray  # (layers,) sums of ‖x‖ over the tokens
    held_out: list[survey.Moments]


def _code_batch(run: Run, frame: Any) -> _CodedBatch:
    """Run the model over some windows and solve every code; threads may share the run."""
    settings = run.settings
    states = run.states(list(frame["token_ids"]))
    sizes = np.array([len(t) for t in frame["token_ids"]])
    held_out = np.flatnonzero(np.repeat(run.held_out[frame["window"].to_numpy()], sizes))
    batch = _CodedBatch([], np.empty(len(states)), [survey.Moments() for _ in states])
    for i, x in enumerate(states):
        codes = run.coder.encode(x, settings.penalty, settings.tol)
        batch.codes.append(codes)
        batch.norms[i] = np.linalg.norm(x, axis=1).sum(dtype=np.float64)
        if len(held_out):
            x, codes = x[held_out], codes[held_out]
            errors = run.coder.squared_error(x, codes)
            gap = np.full(len(x), np.nan)  # of codes that minimise nothing
            if settings.coding == "solver":
                gap = duality_gap(x, run.coder.dictionary, codes, settings.penalty)
            batch.held_out[i].add(x, codes, errors, gap)
    return batch


def _survey_batch(state: survey.Survey, frame: Any, coded: _CodedBatch) -> None:
    state.norms.add(coded.norms)
    for moments, more in zip(state.held_out, coded.held_out, strict=True):
        moments.merge(more)
    sizes = np.array([len(t) for t in frame["token_ids"]])
    words = chain.from_iterable(
        corpus.words(tokens, starts)
        for tokens, starts in zip(frame["tokens"], frame["word_starts"], strict=True)
    )
    positions = np.concatenate([np.arange(n, dtype=np.int16) for n in sizes])
    windows = np.repeat(frame["window"].to_numpy(), sizes).astype(np.int32)
    state.add(coded.codes, windows, positions, list(words))


def _keep_held_out(run: Run, frame: Any, codes: list[csr_array], kept: np.ndarray) -> None:
    """Keep the codes of those windows of a batch that are ``kept``, (windows,) bool."""
    windows = frame["window"].to_numpy()
    sizes = [len(tokens) for tokens in frame["token_ids"]]
    rows = np.flatnonzero(np.repeat(kept[windows], sizes))
    positions = np.concatenate([np.arange(n, dtype=np.int16) for n in sizes])
    places = np.repeat(windows, sizes).astype(np.int32)[rows], positions[rows]
    HeldOutCodes.of(run).save(*places, [of_layer[rows] for of_layer in codes])


def _write_survey(run: Run, state: survey.Survey) -> None:
    m, n_layers = run.settings.factors, len(run.layers)
    factor = np.repeat(np.arange(m, dtype=np.int32), n_layers)
    layer = np.tile(np.asarray(run.layers, np.int16), m)
    importance = np.stack([s.importance() for s in state.states], axis=1)
    density = np.stack([s.active / state.tokens for s in state.states], axis=1)
    maximum = np.stack([s.maximum() for s in state.states], axis=1)
    values = {"importance": importance, "density": density, "maximum": maximum}
    write_table(run.folder, "importance.parquet", pa.table(
        {"factor": factor, "layer": layer} | {k: v.ravel() for k, v in values.items()}
    ))  # fmt: skip
    counts = np.stack([s.histogram for s in state.states], axis=1).reshape(m * n_layers, -1)
    bins = pa.array(list(counts), pa.list_(pa.int32()))
    write_table(run.folder, "histograms.parquet", pa.table(
        {"factor": factor, "layer": layer, "counts": bins}
    ))  # fmt: skip
    vocabulary = np.array(state.vocabulary, dtype=object)
    for number, layer_state in zip(run.layers, state.states, strict=True):
        write_table(run.folder, example_file(number), _example_tables(layer_state, vocabulary))
    of_layers = zip(run.layers, state.contexts, state.states, strict=True)
    rows = [contexts.table(layer, kept, s.examples()) for layer, kept, s in of_layers]
    write_table(run.folder, "contexts.parquet", pa.concat_tables(rows))
    peak = levels.peak_layers(importance, run.layers)
    rows = [activation_sample.table(s, vocabulary, peak == int(s.layer[0])) for s in state.samples]
    write_table(run.folder, "samples.parquet", pa.concat_tables(rows))
    names, of_word = np.unique([w.casefold() for w in state.vocabulary], return_inverse=True)
    totals = np.bincount(of_word, state.word_totals).astype(np.int64)
    tables = []
    for number, layer_state in zip(run.layers, state.states, strict=True):
        name, factors, count, mean = layer_state.words(of_word, totals)
        columns = {
            "word": pa.array(names)[0:0] if not len(name) else pa.array(names).take(pa.array(name)),
            "factor": factors, "layer": np.full(len(name), number), "count": count,
            "mean_activation": mean, "occurrences": totals[name],
        }  # fmt: skip
        tables.append(pa.table(columns))
    write_words(run.folder, pa.concat_tables(tables))


def _example_tables(state: survey.LayerSurvey, vocabulary: np.ndarray) -> Iterator[pa.Table]:
    """Tables of many factors each: a small one for every factor costs more than its rows."""
    found = state.examples()
    for first in range(0, len(state.active), FACTORS_A_WRITE):
        factors = list(islice(found, FACTORS_A_WRITE))
        sizes = [len(windows) for windows, *_ in factors]
        windows, positions, words, values = map(np.concatenate, zip(*factors, strict=True))
        numbers = np.arange(first, first + len(factors), dtype=np.int32)
        columns = {
            "factor": np.repeat(numbers, sizes),
            "rank": np.concatenate([np.arange(size, dtype=np.int16) for size in sizes]),
            "window": windows,
            "position": positions,
            "word": pa.array(vocabulary[words], pa.string()),
            "activation": values,
        }
        yield pa.table(columns)


def measure_retention(run: Run) -> dict[str, Any]:
    """Measure how much of each factor's activation is left when its context is cut away."""
    examples = _peak_examples(run, run.settings.retention_examples)
    log, encoder = run.work / "retention", run.encoder
    log.mkdir(exist_ok=True)
    parts = {
        log / f"{i}.parquet": part for i, part in enumerate(levels.chunks_of_factors(examples))
    }
    missing = _mine(run, parts)

    def measure(path: Path) -> pd.DataFrame:
        return levels.retention(encoder, parts[path], run.files.windows)

    done = len(examples) - sum(len(parts[path]) for path in missing)
    with run.progress(len(examples), "levels", "example", done) as bar:
        for path, measured in ahead(measure, missing):
            with replacing(path) as temporary:
                measured.to_parquet(temporary)
            bar.update(len(parts[path]))
    run.ranks.wait()
    if not run.ranks.leads:
        return {}
    tables = [pd.read_parquet(path) for path in parts]
    measured = pd.concat(tables).sort_values(["factor", "layer"], ignore_index=True)
    write_table(run.folder, "retention.parquet", levels.curve_rows(measured))
    with replacing(run.work / "retention.parquet") as temporary:
        measured.drop(columns="curve").to_parquet(temporary)
    return {"examples": len(examples)}


def _mine(run: Run, files: Iterable[Path]) -> list[Path]:
    """Return the files that this rank has to make and that an earlier run has not made."""
    return [path for path in list(files)[run.ranks.rank :: run.ranks.size] if not path.exists()]


def _importance(run: Run) -> np.ndarray:
    """Return the importance of every factor at every layer, (m, layers)."""
    return run.files.importance()["importance"].to_numpy().reshape(-1, len(run.layers))


def _peak_examples(run: Run, number: int) -> pd.DataFrame:
    """Return the strongest examples of every factor at its peak layer."""
    importance = _importance(run)
    peak = levels.peak_layers(importance, run.layers)
    alive = importance.max(axis=1) > 0
    frames = [run.files.examples(c, peak[c], number) for c in np.flatnonzero(alive).tolist()]
    return pd.concat(frames, ignore_index=True)


def explain_examples(run: Run) -> dict[str, Any]:
    """Explain the strongest examples of the high-level factors with LIME."""
    settings = run.settings
    high = np.flatnonzero(_levels(run)[0] == "high")
    examples = _peak_examples(run, settings.saliency_examples)
    examples = examples[examples["factor"].isin(high)]
    if not settings.saliency_examples:
        examples = examples.iloc[:0]
    log, encoder = run.work / "saliency", run.encoder
    log.mkdir(exist_ok=True)
    parts = {log / f"{factor}.parquet": part for factor, part in examples.groupby("factor")}
    missing = _mine(run, parts)

    def explain(path: Path) -> pa.Table:
        return _explain(run, encoder, parts[path])

    done = len(examples) - sum(len(parts[path]) for path in missing)
    with run.progress(len(examples), "saliency", "example", done) as bar:
        for path, explained in ahead(explain, missing):
            with replacing(path) as temporary:
                pq.write_table(explained, temporary)
            bar.update(len(parts[path]))
    run.ranks.wait()
    if not run.ranks.leads:
        return {}
    tables = [SCHEMAS["saliency"].empty_table(), *map(pq.read_table, parts)]
    write_table(run.folder, "saliency.parquet", pa.concat_tables(tables))
    return {
        "method": "lime",
        "examples": len(examples),
        "samples": settings.saliency_samples,
        "features": settings.saliency_features,
        "radius": SALIENCY_RADIUS,
    }


def _explain(run: Run, encoder: FactorEncoder, examples: pd.DataFrame) -> pa.Table:
    rows = []
    windows = run.files.windows(examples["window"].tolist())
    for example, window in zip(examples.itertuples(), windows.itertuples(), strict=True):
        found = saliency.explain_window(
            encoder, window.token_ids, example.position, example.factor, example.layer,
            samples=run.settings.saliency_samples, features=run.settings.saliency_features,
            seed=run.settings.seed, radius=SALIENCY_RADIUS,
        )  # fmt: skip
        rows.append({
            "factor": example.factor, "layer": example.layer, "rank": example.rank,
            "method": found.method, "weights": found.weights, "score": found.score,
            "samples": found.samples, "seed": run.settings.seed,
        })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMAS["saliency"])


def _levels(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """Return level, peak layer and depth of every factor (m,), and its retained activations."""
    importance = _importance(run)
    alive = importance.max(axis=1) > 0
    peak = np.where(alive, levels.peak_layers(importance, run.layers), -1)
    depth = np.where(alive, levels.depths(peak, run.model.blocks), np.nan)
    kept = pd.read_parquet(run.work / "retention.parquet").set_index("factor")
    kept = kept.reindex(np.arange(len(importance)))
    level = levels.classify(
        depth, kept["sentence"], run.settings.low_depth, run.settings.sentence_share
    )
    return level, peak, depth, kept


def describe_factors(run: Run) -> dict[str, Any]:
    """Bring together what is known of each factor: label, level, words."""
    level, peak, depth, kept = _levels(run)
    labels, places = pd.read_parquet(run.work / "labels.parquet"), run.load_array("map")
    columns = {
        "factor": np.arange(len(peak), dtype=np.int32),
        "label": labels["label"].tolist(),
        "level": level.tolist(),
        "peak_layer": peak.astype(np.int16),
        "depth": depth,
        "retained_word": pa.array(kept["word"], pa.float32(), from_pandas=True),
        "retained_sentence": pa.array(kept["sentence"], pa.float32(), from_pandas=True),
        "reach": pa.array(kept["reach"], pa.int16(), from_pandas=True),
        "words": pa.array(labels["words"], pa.list_(pa.string())),
        "alive": peak >= 0,
        "stability": pa.nulls(len(peak), pa.float32()),
        "label_kind": labels["kind"].tolist(),
        "label_precision": labels["precision"].to_numpy(),
        "label_recall": labels["recall"].to_numpy(),
        "map_x": places[:, 0],
        "map_y": places[:, 1],
    }
    write_table(run.folder, "factors.parquet", pa.table(columns))
    return {"levels": {name: int((level == name).sum()) for name in ("low", "mid", "high")}}


def _finite(value: float | None) -> float | None:
    """NaN, which JSON cannot hold, as None."""
    return value if value is not None and np.isfinite(value) else None
