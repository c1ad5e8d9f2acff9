"""Turns what was read of the 2021 website into the tables of a bundle.

Examples, windows and curves come from :mod:`tfactors.interchange.website_2021.folder`. The
"activation" of an example is one more than the number of examples listed after it; what nobody
published is missing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfactors.bundle.format import SCHEMAS, example_file, table_schema
from tfactors.bundle.manifest import listed_levels
from tfactors.bundle.writing import write_table, write_words
from tfactors.describe.levels import (
    LOW_DEPTH,
    SENTENCE_SHARE,
    OlderThresholds,
    depths,
    levels_of,
    peak_layers,
)
from tfactors.interchange.website_2021.folder import FACTORS, LAYERS, LEVELS, SiteExamples, SiteText

BLOCKS = 12  # of bert-base-uncased
WORDS_A_FACTOR, WORDS_A_LABEL = 10, 3


def write_documents(folder: Path, text: SiteText, sources: list[str]) -> None:
    """Write one document for the contexts of each of the two dictionaries."""
    write_table(
        folder,
        "documents.parquet",
        pa.table(
            {
                "document": [0, 1],
                "source": sources,
                "title": ["WikiText-103, a clipped context", "WikiText-103, a window"],
                "year": pa.nulls(2, pa.int16()),
                "held_out": [False, False],
                "tokens": text.sizes,
            }
        ),
    )


def write_examples(folder: Path, examples: dict[tuple[int, int], SiteExamples]) -> None:
    """Write the words in context, their rank in the place of an activation."""

    def tables(layer: int) -> Iterator[pa.Table]:
        for factor in range(FACTORS):
            if listed := examples.get((factor, layer)):
                yield pa.table(
                    {
                        "factor": np.full(len(listed.windows), factor, np.int32),
                        "rank": np.arange(len(listed.windows), dtype=np.int16),
                        "window": np.array(listed.windows, np.int32),
                        "position": np.array(listed.positions, np.int16),
                        "word": listed.words,
                        "activation": listed.places,
                    }
                )

    for layer in LAYERS:
        write_table(folder, example_file(layer), tables(layer))


def _counts(examples: dict[tuple[int, int], SiteExamples]) -> np.ndarray:
    """Return the number of examples of every factor at every layer, (factors, layers)."""
    return np.array(
        [
            [len(examples[c, layer].windows) if (c, layer) in examples else 0 for layer in LAYERS]
            for c in range(FACTORS)
        ]
    )


def write_importance(
    folder: Path, examples: dict[tuple[int, int], SiteExamples], curves: np.ndarray, tokens: int
) -> None:
    """Write the heights of the curves, and how many examples stand at each layer."""
    counts = _counts(examples)
    grid = {
        "factor": np.repeat(np.arange(FACTORS, dtype=np.int32), len(LAYERS)),
        "layer": np.tile(np.array(LAYERS, np.int16), FACTORS),
    }
    values = {
        "importance": np.nan_to_num(curves).ravel(),
        "density": (counts / tokens).ravel(),
        "maximum": counts.ravel().astype(np.float32),
    }
    write_table(folder, "importance.parquet", pa.table(grid | values))
    bins = pa.array([[int(count)] for count in counts.ravel()], pa.list_(pa.int32()))
    write_table(folder, "histograms.parquet", pa.table(grid | {"counts": bins}))


def write_factors(
    folder: Path,
    examples: dict[tuple[int, int], SiteExamples],
    curves: np.ndarray,
    published: dict[str, list[int]],
) -> tuple[dict[str, int], dict[str, int]]:
    """Write what is known of each factor; how many have which level, and how lists fit peaks."""
    alive = _counts(examples).max(axis=1) > 0
    known = alive & ~np.isnan(curves[:, 0]) & (np.nan_to_num(curves).max(axis=1) > 0)
    peak = np.where(known, peak_layers(np.nan_to_num(curves), LAYERS), -1)
    depth = np.where(known, depths(peak, BLOCKS), np.nan)
    level = levels_of(
        pd.DataFrame({"depth": depth, "retained_sentence": np.nan}),
        OlderThresholds(LOW_DEPTH, None, SENTENCE_SHARE),
    )
    listed = np.array(listed_levels(published, FACTORS))
    agreement = {
        name: int((known & (listed == name) & np.isin(peak, where)).sum())
        for name, where in (("low", [0, 2]), ("mid", [8, 10]), ("high", [8, 10]))
    }
    agreement |= {f"{name}_listed": int((known & (listed == name)).sum()) for name in LEVELS}
    level = np.where(alive, np.where(listed != "", listed, level), "")
    words: list[list[str]] = []
    for factor in range(FACTORS):
        height = dict(zip(LAYERS, np.nan_to_num(curves[factor]).tolist(), strict=True))
        shown = [layer for layer in LAYERS if (factor, layer) in examples]
        marked = examples[factor, max(shown, key=height.__getitem__)].words if shown else []
        common = Counter(word.casefold() for word in marked if word).most_common(WORDS_A_FACTOR)
        words.append([word for word, _ in common])
    write_table(
        folder,
        "factors.parquet",
        pa.table(
            {
                "factor": np.arange(FACTORS, dtype=np.int32),
                "label": [", ".join(common[:WORDS_A_LABEL]) for common in words],
                "level": level.tolist(),
                "peak_layer": peak.astype(np.int16),
                "depth": depth,
                "retained_word": pa.nulls(FACTORS, pa.float32()),
                "retained_sentence": pa.nulls(FACTORS, pa.float32()),
                "reach": pa.nulls(FACTORS, pa.int16()),
                "words": pa.array(words, pa.list_(pa.string())),
                "alive": alive,
                "stability": pa.nulls(FACTORS, pa.float32()),
            }
        ),
    )
    return {name: int((level == name).sum()) for name in LEVELS}, agreement


def write_saliency(folder: Path, examples: dict[tuple[int, int], SiteExamples]) -> None:
    """Write the colours of LIME as weights."""
    schema = table_schema("saliency", width=0, columns=())  # of the colours no error was published

    def tables() -> Iterator[pa.Table]:
        for (factor, layer), listed in sorted(examples.items()):
            key = {"factor": factor, "layer": layer, "method": "lime"}
            unknown = {"score": 0.0, "samples": 0, "seed": 0}
            rows = [
                key | unknown | {"rank": rank, "weights": weights}
                for rank, weights in enumerate(listed.weights)
            ]
            if rows:
                yield pa.Table.from_pylist(rows, schema=schema)

    write_table(folder, "saliency.parquet", tables())


def write_word_index(
    folder: Path, examples: dict[tuple[int, int], SiteExamples], text: SiteText
) -> None:
    """Write the marked words of each factor and layer, those that stand first before the others."""
    rows: dict[str, list[Any]] = {name: [] for name in SCHEMAS["words"].names}
    for (factor, layer), listed in sorted(examples.items()):
        places: dict[str, list[float]] = defaultdict(list)
        for word, place in zip(listed.words, listed.places.tolist(), strict=True):
            if word:  # not a gap where the site lost it
                places[word.casefold()].append(place)
        strongest = sorted(places.items(), key=lambda item: (-sum(item[1]), item[0]))
        for word, of_word in strongest:
            mean = sum(of_word) / len(of_word)
            values = (word, factor, layer, len(of_word), mean, text.tokens_of_word[word])
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
    write_words(folder, pa.table(rows, schema=SCHEMAS["words"]))
