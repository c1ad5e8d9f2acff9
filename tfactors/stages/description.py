"""Turns the tables of the survey and its held-out codes into what is said of each factor.

The stages find the factors and the tokens of the vocabulary near a factor, its label with precision
and recall, and its place on the map. Each takes the run, writes its table or keeps its columns for
factors.parquet, and returns what the manifest will say of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csc_array

from tfactors import ragged
from tfactors.bundle.writing import write_table
from tfactors.describe import labels, neighbours, token_rules, vocabulary
from tfactors.describe.factor_map import factor_map
from tfactors.describe.token_rules import rules_of_tokens
from tfactors.files import replacing
from tfactors.model.language_head import language_head
from tfactors.stages.examples import levels_of, peaks
from tfactors.stages.kept_codes import KeptCodes
from tfactors.stages.run import Run
from tfactors.stages.stability import stability_of

# Examples of a factor that propose labels; the rest of its list says little that is new.
EXAMPLES_A_LABEL = 60
WORDS_A_FACTOR = 10
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
        head, saved_as = language_head(run.settings.model, run.ranks.device)
    if head:
        length = run.marker("survey")["notes"]["layers"][-1]["mean_norm"] / float(run.scale[-1])
        tables += vocabulary.near_logits(atoms, length, head, tokens)
    write_table(run.folder, "vocabulary.parquet", pa.concat_tables(tables))
    return {"tokens": run.model.vocabulary, "saved_as": saved_as, "logits": head is not None}


def label_factors(run: Run) -> dict[str, Any]:
    """Choose a label for each factor, and keep it with its scores and the factor's words."""
    m = run.settings.factors
    peak, importance = peaks(run)
    document = np.concatenate([f["document"].to_numpy() for f in run.files.iter_windows()])
    source_of_window = run.files.documents["source"].to_numpy()[document]
    words: list[list[str]] = [[] for _ in range(m)]
    frames = []
    for layer in run.layers:  # in the order of the files
        for factor in np.flatnonzero(peak == layer).tolist():
            frame = run.files.examples(factor, layer, run.settings.examples)
            folded = Counter(word.casefold() for word in frame["word"])
            words[factor] = [word for word, _ in folded.most_common(WORDS_A_FACTOR)]
            # What proposes a label must not be what judges it.
            frames.append(frame[~run.held_out[frame["window"]]].head(EXAMPLES_A_LABEL))
    examples = pd.concat(frames, ignore_index=True)
    windows, positions = KeptCodes.of_held_out(run).places()
    fits, rules = rules_of_tokens(
        np.concatenate([examples["window"].to_numpy(), windows]),
        np.concatenate([examples["position"].to_numpy(), positions]),
        run.files.windows,
        source_of_window,
    )
    held_out = fits[len(examples) :]
    proposed = labels.propose(
        fits[: len(examples)], examples["factor"].to_numpy(), m, _answers(run, peak, rules)
    )
    # Every other window, so that the documents are in both halves.
    judging = windows % 2 == 1
    judged = labels.judge(proposed, held_out, _strongly_active(run, peak, importance), judging)
    chosen = labels.choose(judged, rules, words)
    chosen["words"] = words
    with replacing(run.work / "labels.parquet") as temporary:
        chosen.to_parquet(temporary)
    kinds = Counter(kind for kind in chosen["kind"] if kind)
    return {
        "active_share": labels.ACTIVE_SHARE,
        "f1": labels.GOOD_ENOUGH,
        "kinds": dict(sorted(kinds.items())),
    }


def _answers(run: Run, peak: np.ndarray, rules: pd.DataFrame) -> pd.DataFrame:
    """Return the words that each factor answers to most at its peak layer: factor, rule, place.

    The order is that of the mean activation over all of a word's tokens, silent ones among them.
    """
    words = rules.loc[rules["kind"] == "word", "text"]
    rule_of = pd.Series(words.index, index=words.to_numpy())
    parts = []
    for batch in pq.ParquetFile(run.folder / "factor_words.parquet").iter_batches():
        frame = batch.to_pandas()
        parts.append(frame[frame["layer"].to_numpy() == peak[frame["factor"]]])
    known = pd.concat(parts, ignore_index=True)
    known["mean"] = known["mean_activation"] * known["count"] / known["occurrences"]
    known["rule"] = known["word"].str[: token_rules.WORD_LETTERS].map(rule_of)
    known = known.dropna(subset="rule").drop_duplicates(["factor", "rule"])
    known = known.sort_values(["factor", "mean", "word"], ascending=[True, False, True])
    place = known.groupby("factor").cumcount()
    return known[["factor", "rule"]].assign(place=place).astype(np.int64)


def _strongly_active(run: Run, peak: np.ndarray, importance: np.ndarray) -> csc_array:
    """Return ones where a held-out token activates a factor at its peak layer, (n, m)."""
    codes, m = KeptCodes.of_held_out(run), len(peak)
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    n = len(codes.places()[0])
    for i, layer in enumerate(run.layers):
        of_layer = codes.codes(i, m)
        least = np.where(peak == layer, labels.ACTIVE_SHARE * importance, np.inf)
        strong = of_layer.data >= least[of_layer.indices]
        rows.append(ragged.owners(np.diff(of_layer.indptr))[strong])
        columns.append(of_layer.indices[strong])
    row, column = np.concatenate(rows), np.concatenate(columns)
    return csc_array((np.ones(len(row), np.float32), (row, column)), shape=(n, m))


def map_factors(run: Run) -> dict[str, Any]:
    """Find a place for each factor on the map, and keep it."""
    run.save_array("map", factor_map(run.files.dictionary, run.settings.seed))
    return {}


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
        "label_precision": labels["precision"].to_numpy(),
        "label_recall": labels["recall"].to_numpy(),
        "map_x": places[:, 0],
        "map_y": places[:, 1],
    }
    write_table(run.folder, "factors.parquet", pa.table(columns))
    return {"levels": {name: int((level == name).sum()) for name in ("low", "mid", "high")}}
