"""Words in, factors out: which factors answer to these words, and how much to nothing else.

For a word w, a factor c and a layer l the index of the bundle gives how many of the word's n(w)
tokens activate the factor. With a(c, l) the factor's active tokens,

    recall = count / n(w)        precision = count / a(c, l)        F1 = harmonic mean

F1 is 1 for a factor that is active on this word always and on nothing else. For several words the
counts and occurrences are added up, so that a factor of all of them comes before a factor of one.
"""

import re

import numpy as np
import pandas as pd

from tfactors.app import factor_view, store
from tfactors.bundle import Bundle

MOST_WORDS = 8


def words_of(query: str) -> list[str]:
    """Return the words of a query, at most eight, in lower case.

    >>> words_of("Left, right  and 1,000")
    ['left', 'right', 'and', '1,000']
    """
    found = (part.strip(".,;:!?\"'()[]").casefold() for part in re.split(r"\s+", query))
    return list(dict.fromkeys(filter(None, found)))[:MOST_WORDS]


def by_words(bundle: Bundle, words: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return factors by how specific they are to the words, and the words the index lacks.

    A row is a factor at the layer where its F1 is largest: factor, at (the layer), f1, precision,
    recall, activation (mean over the tokens of the words that activate it).
    """
    found, missing = [], []
    for word in words:
        rows = bundle.word_factors(word)
        found.append(rows)
        if rows.empty:
            missing.append(word)
    together = pd.concat(found)
    if together.empty:
        empty = pd.DataFrame({name: [] for name in ("f1", "precision", "recall", "activation")})
        return empty.assign(factor=np.array([], int), at=np.array([], int)), missing
    occurrences = sum(int(rows["occurrences"].iloc[0]) for rows in found if len(rows))
    together["sum"] = together["count"] * together["mean_activation"]
    scores = together.groupby(["factor", "layer"], as_index=False)[["count", "sum"]].sum()
    overview = store.overview(bundle)
    columns = np.searchsorted(bundle.layers, scores["layer"])
    active = overview.density[scores["factor"], columns] * bundle.manifest["corpus"]["tokens"]
    # Density is stored as float32; the count of the word is never above the factor's own.
    scores["precision"] = (scores["count"] / np.maximum(active, scores["count"])).astype(float)
    scores["recall"] = (scores["count"] / occurrences).clip(upper=1.0)
    scores["f1"] = 2 / (1 / scores["precision"] + 1 / scores["recall"])
    scores["activation"] = scores["sum"] / scores["count"]
    best = scores.sort_values("f1", ascending=False).drop_duplicates("factor")
    best = best.rename(columns={"layer": "at"})
    return best[["factor", "at", "f1", "precision", "recall", "activation"]], missing


def by_name(bundle: Bundle, words: list[str]) -> np.ndarray:
    """Return the factors in whose label or words one of these occurs."""
    names = factor_view.names(bundle)["name"].str.casefold()
    hit = np.zeros(len(names), bool)
    for word in words:
        hit |= names.str.contains(word, regex=False).to_numpy()
    return np.flatnonzero(hit)
