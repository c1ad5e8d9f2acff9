"""Words or a sentence in, factors out: which factors they drive, and at which layer.

For a word w, a factor c and a layer l the index of the bundle gives on how many of the word's n(w)
tokens the factor is active, and its mean activation there. With IS_c the factor's importance at
its peak layer,

    match = Σ of its activations on the word's tokens / n(w) / IS_c

is what a token of the word gives, on average, of what the factor's strongest examples give: about 1
for a factor that is about this word, and near 0 for one that is only faintly active on it, however
often. For several words activations and occurrences are added up, so that a factor of all of them
comes before a factor of one. Which factors fire in a sentence is asked of the model
(:func:`factors_by_sentence`).

Of the 2021 website, which shows no activation, the match is the share of the factor's examples at
the layer that mark one of the words.
"""

import numpy as np
import pandas as pd

from tfactors.app.frame import store
from tfactors.app.parts import live_decomposition, selection
from tfactors.bundle import Bundle
from tfactors.describe.text_words import words_asked_for

MOST_WORDS = 8
# Longer words that are asked where a word is only found inside them.
MOST_AROUND = 50


def words_of(query: str) -> list[str]:
    """Return the words of a query, at most eight, in lower case.

    >>> words_of("Left, right  and 1,000")
    ['left', 'right', 'and', '1,000']
    """
    return words_asked_for(query)[:MOST_WORDS]


def factors_found(bundle: Bundle, query: str) -> tuple[pd.DataFrame, list[str]]:
    """Return what a query finds, in the order to show it, and the words the index lacks.

    First comes the factor whose number was asked for, then those that match the words (as in
    :func:`factors_by_words`), then those that only have one of them in their name (no match, the
    peak as layer). An empty query finds all, the most important first; where curves have no common
    scale they come by their number.
    """
    words = words_of(query)
    if not words:
        if not bundle.abilities.heights:
            return pd.DataFrame({"factor": np.arange(bundle.n_factors)}), []
        order = np.argsort(-store.overview(bundle).importance.max(axis=1), kind="stable")
        return pd.DataFrame({"factor": order}), []
    scores, missing = factors_by_words(bundle, words)
    numbers = [int(w) for w in words if w.isascii() and w.isdigit() and len(w) < 9]
    asked_for = [number for number in numbers if number < bundle.n_factors]
    others = np.setdiff1d(factors_by_name(bundle, words), [*scores["factor"], *asked_for])
    first = pd.DataFrame({"factor": asked_for}).merge(scores, on="factor", how="left")
    rest = scores[~scores["factor"].isin(asked_for)]
    found = pd.concat([first, rest, pd.DataFrame({"factor": others})], ignore_index=True)
    found["factor"] = found["factor"].astype(int)
    peaks = bundle.factors["peak_layer"].astype("Int64").array[found["factor"]]
    found["at"] = found["at"].astype("Int64").fillna(pd.Series(peaks, found.index))
    found["at"] = found["at"].where(found["at"] >= 0)  # a dead factor has no peak
    return found, [word for word in missing if word not in map(str, asked_for)]


def factors_by_words(bundle: Bundle, words: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return factors by how well they match the words, best first, and words the index lacks.

    A row is a factor at the layer where it matches best: factor, at (the layer), match, active (the
    share of the words' tokens that activate it), activation (its mean there).
    """
    tables = [_rows_of_word(bundle, word) for word in words]
    missing = [word for word, rows in zip(words, tables, strict=True) if rows.empty]
    together = pd.concat(tables)
    occurrences = sum(int(rows["occurrences"].iloc[0]) for rows in tables if len(rows))
    together["sum"] = together["count"] * together["mean_activation"].astype(float)
    scores = together.groupby(["factor", "layer"], as_index=False)[["count", "sum"]].sum()
    overview = store.overview(bundle)
    if bundle.abilities.word_matches:
        peak = overview.importance.max(axis=1)[scores["factor"]]
        scores["match"] = scores["sum"] / occurrences / peak if len(scores) else 0.0
    else:  # the largest "activation" is the number of examples
        column = np.searchsorted(bundle.layers, scores["layer"])
        scores["match"] = scores["count"] / overview.maximum[scores["factor"], column]
    scores["active"] = (scores["count"] / occurrences).clip(upper=1.0) if len(scores) else 0.0
    scores["activation"] = scores["sum"] / scores["count"]
    best = scores.sort_values(["match", "factor"], ascending=[False, True])
    best = best.drop_duplicates("factor").rename(columns={"layer": "at"})
    columns = ["factor", "at", "match", "active", "activation"]
    return best[columns].reset_index(drop=True), missing


def _rows_of_word(bundle: Bundle, word: str) -> pd.DataFrame:
    """Return a word's rows in the index, else those of the words that hold it inside, as one."""
    rows = bundle.word_factors(word)
    around = bundle.words_around(word)[:MOST_AROUND] if rows.empty else []
    if not around:
        return rows
    tables = [bundle.word_factors(longer) for longer in around]
    rows = pd.concat(tables, ignore_index=True)
    rows["sum"] = rows["count"] * rows["mean_activation"].astype(float)
    together = rows.groupby(["factor", "layer"], as_index=False)[["count", "sum"]].sum()
    together["mean_activation"] = together.pop("sum") / together["count"]
    return together.assign(occurrences=sum(int(t["occurrences"].iloc[0]) for t in tables))


def factors_by_sentence(bundle: Bundle, sentence: str) -> pd.DataFrame:
    """Return the factors that fire in a sentence, the strongest for what it can reach first.

    A row is a factor at the layer and token where its activation is largest: factor, at (the
    layer), token, activation, match (the activation as a share of its importance at its peak).

    Raises
    ------
    InputError
        The sentence holds no word or too many, or the model is busy or cannot be loaded.
    """
    decomposition = live_decomposition.decomposition_of(
        bundle, sentence.strip(), live_decomposition.built_penalty(bundle)
    )
    best = decomposition.factors.sort_values("activation", ascending=False, kind="stable")
    best = best.drop_duplicates("factor")
    tokens = decomposition.tokens["token"].str.strip().to_numpy()
    activation = best["activation"].to_numpy().astype(float)
    peak = store.overview(bundle).importance.max(axis=1)[best["factor"]]
    found = pd.DataFrame(
        {
            "factor": best["factor"].to_numpy(),
            "at": best["layer"].to_numpy().astype(int),
            "token": tokens[best["position"]],
            "activation": activation,
            # A factor that is silent in the whole corpus can only be at its best here.
            "match": np.divide(activation, peak, out=np.ones_like(activation), where=peak > 0),
        }
    )
    return found.sort_values("match", ascending=False, kind="stable", ignore_index=True)


def factors_by_name(bundle: Bundle, words: list[str]) -> np.ndarray:
    """Return the factors in whose label or words one of these occurs."""
    names = selection.casefolded_names(bundle)
    found = [at for at, name in enumerate(names) if any(word in name for word in words)]
    return np.array(found, dtype=int)
