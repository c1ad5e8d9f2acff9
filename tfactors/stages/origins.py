"""Turns activations drawn at random of every factor into what the factor is made from.

The model is asked at the factor's peak layer, about the layer below it among those surveyed
(`tfactors.explain.factor_origins`). Each part that is done is kept, so that an interrupted run goes
on where it stopped.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfactors.binary_digits import rounded
from tfactors.bundle.format import SCHEMAS
from tfactors.bundle.writing import write_origins
from tfactors.explain.factor_origins import FACTORS_PER_CHUNK, measure_origins
from tfactors.explain.retention import chunks_of_factors
from tfactors.model.proof import cannot_run_on
from tfactors.stages.examples import make_parts, numbered_parts, peaks
from tfactors.stages.run import Run

ROUNDED, DIGITS = ("there", "before", "share", "spread"), 7


def find_origins(run: Run) -> dict[str, Any]:
    """Measure what every factor is made from, where that is asked for and can be."""
    number = run.settings.origin_examples
    if not number:
        return {"examples": 0}
    if why_not := _why_not(run):
        if run.ranks.leads:
            print(f"tfactors: {why_not}", file=sys.stderr, flush=True)
        return {"examples": 0}
    below = {layer: source for source, layer in pairwise(run.layers)}
    examples, encoder = _drawn_examples(run, number, below), run.encoder
    chunks = chunks_of_factors(examples, FACTORS_PER_CHUNK) if len(examples) else ()
    # Of another number of examples a run that goes on must not take over.
    parts = numbered_parts(run, f"origins_{number}", chunks)

    def measure(path: Path) -> pa.Table:
        part = parts[path]
        source = below[int(part["layer"].iloc[0])]
        found = measure_origins(encoder, part, run.files.windows, source)
        if found.empty:
            return SCHEMAS["origins"].empty_table()
        values = {name: rounded(found[name].to_numpy(np.float32), DIGITS) for name in ROUNDED}
        return pa.Table.from_pandas(found.assign(**values), SCHEMAS["origins"])

    make_parts(run, "origins", parts, measure)
    if not run.ranks.leads:
        return {}
    schema = SCHEMAS["origins"]
    tables = [pd.read_parquet(path, columns=schema.names) for path in parts]
    write_origins(run.folder, pd.concat([schema.empty_table().to_pandas(), *tables]))
    return {"examples": len(examples)}


def _why_not(run: Run) -> str:
    """Return in a line why nothing can be asked; "" where it can."""
    if not run.model.runs_on:
        return (
            f"{cannot_run_on(run.model.name)}; the bundle does not say what factors are made from"
        )
    if len(run.layers) == 1:
        return (
            "a single layer is surveyed; the bundle does not say what factors are made from "
            "further down"
        )
    return ""


def _drawn_examples(run: Run, number: int, below: dict[int, int]) -> pd.DataFrame:
    """Return activations of each factor at its peak layer, drawn from those that were at random.

    A factor that peaks at the lowest layer has nothing below it, and none.
    """
    peak, _ = peaks(run)
    frames = []
    for factor in np.flatnonzero(np.isin(peak, list(below))).tolist():
        sample = run.files.samples(factor, int(peak[factor]))
        random = np.random.default_rng([run.settings.seed, 7, factor])
        frames.append(sample.iloc[random.permutation(len(sample))[:number]])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
