"""The first stages of a build: from texts to windows, and a scale for each layer.

Every function takes the run, writes its files whole or not at all, and returns what the manifest
will say of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from tfactors.bundle.writing import write_table
from tfactors.model import hidden_states
from tfactors.parallel import ahead
from tfactors.stages.run import Run
from tfactors.stages.settings import Settings
from tfactors.text import packaged_corpora
from tfactors.text import windows as corpus
from tfactors.text.documents import CorpusError, Document
from tfactors.text.windows import held_out_windows

# Windows that go through the model together, several batches side by side: 16 of 128 tokens stay
# in a core's cache.
WINDOWS_A_BATCH = 16
# Windows that are written to disk together.
WINDOWS_A_WRITE = 1024
# The scale of a layer is estimated on this many windows: 30,000 norms that vary by some 10 % give
# their mean to 0.1 %.
SCALE_WINDOWS = 256
# A corpus of fewer documents holds out windows instead, else nothing or everything is held out.
DOCUMENTS_TO_HOLD_OUT = 20


def check_corpora(settings: Settings) -> None:
    """Raise for a corpus that cannot be read, before anything is written."""
    if not settings.corpora:
        raise CorpusError(
            "no corpus given; name a text file, a folder or a packaged corpus "
            f"({', '.join(packaged_corpora.PACKAGED)})"
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
        raise CorpusError(
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


def _document_row(document: Document, tokens: int) -> dict[str, Any]:
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
    return held_out_windows(len(lengths), run.settings.seed), "windows"


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
