"""Turns atoms and the words of examples into a place on the map for each factor, and into regions.

The stage keeps the places for factors.parquet and writes regions.parquet: the parts of the map at
three zooms, with names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfactors.bundle import Bundle
from tfactors.bundle.format import SCHEMAS
from tfactors.bundle.writing import write_table
from tfactors.describe.factor_map import factor_map
from tfactors.describe.factor_texts import FactorTexts
from tfactors.describe.regions import Region, regions_of
from tfactors.describe.text_words import TextWords
from tfactors.stages.examples import examples_at_peaks, peaks
from tfactors.stages.run import Run

# Examples of a factor that say what it is about, each in a window of its own.
EXAMPLES_A_FACTOR = 80
# Windows that are read at most, some 5 million tokens: those that most examples stand in.
MOST_WINDOWS = 20_000


def map_factors(run: Run) -> dict[str, Any]:
    """Find a place on the map for each factor that lives, and regions; the dead have none."""
    peak, _ = peaks(run)
    living = np.flatnonzero(peak >= 0)
    places = np.full((len(peak), 2), np.nan, np.float32)
    regions: list[Region] = []
    if len(living):
        texts = texts_of(run.files, peak).part(living)
        with run.progress(len(living), "map", "factor") as bar:
            atoms = run.files.dictionary[living]
            places[living] = factor_map(atoms, run.settings.seed, texts, bar.update)
        regions = regions_of(places[living], texts, run.settings.seed)
    run.save_array("map", places)
    write_table(run.folder, "regions.parquet", table_of(regions, living))
    return {}


def texts_of(bundle: Bundle, peak: np.ndarray) -> FactorTexts:
    """Return the words of all factors by their examples at the peak layer, (m,), -1 if dead."""
    frames = []
    for frame in examples_at_peaks(bundle, peak):
        frame = frame.drop_duplicates(["factor", "window"])
        frames.append(frame.groupby("factor").head(EXAMPLES_A_FACTOR))
    examples = pd.concat(frames, ignore_index=True)
    windows, counts = np.unique(examples["window"], return_counts=True)
    windows = np.sort(windows[np.argsort(-counts, kind="stable")[:MOST_WINDOWS]])
    examples = examples[examples["window"].isin(windows)]
    text = TextWords.read(windows, bundle.windows)
    factors, places, positions = (
        examples[name].to_numpy() for name in ("factor", "window", "position")
    )
    return FactorTexts.of(text, factors, places, positions, len(peak))


def table_of(regions: list[Region], factors: np.ndarray) -> pa.Table:
    """Return regions as rows of regions.parquet; ``factors`` are the numbers of their members."""
    numbers = pd.Series([region.zoom for region in regions], dtype=int)
    columns = {
        "zoom": numbers.tolist(),
        "region": numbers.groupby(numbers).cumcount().tolist(),
        "name": [region.name for region in regions],
        "shared": [region.shared for region in regions],
        "x": [region.x for region in regions],
        "y": [region.y for region in regions],
        "factors": [factors[region.factors].tolist() for region in regions],
    }
    return pa.table(columns, schema=SCHEMAS["regions"])
