"""Turns texts into windows, and the states of some windows into a scale for each layer.

These are the first stages of a build. Every stage takes the run, writes its files whole or not at
all, and returns what the manifest will say of it.

    scale of layer l = √d / mean ‖x_l‖
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfactors.bundle.writing import write_table
from tfactors.model.hidden_states import layer_scales
from tfactors.parallel import ahead
from tfactors.stages.run import Run
from tfactors.stages.settings import Settings
from tfactors.text import packaged_corpora
from tfactors.text.documents import Document, left_out_line
from tfactors.text.lines import CorpusError
from tfactors.text.windows import (
    MIN_WINDOW,
    Window,
    corpus_source,
    document_windows,
    held_out_windows,
    read_documents,
)

if TYPE_CHECKING:
    from tqdm import tqdm

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
    """Raise for a corpus that cannot be read, before anything is written.

    Raises
    ------
    CorpusError
        No corpus is named, or one of them is missing or holds no document.
    """
    if not settings.corpora:
        raise CorpusError(
            "no corpus given; name a text file, a folder or a packaged corpus "
            f"({', '.join(packaged_corpora.PACKAGED)})"
        )
    for spec in settings.corpora:
        corpus_source(spec)
        next(iter(read_documents(spec, settings.column)))


class CorpusReader:
    """Turns the texts of a build into windows, and keeps the little that later stages need.

    Texts may be many: of those that were read only the attributes stay in memory. They are whole
    when the last table has been taken.

    Parameters
    ----------
    settings : Settings
        Name the corpora, and how many tokens of them are read at most.
    tokenizer : Any
        The model's.
    window_length : int
        The largest window, in tokens.

    Attributes
    ----------
    documents : list of dict
        Of each document with a window: source, title, year, held_out, and tokens.
    lengths : list of int
        The tokens of each window.
    token_counts : (vocabulary,) int64
        How often each token occurs, by its id.
    left_out : list of Counter
        Of each corpus how many files of which kind were not read.
    """

    def __init__(self, settings: Settings, tokenizer: Any, window_length: int) -> None:
        self._settings, self._tokenizer, self._length = settings, tokenizer, window_length
        self.documents: list[dict[str, Any]] = []
        self.lengths: list[int] = []
        # Ids may have holes: the largest can be beyond the number of tokens.
        largest = max(tokenizer.get_vocab().values(), default=0)
        self.token_counts = np.zeros(max(len(tokenizer), largest + 1), np.int64)
        self.left_out = [Counter[str]() for _ in settings.corpora]

    def tables(self, bar: tqdm) -> Iterator[pa.Table]:
        """Yield the rows of windows.parquet, some windows a table; the bar counts their tokens."""
        windows = self._windows(bar)
        while batch := list(islice(windows, WINDOWS_A_WRITE)):
            first = len(self.lengths)
            self.lengths += [len(window.token_ids) for window in batch]
            np.add.at(self.token_counts, np.concatenate([w.token_ids for w in batch]), 1)
            yield _window_table(batch, first)

    def _windows(self, bar: tqdm) -> Iterator[Window]:
        """Yield the windows of all documents in order, up to the largest number of tokens."""
        settings, total = self._settings, 0
        texts = (
            read_documents(spec, settings.column, left_out)
            for spec, left_out in zip(settings.corpora, self.left_out, strict=True)
        )
        for document in chain.from_iterable(texts):
            tokens, full = 0, False
            number = len(self.documents)
            for window in document_windows(number, document.text, self._tokenizer, self._length):
                full = 0 < settings.max_tokens < total + len(window.token_ids)
                if full:
                    break
                tokens += len(window.token_ids)
                total += len(window.token_ids)
                yield window
            if tokens:
                self.documents.append(_document_row(document, tokens))
                bar.update(tokens)
            if full:
                return


def read_corpus(run: Run) -> dict[str, Any]:
    """Read the texts, cut them into windows, and choose what is held out."""
    settings = run.settings
    length = min(settings.window_length, run.model.max_length)
    reader = CorpusReader(settings, run.model.tokenizer, length)
    with run.progress(settings.max_tokens or None, "corpus", "token") as bar:
        write_table(run.folder, "windows.parquet", reader.tables(bar))
    for spec, left_out in zip(settings.corpora, reader.left_out, strict=True):
        if left_out:
            print(f"tfactors: {left_out_line(spec, left_out)}", file=sys.stderr, flush=True)
    if not reader.lengths:
        raise CorpusError(
            f"{', '.join(settings.corpora)}: no text of at least {MIN_WINDOW} tokens; "
            "give more text"
        )
    documents, lengths = pd.DataFrame(reader.documents), np.asarray(reader.lengths)
    held_out, rule = _hold_out(run, documents["held_out"].to_numpy(bool), lengths)
    run.save_array("held_out", held_out)
    run.save_array("token_counts", reader.token_counts)
    run.save_array("lengths", lengths.astype(np.int32))
    write_table(run.folder, "documents.parquet", _document_table(reader.documents, rule))
    sources = []
    for spec in settings.corpora:
        source = corpus_source(spec)
        tokens = documents.loc[documents["source"] == source.name, "tokens"]
        sources.append({**vars(source), "documents": len(tokens), "tokens": int(tokens.sum())})
    return {
        "sources": sources,
        "documents": len(documents),
        "windows": len(lengths),
        "tokens": int(lengths.sum()),
        "window_length": length,
        "held_out": rule,
        "held_out_tokens": int(lengths[held_out].sum()),
    }


def _document_row(document: Document, tokens: int) -> dict[str, Any]:
    row = {name: getattr(document, name) for name in ("source", "title", "year", "held_out")}
    return row | {"tokens": tokens}


def _document_table(documents: list[dict[str, Any]], rule: str) -> pa.Table:
    """Return the rows of documents.parquet; ``rule`` says whether documents are held out."""
    columns = {
        "document": list(range(len(documents))),
        "source": [d["source"] for d in documents],
        "title": [d["title"] for d in documents],
        "year": pa.array([d["year"] for d in documents], pa.int16()),
        "held_out": [rule == "documents" and d["held_out"] for d in documents],
        "tokens": [d["tokens"] for d in documents],
    }
    return pa.table(columns)


def _window_table(windows: list[Window], first: int) -> pa.Table:
    """Return the rows of windows.parquet of some windows, numbered from ``first``."""
    columns = {
        "window": pa.array(range(first, first + len(windows)), pa.int32()),
        "document": pa.array([w.document for w in windows], pa.int32()),
        "start": pa.array([w.start for w in windows], pa.int32()),
        "tokens": pa.array([w.tokens for w in windows], pa.list_(pa.string())),
        "token_ids": pa.array([w.token_ids for w in windows], pa.list_(pa.int32())),
        "word_starts": pa.array([w.word_starts for w in windows], pa.list_(pa.bool_())),
    }
    return pa.table(columns)


def _hold_out(run: Run, documents: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, str]:
    """Choose the windows kept for evaluation: those of held-out documents, or some of all.

    Parameters
    ----------
    run : Run
        The build, whose windows are written.
    documents : (documents,) bool
        Which documents their source holds out.
    lengths : (windows,) int
        The tokens of each window.

    Returns
    -------
    held_out : (windows,) bool
        Which windows are kept.
    rule : str
        "documents" or "windows": what was held out.
    """
    if len(documents) >= DOCUMENTS_TO_HOLD_OUT:
        document = np.concatenate([f["document"].to_numpy() for f in run.files.iter_windows()])
        held_out = documents[document]
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

    def sum_norms(token_ids: list[np.ndarray]) -> tuple[np.ndarray, int]:
        states = run.model.hidden_states(token_ids, run.layers)
        return np.linalg.norm(states, axis=2).sum(axis=1, dtype=np.float64), states.shape[1]

    for _, (batch_norms, batch_tokens) in ahead(sum_norms, _token_ids(run, windows)):
        norms += batch_norms
        tokens += batch_tokens
    scale = layer_scales(norms / tokens, run.model.width)
    return {"scale": scale.astype(np.float32).tolist(), "tokens": tokens}


def _token_ids(run: Run, windows: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield the token ids of some windows, a batch for the model at a time."""
    for start in range(0, len(windows), WINDOWS_A_BATCH):
        yield list(run.files.windows(windows[start : start + WINDOWS_A_BATCH])["token_ids"])
