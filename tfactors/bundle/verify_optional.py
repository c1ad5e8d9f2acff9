"""Whether the tables that a bundle may do without agree with the others, row by row.

Takes the tables of :mod:`tfactors.bundle.verify_tables`, checked as far as text, factors and
examples, and raises an error that names the first row which cannot be true: a context must hold the
activation of its example, a sample must stand where it says, a cosine must be that of its two
atoms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfactors import ragged
from tfactors.bundle.format import (
    BASELINE_PARTS,
    CONTEXTS,
    LABEL_JUDGES,
    LABEL_KINDS,
    NEIGHBOUR_KINDS,
    VOCABULARY_KINDS,
    BundleError,
)
from tfactors.bundle.verify_meanings import check_meanings
from tfactors.bundle.verify_origins import check_feeds, check_origins
from tfactors.bundle.verify_regions import check_regions
from tfactors.bundle.verify_rows import (
    ROUNDING,
    OpenTables,
    Part,
    first_letters,
    require_kinds,
    require_ranks,
)
from tfactors.describe.senses import SMALLEST_GROUP

EIGHT_DIGITS = 2.0**-8  # relative: an activation that was rounded to 8 binary digits
_COSINE = 1e-4  # of two float32 atoms, summed in another order
_PAIRS_AT_ONCE = 4096


def optional_checks(tables: OpenTables) -> list[tuple[str, Callable[[], None]]]:
    """Return the name of each optional file that the bundle has, with what checks its rows."""
    checks = {
        "second_dictionary.parquet": check_second_dictionary,
        "baseline.parquet": check_baseline,
        "baseline_tokens.parquet": check_baseline_tokens,
        "contexts.parquet": check_contexts,
        "samples.parquet": check_samples,
        "effects.parquet": check_effects,
        "meanings.parquet": check_meanings,
        "origins.parquet": check_origins,
        "feeds.parquet": check_feeds,
        "neighbours.parquet": check_neighbours,
        "regions.parquet": check_regions,
        "vocabulary.parquet": check_vocabulary,
        "senses.parquet": check_senses,
        "occurrences.parquet": check_occurrences,
    }
    present = [name for name in checks if name in tables.about.files]
    return [(name, partial(checks[name], tables)) for name in present]


def check_labels_and_map(part: Part) -> None:
    """Labels are of a known kind, with both of their scores or none; a map has both axes.

    Shares are from 0 to 1, and effective numbers 1 or more.
    """
    if "label_kind" in part.table.column_names:
        alive = part["alive"].astype(bool)
        kind = part.array("label_kind")
        known = pc.is_in(kind, pa.array(LABEL_KINDS)).to_numpy(zero_copy_only=False)
        part.require(known | ~alive, "label_kind", f"is none of {', '.join(LABEL_KINDS)}")
    for first, second in (("label_precision", "label_recall"), ("map_x", "map_y")):
        if {first, second} <= set(part.table.column_names):
            both = np.isnan(part[first]) == np.isnan(part[second])
            part.require(both, first, f"and {second} {{{second}}}: one of the two is missing")
    if {"label_judge", "label_precision"} <= set(part.table.column_names):
        judged = ~np.isnan(part["label_precision"])
        known = pc.is_in(part.array("label_judge"), pa.array(LABEL_JUDGES))
        matching = known.to_numpy(zero_copy_only=False) == judged
        part.require(
            matching, "label_judge", f"is none of {', '.join(LABEL_JUDGES)}, or of no shares"
        )
    shares = (
        "label_precision",
        "label_recall",
        "word_elsewhere",
        "sentence_elsewhere",
        "same_place",
        "token_share",
        "window_share",
        "sentence_share",
    )
    for name in shares:
        if name in part.table.column_names:
            part.require(~((part[name] < 0) | (part[name] > 1)), name, "is no share")
    for name in ("effective_words", "effective_windows"):
        if name in part.table.column_names:
            part.require(~(part[name] < 1 - ROUNDING), name, "is less than one")


def check_second_dictionary(tables: OpenTables) -> None:
    """Atoms are numbered and have norm 1; a factor's stability is its largest cosine to them."""
    found: list[np.ndarray] = []
    for part in tables.parts("second_dictionary.parquet"):
        numbered = part["factor"] == np.arange(len(part)) + sum(len(atoms) for atoms in found)
        part.require(numbered, "factor", "is not one more than the factor before")
        atoms = part.array("atom").flatten().to_numpy().reshape(len(part), -1)
        norm = np.linalg.norm(atoms.astype(np.float64), axis=1)
        part.require(np.abs(norm - 1) <= _COSINE, "atom", "has not norm 1")
        found.append(atoms)
    second, first = np.concatenate(found), tables.atoms()
    for part in tables.parts("factors.parquet"):
        mine = first[part["factor"]]
        nearest = np.concatenate(
            [
                (mine[rows] @ second.T).max(axis=1)
                for rows in np.array_split(np.arange(len(part)), len(part) // _PAIRS_AT_ONCE + 1)
            ]
        )
        stability = part["stability"]
        same = ~part["alive"].astype(bool) | (np.abs(nearest - stability) <= _COSINE)
        part.require(same, "stability", "is not the cosine to the nearest atom of the second seed")


def check_baseline(tables: OpenTables) -> None:
    """Its parts are all there, their rows numbered and as long as the states of all layers."""
    about, rows = tables.about, dict.fromkeys(sorted(BASELINE_PARTS.values()), 0)
    numbers = about.model.width * len(about.model.layers)
    for part in tables.parts("baseline.parquet"):
        long = part.lengths("codes") == numbers
        part.require(long, "codes", f"is not {numbers:,} numbers long")
        part.require(part["step"] >= 0, "step", "is negative")
        for at, name in enumerate(part.array("part").to_pylist()):
            if name not in rows:
                part.fail("part", at, f"is none of {', '.join(rows)}")
            if part["row"][at] != rows[name]:
                part.fail("row", at, "does not follow the row before")
            rows[name] += 1
    expected = {"mean": 1}
    if about.baseline:
        expected |= {"basis": about.baseline.rank, "place": about.baseline.places}
    for name, count in expected.items():
        if rows[name] != count:
            raise BundleError(
                f"baseline.parquet: {rows[name]:,} rows of '{name}'; expected {count:,}; rebuild "
                "the bundle"
            )


def check_baseline_tokens(tables: OpenTables) -> None:
    """Tokens have been seen, and have a code of the rank that the manifest names."""
    baseline = tables.about.baseline
    rank, seen = baseline.rank if baseline else 0, 0
    for part in tables.parts("baseline_tokens.parquet"):
        part.require(part["token_id"] >= 0, "token_id", "is negative")
        part.require(part["count"] > 0, "count", "is not above 0")
        part.require(part["step"] >= 0, "step", "is negative")
        part.require(part.lengths("codes") == rank, "codes", f"is not {rank:,} numbers long")
        seen += len(part)
    if baseline and seen != baseline.tokens:
        raise BundleError(
            f"baseline_tokens.parquet: {seen:,} tokens, and the manifest says "
            f"{baseline.tokens:,}; rebuild the bundle"
        )


def check_errors(part: Part) -> None:
    """A map has a standard error, no less than 0, for each weight; correlations are within -1, 1.

    Of a map that nobody checked stability and agreement are NaN.
    """
    if "errors" in part.table.column_names:
        same = part.lengths("errors") == part.lengths("weights")
        part.require(same, "errors", "is not as long as weights")
        errors = part.array("errors").flatten().to_numpy()
        whose = ragged.owners(part.lengths("errors"))
        wrong = np.bincount(whose[~(errors >= 0)], minlength=len(part)) > 0
        part.require(~wrong, "errors", "holds one that is below 0 or missing")
    if "activation" in part.table.column_names:
        part.require(part["activation"] >= 0, "activation", "is negative")
    for name in ("stability", "agreement"):
        if name in part.table.column_names:
            part.require(~(np.abs(part[name]) > 1 + ROUNDING), name, "is no correlation")


def check_contexts(tables: OpenTables) -> None:
    """A context is that of an example, and holds the example's activation as its largest."""
    for part in tables.parts("contexts.parquet"):
        part.require(part["rank"] >= 0, "rank", "is negative")
        part.require(part["rank"] < CONTEXTS, "rank", f"is not below {CONTEXTS}")
        length = part.lengths("positions")
        part.require(length > 0, "positions", "is empty")
        same = part.lengths("activations") == length
        part.require(same, "activations", "is not as long as positions")
        starts = ragged.offsets(length)[:-1]
        positions = part.array("positions").flatten().to_numpy()
        activations = part.array("activations").flatten().to_numpy()
        rising = np.diff(positions.astype(np.int32), prepend=-1) > 0
        rising[starts] = positions[starts] >= 0
        part.require(np.logical_and.reduceat(rising, starts), "positions", "do not rise")
        positive = np.minimum.reduceat(activations, starts) > 0
        part.require(positive, "activations", "are not above 0")
        window, position, activation = tables.top_examples.find(part)
        known = window >= 0
        part.require(known, "factor", "has no example of rank {rank} at layer {layer}")
        last = positions[starts + length - 1]
        inside = last < np.diff(tables.offsets)[window]
        part.require(inside, "positions", "reach beyond the window")
        at_example = positions == np.repeat(position, length)
        there = np.add.reduceat(np.where(at_example, activations, 0), starts)
        near = np.abs(there - activation) <= ROUNDING * activation
        part.require(near, "activations", "do not hold the activation of the example")
        largest = np.maximum.reduceat(activations, starts) <= there
        part.require(largest, "activations", "exceed the activation of the example")


def check_samples(tables: OpenTables) -> None:
    """Samples are ranked by activation, stand where they say, each token once."""
    for part in tables.parts("samples.parquet"):
        factor, activation = part["factor"], part["activation"]
        layer = np.searchsorted(tables.layers, part["layer"])
        group = factor.astype(np.int64) * len(tables.layers) + layer
        rank = require_ranks(part, group)
        token = _require_places(tables, part)
        written = tables.vocabulary.take(pa.array(tables.word_of_token[token]))
        same = pc.equal(written, first_letters(part.array("word")))
        part.require(same, "word", "is not the word at {position}")
        once = np.zeros(len(part), bool)
        once[np.unique(group * int(tables.offsets[-1]) + token, return_index=True)[1]] = True
        part.require(once, "position", "is in this factor's sample already")
        top = tables.maximum[factor, layer] * (1 + ROUNDING)
        part.require(activation > 0, "activation", "is not above 0")
        part.require(activation <= top, "activation", "exceeds the maximum in importance.parquet")
        for name in ("activation", "quantile"):
            falls = (rank == 0) | (part[name] <= np.concatenate([[0], part[name][:-1]]))
            part.require(falls, name, "is larger than the one ranked before")
        share = (part["quantile"] > 0) & (part["quantile"] <= 1)
        part.require(share, "quantile", "is no share above 0")


def check_neighbours(tables: OpenTables) -> None:
    """Neighbours are other factors, nearest first; a cosine is that of the two atoms."""
    atoms = tables.atoms()
    for part in tables.parts("neighbours.parquet"):
        kind = require_kinds(part, NEIGHBOUR_KINDS)
        factor, other, value = part["factor"], part["other"], part["value"]
        known = (other >= 0) & (other < tables.factors)
        part.require(known, "other", f"is none of the factors 0 to {tables.factors - 1:,}")
        part.require(other != factor, "other", "is the factor itself")
        part.require(np.abs(value) <= 1 + ROUNDING, "value", "is outside -1 to 1")
        _require_falling(part, kind, np.ones(len(part), np.float32))
        cosine = np.concatenate(
            [
                np.einsum("ij,ij->i", atoms[factor[rows]], atoms[other[rows]])
                for rows in np.array_split(np.arange(len(part)), len(part) // _PAIRS_AT_ONCE + 1)
            ]
        )
        near = np.abs(cosine - value) <= _COSINE
        of_atoms = kind == NEIGHBOUR_KINDS.index("cosine")
        part.require(near | ~of_atoms, "value", "is not the cosine of the two atoms")


def check_effects(tables: OpenTables) -> None:
    """An effect has examples and directions behind it, and a ratio that is that of its means."""
    blocks = tables.about.model.blocks
    for part in tables.parts("effects.parquet"):
        part.require(part["layer"] < blocks, "layer", "is the last, where nothing is left to run")
        for name in ("examples", "directions"):
            part.require(part[name] > 0, name, "is not above 0")
        part.require(part["removed"] >= 0, "removed", "is negative")
        part.require(part["random"] > 0, "random", "is not above 0")
        for name in ("removed_error", "random_error", "ratio_error"):
            part.require(~(part[name] < 0), name, "is negative")
            alone = part["examples"] == 1
            part.require(
                np.isnan(part[name]) == alone, name, "does not go with {examples} examples"
            )
        near = np.abs(part["ratio"] * part["random"] - part["removed"])
        near = near <= ROUNDING * part["removed"]
        part.require(near, "ratio", "is not removed {removed} / random {random}")
        for name in ("above", "elsewhere"):
            part.require((part[name] >= 0) & (part[name] <= 1), name, "is no share")


def check_vocabulary(tables: OpenTables) -> None:
    """Tokens of the vocabulary come nearest first, logits that are lowered lowest first."""
    for part in tables.parts("vocabulary.parquet"):
        kind = require_kinds(part, VOCABULARY_KINDS)
        value = np.abs(part["value"])
        cosine = kind == VOCABULARY_KINDS.index("input")
        part.require(~cosine | (value <= 1 + ROUNDING), "value", "is outside -1 to 1")
        low = kind == VOCABULARY_KINDS.index("logit_low")
        _require_falling(part, kind, np.where(low, -1, 1).astype(np.float32))


def check_senses(tables: OpenTables) -> None:
    """A word that falls into groups has at least two, of three occurrences or more."""
    for part in tables.parts("senses.parquet"):
        part.require(part["groups"] >= 2, "groups", "is fewer than two")
        enough = part["occurrences"] >= SMALLEST_GROUP * part["groups"]
        part.require(enough, "occurrences", "is too few for {groups} groups")
        for name in ("silhouette", "chance"):
            part.require(np.abs(part[name]) <= 1, name, "is outside -1 to 1")


def check_occurrences(tables: OpenTables) -> None:
    """An occurrence stands where it says, at every layer, its activations falling."""
    for part in tables.parts("occurrences.parquet"):
        token = _require_places(tables, part)
        written = tables.vocabulary.take(pa.array(tables.word_of_token[token])).to_pylist()
        folded = pa.array([word.casefold() for word in written], pa.string())
        same = pc.equal(first_letters(folded), first_letters(part.array("word")))
        part.require(same, "word", "is not the word at {position}")
        sizes = part.lengths("factors")
        part.require(
            part.lengths("activations") == sizes, "activations", "is not as long as factors"
        )
        row = ragged.owners(sizes)
        factors = part.array("factors").flatten().to_numpy()
        activations = part.array("activations").flatten().to_numpy()
        known = (factors >= 0) & (factors < tables.factors)
        part.require(_of_all(known, row, len(part)), "factors", "holds a factor that is not there")
        layer = np.searchsorted(tables.layers, part["layer"])[row]
        top = tables.maximum[factors, layer] * (1 + EIGHT_DIGITS)
        possible = (activations > 0) & (activations <= top)
        said = "holds a number that is not above 0, or exceeds the maximum in importance.parquet"
        part.require(_of_all(possible, row, len(part)), "activations", said)
        first = np.diff(row, prepend=-1) > 0
        falls = first | (activations <= np.concatenate([[0], activations[:-1]]))
        part.require(_of_all(falls, row, len(part)), "activations", "do not fall")


def _of_all(ok: np.ndarray, row: np.ndarray, rows: int) -> np.ndarray:
    """Whether all values of each row are ``ok``."""
    return np.bincount(row, ~ok, minlength=rows) == 0


def _require_places(tables: OpenTables, part: Part) -> np.ndarray:
    """Raise unless each row's window and position are those of a token; the tokens' numbers."""
    window, windows = part["window"], len(tables.offsets) - 1
    inside = (window >= 0) & (window < windows)
    part.require(inside, "window", f"is none of the windows 0 to {windows - 1:,}")
    length = np.diff(tables.offsets)[window]
    fits = (part["position"] >= 0) & (part["position"] < length)
    part.require(fits, "position", "is outside its window")
    return tables.offsets[window] + part["position"]


def _require_falling(part: Part, kind: np.ndarray, sign: np.ndarray) -> None:
    """Raise unless ranks count up, and ``sign * value`` never grows, within factor and kind."""
    rank = require_ranks(part, part["factor"].astype(np.int64) * 8 + kind)
    value = sign * part["value"]
    falls = (rank == 0) | (value <= np.concatenate([[0], value[:-1]]))
    part.require(falls, "value", "is nearer than the one ranked before")
