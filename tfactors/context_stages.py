"""The stages that ask what an activation needs of its context: levels, and LIME.

Both take the strongest examples of every factor at its peak layer, and keep each part that is done,
so that an interrupted run goes on where it stopped. What they measure is told in `tfactors.levels`
and `tfactors.saliency`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfactors import levels, saliency
from tfactors.bundle import SCHEMAS, write_table
from tfactors.decomposition import FactorEncoder
from tfactors.parallel import ahead
from tfactors.run import Run, replacing

# LIME explains an activation in this much context each side, which halves the cost. It is a choice,
# not the whole story: high-level factors keep some 70 % of their activation there.
SALIENCY_RADIUS = 32


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


def peaks(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return the peak layer of every factor (−1 for a dead one) and its importance there, (m,)."""
    importance = run.files.importance()["importance"].to_numpy().reshape(-1, len(run.layers))
    highest = importance.max(axis=1)
    return np.where(highest > 0, levels.peak_layers(importance, run.layers), -1), highest


def _peak_examples(run: Run, number: int) -> pd.DataFrame:
    """Return the strongest examples of every factor at its peak layer."""
    peak, _ = peaks(run)
    frames = [run.files.examples(c, peak[c], number) for c in np.flatnonzero(peak >= 0).tolist()]
    return pd.concat(frames, ignore_index=True)


def explain_examples(run: Run) -> dict[str, Any]:
    """Explain the strongest examples of the high-level factors with LIME."""
    settings = run.settings
    high = np.flatnonzero(levels_of(run)[0] == "high")
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


def levels_of(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """Return level, peak layer and depth of every factor (m,), and its retained activations."""
    peak, _ = peaks(run)
    depth = np.where(peak >= 0, levels.depths(peak, run.model.blocks), np.nan)
    kept = pd.read_parquet(run.work / "retention.parquet").set_index("factor")
    kept = kept.reindex(np.arange(len(peak)))
    level = levels.classify(
        depth, kept["sentence"], run.settings.low_depth, run.settings.sentence_share
    )
    return level, peak, depth, kept
