"""Turns the contexts and the name of every factor into what a search by meaning asks.

A model that embeds sentences reads the words around the strongest examples of each factor at its
peak layer, and the factor's name: the bundle's own model where it is one, else MiniLM where its
package is installed. Of each embedding the signs are kept (`tfactors.describe.meanings`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfactors.bundle.format import SCHEMAS
from tfactors.bundle.passages import texts_around
from tfactors.bundle.reading import BundleReader
from tfactors.bundle.writing import write_table
from tfactors.describe.meanings import NAME, name_to_embed, packed
from tfactors.model.folder import MINILM_PACKAGE
from tfactors.model.sentence_encoder import SentenceEncoder, sentence_model
from tfactors.stages.examples import make_parts, numbered_parts, peaks
from tfactors.stages.run import Run

WORDS = 8  # of context on each side
FACTORS_A_PART = 200


def find_meanings(run: Run) -> dict[str, Any]:
    """Embed contexts and names, where that is asked for and there is a model that can."""
    number = run.settings.meaning_contexts
    if not number:
        return {}
    encoder = _sentence_encoder(run)
    if encoder is None:
        if run.ranks.leads:
            print(
                f"tfactors: {run.settings.model} embeds no sentences, and the package "
                f"{MINILM_PACKAGE} is not installed; the bundle cannot be searched by meaning",
                file=sys.stderr,
                flush=True,
            )
        return {}
    # Of another number of contexts a run that goes on must not take over.
    labels = pd.read_parquet(run.work / "labels.parquet")["label"].tolist()
    texts = meaning_texts(run.files, peaks(run)[0], labels, number)
    parts = numbered_parts(run, f"meanings_{number}", texts)
    make_parts(run, "meanings", parts, lambda path: embedded(encoder, parts[path]))
    if not run.ranks.leads:
        return {}
    tables = [pq.read_table(path, schema=SCHEMAS["meanings"]) for path in parts]
    empty = SCHEMAS["meanings"].empty_table()
    write_table(run.folder, "meanings.parquet", pa.concat_tables([empty, *tables]))
    model = encoder.model
    name = run.settings.shared().model if model.sha256 == run.model.sha256 else model.name
    return {"name": name, "sha256": model.sha256, "width": model.width, "words": WORDS}


def _sentence_encoder(run: Run) -> SentenceEncoder | None:
    """Return what embeds sentences for the run's model, or None."""
    name = sentence_model(run.settings.model)
    if name is None:
        return None
    if name == run.settings.model:
        return SentenceEncoder.of_model(run.model)
    return SentenceEncoder.load(name, run.ranks.device)


def meaning_texts(
    files: BundleReader, peak: np.ndarray, labels: Sequence[str], number: int
) -> Iterator[pd.DataFrame]:
    """Yield what is read of some factors at a time.

    Parameters
    ----------
    files : BundleReader
        The bundle, which needs examples and windows.
    peak : (m,) int
        Peak layers, -1 of dead factors, which are left out.
    labels : sequence of str
        Of each factor, "" where it has none.
    number : int
        Contexts a factor, at most.

    Yields
    ------
    DataFrame
        Columns factor, layer, rank (of the example, NAME of the name) and text, sorted by factor
        and rank.
    """
    alive = np.flatnonzero(peak >= 0).tolist()
    for first in range(0, len(alive), FACTORS_A_PART):
        factors = alive[first : first + FACTORS_A_PART]
        contexts = files.examples_of(factors, peak[factors].tolist(), number)
        contexts["text"] = texts_around(files, contexts, WORDS)
        names = pd.DataFrame({"factor": factors, "layer": peak[factors], "rank": NAME})
        names["text"] = [name_to_embed(labels[factor]) for factor in factors]
        both = pd.concat([contexts[names.columns], names[names["text"] != ""]])
        yield both.sort_values(["factor", "rank"], ignore_index=True)


def embedded(encoder: SentenceEncoder, rows: pd.DataFrame) -> pa.Table:
    """Return the rows of meanings.parquet of some texts, as `meaning_texts` yields them."""
    bits = packed(encoder.embed(rows["text"].tolist()))
    columns = {name: rows[name].to_numpy() for name in ("factor", "layer", "rank")}
    return pa.table(columns | {"bits": list(bits)}, SCHEMAS["meanings"])
