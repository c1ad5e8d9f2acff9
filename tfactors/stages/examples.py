"""Turns the strongest examples of factors into what their activations need, and what they do.

These stages ask the model about examples of every factor at one layer. They keep each part that is
done, so that an interrupted run goes on where it stopped. What they measure is told in
`tfactors.describe.levels`, `tfactors.explain.saliency` and `tfactors.explain.effects`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfactors.bundle.format import LAYOUTS, SCHEMAS
from tfactors.bundle.reading import BundleReader
from tfactors.bundle.writing import write_table
from tfactors.describe import levels
from tfactors.explain import effects, retention
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.explanation import Explanation, Target
from tfactors.explain.saliency import explain_many
from tfactors.explain.saliency_settings import SaliencySettings
from tfactors.files import replacing
from tfactors.model.proof import cannot_run_on
from tfactors.parallel import ahead
from tfactors.stages.run import Run
from tfactors.stages.shares import sentence_shares, shares_at_peaks

# A map sees no further than its factor's reach, and at most so far: a text costs as its tokens, and
# occlusion reads as many texts as tokens, so that twice the radius costs four times as much.
# High-level factors keep some 64 % of their activation in 32 tokens each side. Fewer than 4 would
# leave nothing to see. An example without LIME is shown the last of the radii, whatever its level.
HIGH_RADIUS, OTHER_RADIUS, SMALLEST_RADIUS, OCCLUSION_RADIUS = 32, 16, 4, 12
# Factors explained together, so that texts of like length fill the model's batches.
FACTORS_A_PART = 16
# Factors whose examples are read together: those of tens of thousands would want gigabytes.
FACTORS_AT_ONCE = 4096


def measure_retention(run: Run) -> dict[str, Any]:
    """Measure what is left of each factor without its context, and what decides it."""
    examples = _peak_examples(run, run.settings.retention_examples)
    encoder = run.encoder
    parts = numbered_parts(run, "decided", retention.chunks_of_factors(examples))

    def measure(path: Path) -> pa.Table:
        measured = retention.retention(encoder, parts[path], run.files.windows)
        shares = sentence_shares(run, encoder, measured["factor"], measured["layer"])
        return pa.Table.from_pandas(measured.assign(sentence_share=np.asarray(shares, np.float32)))

    make_parts(run, "levels", parts, measure)
    if not run.ranks.leads:
        return {}
    tables = [pd.read_parquet(path) for path in parts]
    measured = pd.concat(tables).sort_values(["factor", "layer"], ignore_index=True)
    write_table(run.folder, "retention.parquet", retention.curve_rows(measured))
    peak, _ = peaks(run)
    measured = measured.drop(columns="curve").set_index("factor")
    with replacing(run.work / "retention.parquet") as temporary:
        measured.join(shares_at_peaks(run, peak), how="outer").to_parquet(temporary)
    return {"examples": len(examples)}


def numbered_parts(run: Run, name: str, parts: Iterable[pd.DataFrame]) -> dict[Path, pd.DataFrame]:
    """Return parts of the examples by the file that each one will be kept in."""
    folder = run.work / name
    folder.mkdir(exist_ok=True)
    return {folder / f"{number}.parquet": part for number, part in enumerate(parts)}


def make_parts(
    run: Run,
    stage: str,
    parts: dict[Path, pd.DataFrame],
    make_table: Callable[[Path], pa.Table],
) -> None:
    """Write the file of each part of the examples that an earlier run has not.

    All ranks share the work. Returns when every rank has written its own.

    Parameters
    ----------
    run : Run
        The build.
    stage : str
        Names the progress.
    parts : dict of Path to DataFrame
        Some examples by the file that they become.
    make_table : callable
        Turns the path of a part into the content of its file.
    """
    of_rank = list(parts)[run.ranks.rank :: run.ranks.size]
    missing = [path for path in of_rank if not path.exists()]
    total = sum(map(len, parts.values()))
    done = total - sum(len(parts[path]) for path in missing)
    with run.progress(total, stage, "example", done) as bar:
        for path, table in ahead(make_table, missing):
            with replacing(path) as temporary:
                pq.write_table(table, temporary)
            bar.update(len(parts[path]))
    run.ranks.wait()


def peaks(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return the peak layer of every factor (−1 for a dead one) and its importance there, (m,)."""
    importance = run.files.importance()["importance"].to_numpy().reshape(-1, len(run.layers))
    highest = importance.max(axis=1)
    return np.where(highest > 0, levels.peak_layers(importance, run.layers), -1), highest


def _peak_examples(run: Run, number: int) -> pd.DataFrame:
    """Return the strongest examples of every factor at its peak layer."""
    peak, _ = peaks(run)
    return _examples_at(run, peak, number)


def _examples_at(run: Run, layer: np.ndarray, number: int) -> pd.DataFrame:
    """Return the strongest examples of each factor at its layer (m,); of none where that is −1."""
    factors = np.flatnonzero(layer >= 0)
    return run.files.examples_of(factors.tolist(), layer[factors].tolist(), number)


def examples_at_peaks(
    files: BundleReader, peak: np.ndarray, top: int = 200
) -> Iterator[pd.DataFrame]:
    """Yield the strongest examples of living factors at their peak layers (m,), some at a time."""
    living = np.flatnonzero(peak >= 0).tolist()
    for first in range(0, len(living), FACTORS_AT_ONCE):
        factors = living[first : first + FACTORS_AT_ONCE]
        yield files.examples_of(factors, peak[factors].tolist(), top)


def explain_examples(run: Run) -> dict[str, Any]:
    """Explain the strongest examples by occlusion, and the first of them with LIME too.

    Occlusion has no chance in it, and within a factor's reach it is the cheaper of the two.
    """
    settings = run.settings
    factors = levels_of(run)
    examples = _examples_to_explain(run, factors.level, factors.retained["reach"])
    folder, encoder = run.work / "saliency", run.encoder
    folder.mkdir(exist_ok=True)
    groups = examples.groupby([examples["layer"], examples["factor"] // FACTORS_A_PART])
    parts = {folder / f"{layer}-{group}.parquet": part for (layer, group), part in groups}

    def explain(path: Path) -> pa.Table:
        return _saliency_table(run, encoder, parts[path])

    make_parts(run, "saliency", parts, explain)
    if not run.ranks.leads:
        return {}
    tables = [SCHEMAS["saliency"].empty_table(), *map(pq.read_table, parts)]
    joined = pa.concat_tables(tables).sort_by([(name, "ascending") for name in _SALIENCY_KEYS])
    write_table(run.folder, "saliency.parquet", joined)
    lime = joined.filter(pc.equal(joined["method"], "lime"))
    return {
        "method": "lime",
        "examples": len(examples),
        "lime": len(lime),
        "samples": settings.saliency_samples,
        "features": settings.saliency_features,
        "radius": {"high": HIGH_RADIUS, "other": OTHER_RADIUS, "occlusion": OCCLUSION_RADIUS},
        "score": _median(lime["score"]),
        "stability": _median(lime["stability"]),
        "agreement": _median(lime["agreement"]),
    }


_SALIENCY_KEYS = LAYOUTS["saliency"].keys


def _median(column: pa.ChunkedArray) -> float | None:
    values = column.to_numpy()
    return round(float(np.nanmedian(values)), 4) if np.isfinite(values).any() else None


def _examples_to_explain(run: Run, level: np.ndarray, reach: pd.Series) -> pd.DataFrame:
    """Return the examples to explain, the radius that is shown of each, and whether LIME runs."""
    settings = run.settings
    number = np.where(level == "high", settings.saliency_examples, settings.saliency_others)
    examples = _peak_examples(run, max(settings.saliency_examples, settings.saliency_others, 1))
    factor = examples["factor"].to_numpy()
    wanted = examples["rank"] < number[factor]
    lime = examples["rank"].to_numpy() < settings.saliency_lime
    with_lime = np.where(level[factor] == "high", HIGH_RADIUS, OTHER_RADIUS)
    most = np.where(lime, with_lime, OCCLUSION_RADIUS)
    needed = reach.to_numpy(np.float64, na_value=np.inf)[factor]
    radius = np.clip(needed, SMALLEST_RADIUS, most).astype(int)
    return examples.assign(radius=radius, lime=lime)[wanted]


def _saliency_table(run: Run, encoder: FactorEncoder, examples: pd.DataFrame) -> pa.Table:
    """Explain some examples; a row for each map, of columns as saliency.parquet has them."""
    settings = run.settings
    windows = run.files.windows(examples["window"].tolist())
    targets = [
        Target(window.token_ids, at.position, at.factor, at.layer, at.radius)
        for at, window in zip(examples.itertuples(), windows.itertuples(), strict=True)
    ]
    occluded = explain_many(encoder, targets, SaliencySettings("occlusion"))
    first = np.flatnonzero(examples["lime"]).tolist()
    by_lime = SaliencySettings(
        method="lime",
        samples=settings.saliency_samples,
        features=settings.saliency_features or None,
        seed=settings.seed,
    )
    fitted = explain_many(encoder, [targets[at] for at in first], by_lime)
    lime_of = dict(zip(first, fitted, strict=True))
    rows = []
    for at, (example, occlusion) in enumerate(zip(examples.itertuples(), occluded, strict=True)):
        lime = lime_of.get(at)
        agreement = lime.agreement(occlusion) if lime else float("nan")
        for explanation in (lime, occlusion):
            if explanation is not None:
                key = {"factor": example.factor, "layer": example.layer, "rank": example.rank}
                columns = _explanation_columns(explanation)
                rows.append(key | columns | {"seed": settings.seed, "agreement": agreement})
    return pa.Table.from_pylist(rows, schema=SCHEMAS["saliency"])


def _explanation_columns(explanation: Explanation) -> dict[str, Any]:
    """Return what saliency.parquet keeps of an explanation itself."""
    names = ("method", "weights", "samples", "errors", "activation", "stability")
    columns = {name: getattr(explanation, name) for name in names}
    return columns | {"score": float(np.nan_to_num(explanation.score))}


def measure_effects(run: Run) -> dict[str, Any]:
    """Measure what taking a factor away does to the sentence embedding, where that is asked for."""
    number, seed = run.settings.effect_examples, run.settings.seed
    if not number:
        return {"examples": 0}
    if not run.model.runs_on:
        if run.ranks.leads:
            said = f"{cannot_run_on(run.model.name)}; the bundle holds no effects"
            print(f"tfactors: {said}", file=sys.stderr, flush=True)
        return {"examples": 0}
    importance = run.files.importance()["importance"].to_numpy().reshape(-1, len(run.layers))
    layer = effects.layers_of_effect(importance, run.layers, run.model.blocks)
    examples = _examples_at(run, layer, number)
    encoder = run.encoder
    parts = numbered_parts(
        run, "effects", effects.chunks_of_examples(examples) if len(examples) else ()
    )

    def measure(path: Path) -> pa.Table:
        return pa.Table.from_pandas(
            effects.measure_effects(encoder, parts[path], run.files.windows, seed)
        )

    make_parts(run, "effects", parts, measure)
    if not run.ranks.leads:
        return {}
    schema = SCHEMAS["effects"]
    tables = [pd.read_parquet(path, columns=schema.names) for path in parts]
    measured = (
        pd.concat(tables).sort_values("factor") if tables else schema.empty_table().to_pandas()
    )
    table = pa.Table.from_pandas(measured, schema, preserve_index=False)
    write_table(run.folder, "effects.parquet", table)
    return {"examples": sum(map(len, parts.values())), "directions": effects.DIRECTIONS}


class FactorLevels(NamedTuple):
    """What is known of the m factors of a build once retention is measured."""

    level: np.ndarray  # (m,) "low", "mid", "high"; "" where it is dead or too seldom active
    peak: np.ndarray  # (m,) the peak layer, −1 of a dead factor
    depth: np.ndarray  # (m,) peak layer / blocks, NaN of a dead factor
    retained: pd.DataFrame  # m rows: word, sentence, reach, token_share, window_share …


def levels_of(run: Run) -> FactorLevels:
    """Return level, peak layer, depth and retained activations of every factor of a build."""
    peak, _ = peaks(run)
    depth = np.where(peak >= 0, levels.depths(peak, run.model.blocks), np.nan)
    retained = pd.read_parquet(run.work / "retention.parquet")
    retained = retained.reindex(np.arange(len(peak)))
    settings = run.settings
    thresholds = levels.Thresholds(
        settings.low_words, settings.window_share, settings.few_words_share
    )
    level = np.where(peak >= 0, levels.levels_of(retained, thresholds), "")
    return FactorLevels(level, peak, depth, retained)
