"""Turns the tables of the survey and its held-out codes into what is said of each factor.

The stages find the factors and the tokens of the vocabulary near a factor. Each takes the run,
writes its table or keeps its columns for factors.parquet, and returns what the manifest will say of
it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfactors.bundle.writing import write_table
from tfactors.describe import neighbours, vocabulary
from tfactors.model.language_head import language_head
from tfactors.stages.examples import levels_of, peaks
from tfactors.stages.kept_codes import KeptCodes
from tfactors.stages.run import Run
from tfactors.stages.stability import stability_of

# What decides whether a factor fires.
DECIDING = (
    *("token_share", "window_share", "sentence_share"),
    *("effective_words", "effective_windows"),
)


def find_neighbours(run: Run) -> dict[str, Any]:
    """Write the factors nearest to each factor, by atom and by firing together."""
    m, codes = run.settings.factors, KeptCodes.of_held_out(run)
    peak, _ = peaks(run)
    others, cosines = neighbours.nearest_atoms(run.files.dictionary)
    tables = [neighbours.table("cosine", np.arange(m), others, cosines)]
    for i, layer in enumerate(run.layers):
        of_layer = np.flatnonzero(peak == layer)
        others, correlations = neighbours.firing_together(codes.codes(i, m), of_layer)
        tables.append(neighbours.table("together", of_layer, others, correlations))
    write_table(run.folder, "neighbours.parquet", pa.concat_tables(tables))
    return {"held_out_tokens": len(codes.places()[0])}


def find_vocabulary(run: Run) -> dict[str, Any]:
    """Write the tokens of the model's vocabulary that are near each factor."""
    tokens = vocabulary.readable_tokens(run.model.tokenizer, run.model.vocabulary)
    atoms = run.files.dictionary
    tables = vocabulary.near_input(atoms, run.model, tokens)
    head, saved_as = None, ""
    if run.layers[-1] == run.model.blocks:  # else nobody knows how long last states are
        head, saved_as = language_head(run.settings.model, run.ranks.device, run.model.dtype)
    if head:
        length = run.marker("survey")["notes"]["layers"][-1]["mean_norm"] / float(run.scale[-1])
        tables += vocabulary.near_logits(atoms, length, head, tokens)
    write_table(run.folder, "vocabulary.parquet", pa.concat_tables(tables))
    return {"tokens": run.model.vocabulary, "saved_as": saved_as, "logits": head is not None}


def describe_factors(run: Run) -> dict[str, Any]:
    """Bring together what is known of each factor: label, level, words."""
    level, peak, depth, retained = levels_of(run)
    labels, places = pd.read_parquet(run.work / "labels.parquet"), run.load_array("map")
    steady = np.where(peak >= 0, stability_of(run), np.nan)
    columns = {
        "factor": np.arange(len(peak), dtype=np.int32),
        "label": labels["label"].tolist(),
        "level": level.tolist(),
        "peak_layer": peak.astype(np.int16),
        "depth": depth,
        "retained_word": pa.array(retained["word"], pa.float32(), from_pandas=True),
        "retained_sentence": pa.array(retained["sentence"], pa.float32(), from_pandas=True),
        "reach": pa.array(retained["reach"], pa.int16(), from_pandas=True),
        **{name: pa.array(retained[name], pa.float32(), from_pandas=True) for name in DECIDING},
        "words": pa.array(labels["words"], pa.list_(pa.string())),
        "alive": peak >= 0,
        "stability": pa.array(steady, pa.float32(), from_pandas=True),
        "label_kind": labels["kind"].tolist(),
        "label_rule": labels["rule"].tolist(),
        "label_judge": labels["judge"].tolist(),
        "label_precision": labels["precision"].to_numpy(),
        "label_recall": labels["recall"].to_numpy(),
        "map_x": pa.array(places[:, 0], from_pandas=True),
        "map_y": pa.array(places[:, 1], from_pandas=True),
    }
    write_table(run.folder, "factors.parquet", pa.table(columns))
    return {"levels": {name: int((level == name).sum()) for name in ("low", "mid", "high")}}
