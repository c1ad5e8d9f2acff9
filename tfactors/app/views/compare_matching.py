"""How alike two factors are, of one bundle or of two: by direction, by examples, by words.

Compares a factor with factors of a second bundle by three numbers:

    cosine      of the two atoms: 1 is the same direction. Needs the same model, weights and all.
    examples    |A ∩ B| / |A ∪ B| of the places (window and token) of their stored examples, each
                at its peak layer. Needs the same windows of text.
    words       how many of their commonest words (at most ten each) they have in common.

A number that two bundles do not allow is left out, with the reason in words.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.parts import selection
from tfactors.bundle import Bundle

# Examples are compared for this many of the nearest by direction, and as many by words.
_NEAREST = 30
# Above this many multiplications the best partner of every factor would keep a reader waiting.
_MOST_WORK = 5e9
FOUND_AGAIN = 0.9


@dataclass(frozen=True)
class MissingNumbers:
    """Why two bundles do not allow a number, in one sentence each; "" where they do."""

    cosine: str
    examples: str


def missing_numbers(one: Bundle, other: Bundle) -> MissingNumbers:
    """Return what keeps two bundles from being compared by direction and by examples."""
    cosine = examples = ""
    if one.about.model.sha256 != other.about.model.sha256:
        cosine = (
            "No cosine: the dictionaries are of two models, whose hidden states have no direction "
            "in common."
        )
    elif not (one.abilities.dictionary and other.abilities.dictionary):
        cosine = "No cosine: the website of 2021 never published its dictionary."
    if _windows_sha256(one) != _windows_sha256(other):
        examples = "No overlap of examples: the bundles were surveyed on different windows of text."
    return MissingNumbers(cosine, examples)


def _windows_sha256(bundle: Bundle) -> str:
    """Return what tells the windows of one text from those of another."""
    seal = bundle.about.files.get("windows.parquet")
    return (seal and seal.sha256) or bundle.fingerprint


def cosines(one: Bundle, factor: int, other: Bundle) -> np.ndarray:
    """Return the cosine of a factor with every factor of the other bundle, (m,)."""
    return other.dictionary @ one.dictionary[factor]


def shared_examples(
    one: Bundle, factor: int, layer: int, other: Bundle, to: int, to_layer: int
) -> tuple[int, int]:
    """Return at how many places both have an example, and at how many at least one has."""
    places = [
        set(zip(rows["window"].tolist(), rows["position"].tolist(), strict=True))
        for rows in (one.examples(factor, layer), other.examples(to, to_layer))
    ]
    return len(places[0] & places[1]), len(places[0] | places[1])


def shared_words(one: Bundle, factor: int, other: Bundle, to: int) -> list[str]:
    """Return the words among both factors' commonest, in the order of the first."""
    theirs = {word.casefold() for word in other.factors["words"].array[to]}
    words = (word.casefold() for word in one.factors["words"].array[factor])
    return [word for word in dict.fromkeys(words) if word in theirs]


def best_matches(one: Bundle, factor: int, other: Bundle, most: int = 15) -> pd.DataFrame:
    """Return the factors of the other bundle that are most like one, best first.

    Columns factor, cosine, examples and words, where the bundles allow them. The factor itself is
    left out.
    """
    return _best_matches(one.fingerprint, other.fingerprint, factor, most, one, other).copy()


@st.cache_data(max_entries=256, show_spinner=False)
def _best_matches(
    fingerprint: str, other_fingerprint: str, factor: int, most: int, _one: Bundle, _other: Bundle
) -> pd.DataFrame:
    reasons = missing_numbers(_one, _other)
    words = _common_words(_one, factor, _other)
    chosen = words.nlargest(_NEAREST).index.to_numpy(int)
    columns: dict[str, np.ndarray] = {}
    if not reasons.cosine:
        nearness = cosines(_one, factor, _other)
        chosen = np.union1d(chosen, np.argsort(-nearness, kind="stable")[: _NEAREST + 1])
        columns["cosine"] = nearness
    if _one is _other or fingerprint == other_fingerprint:
        chosen = chosen[chosen != factor]
    matches = pd.DataFrame({"factor": chosen.astype(int)})
    if "cosine" in columns:
        matches["cosine"] = columns["cosine"][chosen].astype(float)
    if not reasons.examples:
        layer = selection.peak_layer(_one, factor)
        matches["examples"] = [
            _overlap(
                shared_examples(_one, factor, layer, _other, at, selection.peak_layer(_other, at))
            )
            for at in chosen.tolist()
        ]
    matches["words"] = words.reindex(chosen).fillna(0).to_numpy(int)
    order = [name for name in ("cosine", "examples", "words") if name in matches]
    return matches.sort_values(order, ascending=False, kind="stable", ignore_index=True).head(most)


def _common_words(one: Bundle, factor: int, other: Bundle) -> pd.Series:
    """Return how many of a factor's words each factor of the other bundle has; none left out."""
    words = {word.casefold() for word in one.factors["words"].array[factor]}
    index = _word_index(other.fingerprint, other)
    return index[index.index.isin(words)].value_counts()


@st.cache_resource(max_entries=4, show_spinner=False)
def _word_index(fingerprint: str, _bundle: Bundle) -> pd.Series:
    """Return the factors by their words."""
    words = _bundle.factors["words"]
    pairs = {
        (word.casefold(), at) for at, of_factor in enumerate(words.array) for word in of_factor
    }  # a set, because a factor's words may differ by case alone
    ordered = sorted(pairs)
    return pd.Series([at for _, at in ordered], index=[word for word, _ in ordered], dtype="int64")


def _overlap(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1] if counts[1] else 0.0


def share_found_again(one: Bundle, other: Bundle) -> float | None:
    """Return the share of living factors with a partner of cosine ≥ 0.9 in the other bundle.

    None where two models or too large dictionaries do not allow it.
    """
    work = float(one.n_factors) * other.n_factors * one.width
    if missing_numbers(one, other).cosine or work > _MOST_WORK:
        return None
    return _share_found_again(one.fingerprint, other.fingerprint, one, other)


@st.cache_data(max_entries=16, show_spinner=False)
def _share_found_again(
    fingerprint: str, other_fingerprint: str, _one: Bundle, _other: Bundle
) -> float | None:
    alive = _one.factors["alive"].to_numpy(bool)
    theirs = _other.dictionary[_other.factors["alive"].to_numpy(bool)]
    if not alive.any() or not len(theirs):
        return None
    nearest = (_one.dictionary[alive] @ theirs.T).max(axis=1)
    return float((nearest >= FOUND_AGAIN).mean())
