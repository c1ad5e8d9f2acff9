"""Turns the codes of occurrences of frequent words into the senses of these words.

Of each word senses.parquet tells the layer at which its occurrences fall into groups that separate
best. Of the words that separate best occurrences.parquet holds the occurrences themselves, with
their strongest factors at every layer.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from tfactors.binary_digits import rounded
from tfactors.bundle.format import SCHEMAS
from tfactors.bundle.writing import write_table
from tfactors.describe import senses
from tfactors.parallel import ahead
from tfactors.stages.kept_codes import occurrence_codes
from tfactors.stages.run import Run
from tfactors.survey.occurrences import OCCURRENCES
from tfactors.text.words import word_at

WORDS_STORED = 256  # some 6 kB each in a bundle of 7 layers
# Words that are compared with chance, which takes five times as long as the groups themselves.
CANDIDATES = 2 * WORDS_STORED
CHANCE_DRAWS = 5
DIGITS = 7  # of the activations that are stored, behind the first


def find_senses(run: Run) -> dict[str, Any]:
    """Write the senses of the words whose occurrences were drawn."""
    kept_codes = occurrence_codes(run)
    if (
        not kept_codes.begun
    ):  # the survey is of a tfactors that kept none: go without, as older bundles
        return {"words": 0, "stored": 0}
    windows, positions = kept_codes.places()
    codes = [
        senses.strongest(kept_codes.codes(i, run.settings.factors)) for i in range(len(run.layers))
    ]
    rows_of = _rows_by_word(run, windows, positions)

    def group_occurrences(word: str) -> senses.Grouping | None:
        rows = rows_of[word]
        groupings_of_word = [
            senses.grouped(of_layer[rows], layer)
            for layer, of_layer in zip(run.layers, codes, strict=True)
            if layer > 0
        ]
        return senses.best_of(groupings_of_word)

    def silhouette_by_chance(word: str) -> float:
        place = run.layers.index(groupings[word].layer)
        return senses.by_chance(codes[place][rows_of[word]], CHANCE_DRAWS)

    words, groupings = sorted(rows_of), {}
    with run.progress(len(words) + CANDIDATES, "senses", "word") as bar:
        for word, best in ahead(group_occurrences, words):
            bar.update(1)
            if best is not None:
                groupings[word] = best
        candidates = sorted(groupings, key=lambda word: (-groupings[word].silhouette, word))
        candidates = candidates[:CANDIDATES]
        chance = np.zeros(len(candidates))
        for i, (_, value) in enumerate(ahead(silhouette_by_chance, candidates)):
            chance[i] = value
            bar.update(1)
        bar.update(bar.total - bar.n)
    best_at = [groupings[word] for word in candidates]
    silhouette = np.array([g.silhouette for g in best_at])
    write_table(
        run.folder,
        "senses.parquet",
        pa.table(
            {
                "word": pa.array(candidates, pa.string()),
                "layer": np.array([g.layer for g in best_at], np.int16),
                "occurrences": np.array([len(g.group) for g in best_at], np.int16),
                "groups": np.array([g.groups for g in best_at], np.int16),
                "silhouette": silhouette.astype(np.float32),
                "chance": chance.astype(np.float32),
            }
        ),
    )
    stored = [candidates[i] for i in np.argsort(chance - silhouette, kind="stable")]
    stored = stored[:WORDS_STORED]
    tables = []
    for word in stored:
        rows = rows_of[word]
        of_word = [of_layer[rows] for of_layer in codes]
        tables.append(occurrence_table(word, windows[rows], positions[rows], run.layers, of_word))
    occurrences = pa.concat_tables(tables) if tables else SCHEMAS["occurrences"].empty_table()
    write_table(run.folder, "occurrences.parquet", occurrences)
    return {
        "occurrences": OCCURRENCES,
        "strongest": senses.STRONGEST,
        "words": len(words),
        "chance_draws": CHANCE_DRAWS,
        "stored": len(stored),
    }


def _rows_by_word(run: Run, windows: np.ndarray, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Return which of the occurrences are of each word."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    row = 0
    for frame in run.files.iter_windows():
        for number, tokens, starts in zip(
            frame["window"], frame["tokens"], frame["word_starts"], strict=True
        ):
            while row < len(windows) and windows[row] == number:
                rows_of[word_at(tokens, starts, int(positions[row])).casefold()].append(row)
                row += 1
    return {word: np.array(rows) for word, rows in rows_of.items()}


def occurrence_table(
    word: str,
    windows: np.ndarray,
    positions: np.ndarray,
    layers: list[int],
    codes: list[csr_array],
) -> pa.Table:
    """Return the rows of occurrences.parquet of one word.

    Parameters
    ----------
    word : str
        The word, in lower case.
    windows, positions : (n,) int
        Where its n occurrences stand.
    layers : list of int
        The layers surveyed.
    codes : list of (n, m) csr_array
        The codes of the occurrences, a matrix for each layer.
    """
    n, count = len(windows), len(layers)
    factors, activations = [], []
    for place in range(n):
        for of_layer in codes:
            start, stop = of_layer.indptr[place], of_layer.indptr[place + 1]
            order = np.argsort(-of_layer.data[start:stop], kind="stable")
            factors.append(of_layer.indices[start:stop][order].astype(np.int32))
            activations.append(rounded(of_layer.data[start:stop][order], DIGITS))
    return pa.table(
        {
            "word": [word] * (n * count),
            "window": np.repeat(windows.astype(np.int32), count),
            "position": np.repeat(positions.astype(np.int16), count),
            "layer": np.tile(np.asarray(layers, np.int16), n),
            "factors": pa.array(factors, pa.list_(pa.int32())),
            "activations": pa.array(activations, pa.list_(pa.float32())),
        }
    )
