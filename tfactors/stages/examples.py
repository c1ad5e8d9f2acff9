"""The stages that ask the model about examples: what an activation needs, and what it does.

They take the strongest examples of every factor at one layer, and keep each part that is done, so
that an interrupted run goes on where it stopped. What they measure is told in
`tfactors.describe.levels`, `tfactors.explain.saliency` and `tfactors.explain.effects`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfactors.bundle.format import LAYOUTS, SCHEMAS
from tfactors.bundle.writing import write_table
from tfactors.describe import levels
from tfactors.explain import effects, elsewhere, retention, saliency
from tfactors.explain.encoder import FactorEncoder
from tfactors.files import replacing
from tfactors.parallel import ahead
from tfactors.stages.run import Run

# A map sees no further than its factor's reach, and at most so far: a text costs as its tokens, and
# occlusion reads as many texts as tokens, so that twice the radius costs four times as much.
# High-level factors keep some 64 % of their activation in 32 tokens each side. Fewer than 4 would
# leave nothing to see. An example without LIME is shown the last of the radii, whatever its level.
HIGH_RADIUS, OTHER_RADIUS, SMALLEST_RADIUS, OCCLUSION_RADIUS = 32, 16, 4, 12
# Factors explained together, so that texts of like length fill the model's batches.
FACTORS_A_PART = 16
# Other places of an example's word: a word stands in many texts, and a factor has few examples.
WORD_DRAWS = 2


def measure_retention(run: Run) -> dict[str, Any]:
    """Measure how much of each factor's activation is left without its context, and elsewhere."""
    examples = _peak_examples(run, run.settings.retention_examples)
    log, encoder = run.work / "retention", run.encoder
    log.mkdir(exist_ok=True)
    parts = {
        log / f"{i}.parquet": part for i, part in enumerate(retention.chunks_of_factors(examples))
    }

    @cache
    def places() -> elsewhere.WordPlaces:
        return elsewhere.WordPlaces(examples, run.files.windows, run.files.iter_windows())

    def measure(path: Path) -> pa.Table:
        part, windows, seed = parts[path], run.files.windows, run.settings.seed
        measured = retention.retention(encoder, part, windows)
        word = elsewhere.kept_by_the_word(encoder, part, windows, places(), WORD_DRAWS, seed)
        text = elsewhere.kept_elsewhere(
            encoder, part, windows, len(run.held_out), ("sentence",), seed=seed
        )
        more = {"word_elsewhere": word["word"], "sentence_elsewhere": text["sentence"]}
        return pa.Table.from_pandas(measured.assign(**more))

    _make_parts(run, "levels", parts, measure)
    if not run.ranks.leads:
        return {}
    tables = [pd.read_parquet(path) for path in parts]
    measured = pd.concat(tables).sort_values(["factor", "layer"], ignore_index=True)
    write_table(run.folder, "retention.parquet", retention.curve_rows(measured))
    measured["same_place"] = _same_place(run, measured["factor"], measured["layer"])
    with replacing(run.work / "retention.parquet") as temporary:
        measured.drop(columns="curve").to_parquet(temporary)
    return {"examples": len(examples)}


def _same_place(run: Run, factors: pd.Series, layers: pd.Series) -> list[float]:
    """Return the share of each factor's examples at the same place, of all that are kept."""
    windows = [frame["token_ids"].str.len() for frame in run.files.iter_windows()]
    lengths = pd.concat(windows).to_numpy()
    found = []
    for factor, layer in zip(factors, layers, strict=True):
        examples = run.files.examples(int(factor), int(layer), run.settings.examples)
        positions = examples["position"].to_numpy(np.int64)
        found.append(elsewhere.same_place(positions, lengths[examples["window"]]))
    return found


def _make_parts(
    run: Run, stage: str, parts: dict[Path, pd.DataFrame], make: Callable[[Path], pa.Table]
) -> None:
    """Make the file of each part of the examples that an earlier run has not, shared by all ranks.

    Returns when every rank has made its own.
    """
    mine = list(parts)[run.ranks.rank :: run.ranks.size]
    missing = [path for path in mine if not path.exists()]
    total = sum(map(len, parts.values()))
    done = total - sum(len(parts[path]) for path in missing)
    with run.progress(total, stage, "example", done) as bar:
        for path, made in ahead(make, missing):
            with replacing(path) as temporary:
                pq.write_table(made, temporary)
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
    frames = [run.files.examples(c, peak[c], number) for c in np.flatnonzero(peak >= 0).tolist()]
    return pd.concat(frames, ignore_index=True)


def explain_examples(run: Run) -> dict[str, Any]:
    """Explain the strongest examples by occlusion, and the first of them with LIME too.

    Occlusion has no chance in it, and within a factor's reach it is the cheaper of the two.
    """
    settings = run.settings
    level, _, _, kept = levels_of(run)
    examples = _to_explain(run, level, kept["reach"])
    log, encoder = run.work / "saliency", run.encoder
    log.mkdir(exist_ok=True)
    groups = examples.groupby([examples["layer"], examples["factor"] // FACTORS_A_PART])
    parts = {log / f"{layer}-{group}.parquet": part for (layer, group), part in groups}

    def explain(path: Path) -> pa.Table:
        return _explain(run, encoder, parts[path])

    _make_parts(run, "saliency", parts, explain)
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


def _to_explain(run: Run, level: np.ndarray, reach: pd.Series) -> pd.DataFrame:
    """Return the examples to explain, the radius that is shown of each, and whether LIME runs."""
    settings = run.settings
    number = np.where(level == "high", settings.saliency_examples, settings.saliency_others)
    examples = _peak_examples(run, max(settings.saliency_examples, settings.saliency_others, 1))
    factor = examples["factor"].to_numpy()
    wanted = (level[factor] != "") & (examples["rank"] < number[factor])
    lime = examples["rank"].to_numpy() < settings.saliency_lime
    with_lime = np.where(level[factor] == "high", HIGH_RADIUS, OTHER_RADIUS)
    most = np.where(lime, with_lime, OCCLUSION_RADIUS)
    needed = reach.to_numpy(np.float64, na_value=np.inf)[factor]
    radius = np.clip(needed, SMALLEST_RADIUS, most).astype(int)
    return examples.assign(radius=radius, lime=lime)[wanted]


def _explain(run: Run, encoder: FactorEncoder, examples: pd.DataFrame) -> pa.Table:
    settings = run.settings
    windows = run.files.windows(examples["window"].tolist())
    targets = [
        saliency.Target(window.token_ids, at.position, at.factor, at.layer, at.radius)
        for at, window in zip(examples.itertuples(), windows.itertuples(), strict=True)
    ]
    occluded = saliency.explain_many(encoder, targets, "occlusion")
    first = np.flatnonzero(examples["lime"]).tolist()
    fitted = saliency.explain_many(
        encoder,
        [targets[at] for at in first],
        "lime",
        settings.saliency_samples,
        settings.saliency_features or None,
        settings.seed,
    )
    lime_of = dict(zip(first, fitted, strict=True))
    rows = []
    for at, (example, occlusion) in enumerate(zip(examples.itertuples(), occluded, strict=True)):
        lime = lime_of.get(at)
        agreement = lime.agreement(occlusion) if lime else float("nan")
        for explained in (lime, occlusion):
            if explained is not None:
                rows.append({
                    "factor": example.factor, "layer": example.layer, "rank": example.rank,
                    "method": explained.method, "weights": explained.weights,
                    "score": float(np.nan_to_num(explained.score)), "samples": explained.samples,
                    "seed": settings.seed, "errors": explained.errors,
                    "activation": explained.activation, "stability": explained.stability,
                    "agreement": agreement,
                })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMAS["saliency"])


def measure_effects(run: Run) -> dict[str, Any]:
    """Measure what taking a factor away does to the sentence embedding, where that is asked for."""
    number, seed = run.settings.effect_examples, run.settings.seed
    if not number:
        return {"examples": 0}
    importance = run.files.importance()["importance"].to_numpy().reshape(-1, len(run.layers))
    at = effects.layers_of_effect(importance, run.layers, run.model.blocks)
    frames = [run.files.examples(c, at[c], number) for c in np.flatnonzero(at >= 0).tolist()]
    chunks = list(effects.parts(pd.concat(frames, ignore_index=True))) if frames else []
    log, encoder = run.work / "effects", run.encoder
    log.mkdir(exist_ok=True)
    parts = {log / f"{i}.parquet": part for i, part in enumerate(chunks)}

    def measure(path: Path) -> pa.Table:
        return pa.Table.from_pandas(effects.sizes(encoder, parts[path], run.files.windows, seed))

    _make_parts(run, "effects", parts, measure)
    if not run.ranks.leads:
        return {}
    schema = SCHEMAS["effects"]
    tables = [pd.read_parquet(path, columns=schema.names) for path in parts]
    measured = (
        pd.concat(tables).sort_values("factor") if tables else schema.empty_table().to_pandas()
    )
    table = pa.Table.from_pandas(measured, schema, preserve_index=False)
    write_table(run.folder, "effects.parquet", table)
    return {"examples": sum(map(len, chunks)), "directions": effects.DIRECTIONS}


def levels_of(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """Return level, peak layer and depth of every factor (m,), and its retained activations."""
    peak, _ = peaks(run)
    depth = np.where(peak >= 0, levels.depths(peak, run.model.blocks), np.nan)
    kept = pd.read_parquet(run.work / "retention.parquet").set_index("factor")
    kept = kept.reindex(np.arange(len(peak)))
    thresholds = levels.Thresholds(
        run.settings.low_depth, run.settings.word_share, run.settings.sentence_share
    )
    word = np.fmax(kept["word_elsewhere"], kept["same_place"])
    level = levels.classify(depth, word, kept["sentence_elsewhere"], thresholds)
    return level, peak, depth, kept
