"""Turns a bundle into a check of what its levels rest on: activations in changed texts, by level.

For some factors of each level it tells the share of an activation that is left when the other words
of its window are shuffled, when all but its sentence or its word is another text, and when its word
is another one too (`tfactors.explain.elsewhere`). Beside it stands what is left when context is cut
away, and what the same words have at other places of the corpus.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfactors.bundle.evidence import Column, Section, Table
from tfactors.evaluate.evaluation import Evaluation
from tfactors.explain.elsewhere import KINDS, kept_elsewhere

FACTORS, EXAMPLES, DRAWS = 20, 5, 2  # of each level; of each factor; of each example
TITLE = "Levels"
ABOUT = (
    "A level says what decides whether a factor fires: the word, its sentence, or the text beyond. "
    "Here the text around the strongest examples is changed, and the activation read again."
)
MEANING = (
    "Mean over factors of mean over examples and draws of min(1, activation in the changed text / "
    "activation in the window)"
)
MEANING_OF_ERROR = "Standard error of that mean: standard deviation of the factors / √count"
LEVELS = ("low", "mid", "high")
SAYS = {
    "shuffled": "the other words of the window shuffled",
    "sentence": "its own sentence, the rest another text",
    "word": "its word, the rest another text",
    "none": "another text, the same place",
    "retained_sentence": "its own sentence, cut out and alone",
    "retained_word": "its word alone",
    "word_elsewhere": "its word at other places of the corpus",
}


def measure(evaluation: Evaluation) -> Section:
    """Measure what is left of activations in changed texts, by level."""
    bundle = evaluation.bundle
    factors = bundle.factors
    random = np.random.default_rng(evaluation.seed)
    members = [np.flatnonzero(factors["level"] == level) for level in LEVELS]
    chosen = [c for of_level in members for c in random.permutation(of_level)[:FACTORS].tolist()]
    if not chosen:
        return Section("levels", TITLE, ABOUT, ("No factor of this bundle has a level.",), ())
    peak = factors["peak_layer"].to_numpy()
    examples = [bundle.examples(c, int(peak[c]), EXAMPLES) for c in chosen]
    parts = []
    with evaluation.progress(len(chosen), "levels", "factor") as bar:
        for part in examples:
            parts.append(
                kept_elsewhere(
                    evaluation.encoder,
                    part,
                    bundle.windows,
                    bundle.about.corpus.windows,
                    KINDS,
                    DRAWS,
                    evaluation.seed,
                )
            )
            bar.update(1)
    measured = pd.concat(parts).set_index("factor")
    in_bundle = factors.set_index("factor").loc[measured.index]
    stored = [name for name in SAYS if name in in_bundle and in_bundle[name].notna().any()]
    shares = measured[list(KINDS)].join(in_bundle[["level", "peak_layer", *stored]])
    table = _table(shares, [*KINDS, *stored])
    return Section("levels", TITLE, ABOUT, _findings(shares), (table,))


def _table(shares: pd.DataFrame, names: list[str]) -> Table:
    """Return means and errors by level of the columns that are named; a row a factor goes in."""
    groups = shares.groupby("level")[names]
    means, errors, counts = groups.mean(), groups.sem(), shares["level"].value_counts()
    rows = tuple(
        (
            SAYS[name],
            *(_entry(table, level, name) for level in LEVELS for table in (means, errors)),
        )
        for name in names
    )
    sizes = ", ".join(f"{counts.get(level, 0)} {level}" for level in LEVELS)
    columns = [Column("text", "What the model reads", "text")]
    for level in LEVELS:
        columns.append(Column(level, level.capitalize(), "share", MEANING))
        columns.append(Column(f"{level}_error", "±", "share", MEANING_OF_ERROR))
    return Table(
        "What is left of an activation",
        f"Factors drawn by chance ({sizes}), the {EXAMPLES} strongest examples of each at its peak "
        f"layer, {DRAWS} other texts an example. The last lines are the bundle's own numbers.",
        tuple(columns),
        rows,
    )


def _entry(table: pd.DataFrame, level: str, name: str) -> float | None:
    """Return a number of a level, None where it has no factor, or no error with only one."""
    value = float(table.loc[level, name]) if level in table.index else np.nan
    return None if np.isnan(value) else value


def _findings(shares: pd.DataFrame) -> tuple[str, ...]:
    """Say in sentences what is left, a row a factor."""
    means = shares.groupby("level")[list(KINDS)].mean()
    sentences = [
        f"Of a {level} factor {means.loc[level, 'word']:.0%} is left where its word stands in "
        f"another text, {means.loc[level, 'sentence']:.0%} where its sentence does, "
        f"{means.loc[level, 'shuffled']:.0%} where the other words are shuffled."
        for level in LEVELS
        if level in means.index
    ]
    embedded = shares[shares["peak_layer"] == 0]
    if len(embedded):
        sentences.append(
            f"{len(embedded)} of the factors peak at layer 0, where no other token takes part: "
            f"their words keep {embedded['word'].mean():.1%} in another text."
        )
    return tuple(sentences)
