"""A complete, valid bundle from made-up English, for tests and for benchmarks of the dashboard.

    python tests/synthetic_bundle.py OUT [--factors 40] [--layers 4] [--examples 50] ...

Nothing in it was learnt: each factor likes two words of a small vocabulary (one at the early
layers, another at the late ones) and answers to them in random windows, with activations that fall
off as real ones do. The numbers agree with one another as `tfactors verify` demands. Everything is
streamed, so that the size of the paper's dictionaries, 16,384 factors over 13 layers with 200
examples, takes minutes and little memory (`--large`).
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfactors.bundle import Bundle
from tfactors.bundle.format import LABEL_KINDS, SCHEMAS, example_file
from tfactors.bundle.writing import (
    write_baseline,
    write_dictionary,
    write_imported,
    write_manifest,
    write_origins,
    write_table,
    write_words,
)
from tfactors.describe.meanings import packed
from tfactors.describe.regions import region_counts
from tfactors.describe.stability import nearest_cosine

# fmt: off
DETERMINERS = ["the", "a", "this", "that", "every", "another", "some", "each", "our"]
ADJECTIVES = [
    "old", "quiet", "northern", "careful", "public", "bitter", "sudden", "ancient", "modest",
    "royal", "narrow", "bright", "independent", "agricultural", "remarkable", "wooden", "heavy",
    "foreign", "gentle", "uncertain",
]
NOUNS = [
    "river", "army", "treaty", "garden", "letter", "railway", "bank", "harbour", "senate",
    "winter", "village", "bridge", "scholar", "language", "orchestra", "telescope", "apple",
    "mountain", "committee", "newspaper", "captain", "engine", "forest", "museum", "government",
    "constitution", "settlement", "philosophy", "temperature", "laboratory",
]
VERBS = [
    "crossed", "signed", "described", "followed", "left", "built", "refused", "carried",
    "remembered", "measured", "defended", "painted", "governed", "recommended", "established",
    "abandoned",
]
PREPOSITIONS = [
    "of", "in", "near", "under", "against", "beyond", "with", "from", "before", "after",
]
LINKS = ["and", "but", "while", "because", "although", "so"]
MARKS = [".", ".", ".", ".", "?", "!"]
HOSTILE = [
    "<img", "src=x", "onerror=alert(1)>", "$x$", ":red[danger]", "**bold**", "`code`", "&amp;",
    "</div>", "\u202egnihtemos\u202c", "\u05e9\u05dc\u05d5\u05dd", "a" * 10_000,
    "[link](javascript:x)",
    "\U0001f600", "e\u0301", "\u200b\u200b.",
]
# fmt: on
VOCABULARY = [*NOUNS, *VERBS, *ADJECTIVES, *DETERMINERS, *PREPOSITIONS, *LINKS]


@dataclass(frozen=True)
class Text:
    """Windows as flat arrays: tokens of window w are [offsets[w], offsets[w + 1])."""

    tokens: list[str]
    word_starts: np.ndarray
    token_ids: np.ndarray
    words: np.ndarray  # (tokens,) index into vocabulary of the word a token belongs to, or -1
    offsets: np.ndarray
    documents: np.ndarray
    starts: np.ndarray
    vocabulary: list[str]

    @property
    def windows(self) -> int:
        return len(self.documents)


def write_synthetic_bundle(
    folder: str | Path,
    factors: int = 40,
    layers: int = 4,
    examples: int = 50,
    windows: int = 200,
    window_length: int = 64,
    width: int = 16,
    words_per_factor: int = 12,
    bins: int = 20,
    hostile: bool = True,
    seed: int = 0,
    title: str = "Made-up English",
    older_rule: bool = False,
    baseline: bool = True,
) -> Path:
    """Write a valid bundle of made-up text into ``folder`` and return its path.

    With ``older_rule`` its levels are by the rule of 2026, as in bundles built before, and nothing
    is known of what tokens bring of their own; nor without ``baseline``.

    The last factor is dead (nothing activates it); with ``hostile`` one document holds markup,
    right-to-left marks and a word of 10,000 letters, and factors 1 to 4 answer to them.
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    text = _text(rng, windows, window_length, hostile)
    layer_ids = list(range(layers))
    first_positions = _first_positions(text)
    liked = _liked_words(rng, factors, layers, text, hostile)
    peak = rng.integers(0, layers, size=factors)
    strength = rng.uniform(4.0, 16.0, size=factors)
    curve = np.exp(-0.5 * ((np.arange(layers)[None] - peak[:, None]) / (0.2 * layers + 0.5)) ** 2)
    maximum = np.where(curve > 0.02, strength[:, None] * curve, 0.0).astype(np.float32)
    maximum[-1] = 0.0
    taken = np.zeros((factors, layers), np.int64)

    for layer in layer_ids:
        rows = _examples(rng, layer, text, liked, first_positions, maximum, examples, taken)
        write_table(folder, example_file(layer), rows)

    maximum[taken == 0] = 0.0
    alive = maximum.max(1) > 0
    peak = np.where(alive, maximum.argmax(1), -1)
    edges = np.linspace(0.0, 16.0, bins + 1)
    atoms = _atoms(rng, factors, width)
    write_dictionary(folder, atoms)
    write_imported(folder, {"W_enc": 2 * atoms, "b_dec": atoms[0]})
    own_part = None if older_rule or not baseline else _own_part(folder, seed, layers, width)
    depth = np.where(alive, peak / max(layers - 1, 1), np.nan)
    sentence = np.where(alive, rng.uniform(0.2, 1.0, factors), np.nan)
    other = np.random.default_rng([seed, 3])
    decides, levels, thresholds = (_by_older_rule if older_rule else _by_rule)(other, alive, depth)
    second = _learnt_again(seed, atoms, rng.uniform(0.3, 1.0, factors))
    write_dictionary(folder, second, "second_dictionary.parquet")
    names = [[text.vocabulary[w] for w in dict.fromkeys(row)] for row in liked]
    labels_and_map = _labels_and_map(seed, alive)
    write_table(
        folder,
        "factors.parquet",
        pa.table(
            {
                "factor": np.arange(factors),
                "label": [" / ".join(n[: 2 * int(a)]) for n, a in zip(names, alive, strict=True)],
                "level": np.where(alive, levels, "").tolist(),
                "peak_layer": peak,
                "depth": depth,
                "retained_word": sentence * 0.6,
                "retained_sentence": sentence,
                "reach": pa.array(rng.choice([0, 1, 2, 4, 8, 16], factors), mask=~alive),
                "words": [n if a else [] for n, a in zip(names, alive, strict=True)],
                "alive": alive,
                "stability": np.where(alive, nearest_cosine(atoms, second), np.nan),
            }
            | decides
            | labels_and_map
        ),
    )
    if alive.any():
        write_table(folder, "regions.parquet", _regions(labels_and_map, names))
    grid_factor = np.repeat(np.arange(factors), layers)
    grid_layer = np.tile(layer_ids, factors)
    active = np.minimum(taken * 3, len(text.tokens)).ravel()
    write_table(
        folder,
        "importance.parquet",
        pa.table(
            {
                "factor": grid_factor,
                "layer": grid_layer,
                "importance": maximum.ravel() * 0.7,
                "density": active / len(text.tokens),
                "maximum": maximum.ravel(),
            }
        ),
    )
    write_table(
        folder,
        "histograms.parquet",
        (
            _list_batch(grid_factor[rows], grid_layer[rows], _counts(rng, active[rows], bins))
            for rows in _blocks(len(grid_factor), 64 * layers)
        ),
    )
    _write_word_index(folder, rng, liked, maximum, text, words_per_factor)
    _write_retention(folder, rng, factors, peak, alive, sentence)
    _write_saliency(folder, rng, text, first_positions, liked, layer_ids, alive, peak, taken)
    _write_text(folder, text)
    # A generator of their own, so that the tables above stay what they were without these.
    more = np.random.default_rng([seed, 1])
    write_table(folder, "contexts.parquet", _contexts(more, folder, factors, layer_ids, text))
    write_table(folder, "samples.parquet", _samples(more, folder, factors, layer_ids))
    write_table(folder, "neighbours.parquet", _neighbours(more, atoms))
    write_table(folder, "vocabulary.parquet", _near_tokens(more, factors, text))
    effects = _effects(np.random.default_rng([seed, 2]), maximum)
    write_table(folder, "effects.parquet", effects)
    written = {text.vocabulary[word] for word in np.unique(text.words[text.words >= 0])}
    occurring = [[name for name in row if name in written] for row in names]
    _write_origins(folder, np.random.default_rng([seed, 4]), peak, occurring)
    _write_meanings(folder, np.random.default_rng([seed, 5]), peak, width)
    if factors > 6:
        _write_senses(folder, text, layer_ids, maximum)
    write_manifest(
        folder,
        {
            "title": title,
            "tfactors": "0.1.0",
            "created": {"at": "2026-01-01T00:00:00+00:00", "seconds": {"corpus": 1.0}},
            "model": {
                "name": "synthetic",
                "sha256": "0" * 64,
                "blocks": layers - 1,
                "layers": layer_ids,
                "width": width,
            },
            "corpus": {
                "sources": [
                    {
                        "name": "made-up",
                        "title": "Made-up English",
                        "licence": "CC0-1.0",
                        "attribution": "written by tests/synthetic_bundle.py",
                        "documents": int(text.documents[-1]) + 1,
                        "tokens": len(text.tokens),
                    }
                ],
                "documents": int(text.documents[-1]) + 1,
                "windows": text.windows,
                "tokens": len(text.tokens),
                "window_length": window_length,
            },
            "coding": {
                "penalty": 2.5,
                "scale": {str(layer): 1.0 + layer / 10 for layer in layer_ids},
                "tol": 1e-3,
            },
            "baseline": own_part,
            "meanings": {"name": "synthetic", "sha256": "0" * 64, "width": width, "words": 8},
            "dictionary": {"factors": factors, "seed": seed, "samples": 100_000},
            "importance": {
                "k": 200,
                "examples": examples,
                "levels": thresholds,
            },
            "histogram": {"edges": edges.tolist()},
            "metrics": {
                "alive": float(alive.mean()),
                "l0": 10.5,
                "explained_variance": 0.65,
                "held_out_tokens": 100,
                "layers": [
                    {
                        "layer": layer,
                        "l0": 10.0 + layer,
                        "explained_variance": 0.7 - layer / 50,
                        "explained_context": 0.5,
                        "context_share": 0.6 + layer / 25,
                        "duality_gap": 1e-5,
                        "mean_norm": 4.0,
                    }
                    for layer in layer_ids
                ],
            },
            "settings": {"preset": "synthetic", "seed": seed},
        },
    )
    return folder


def _write_meanings(folder: Path, rng: np.random.Generator, peak: np.ndarray, width: int) -> None:
    """Random vectors of each factor's name and of its first examples at its peak layer."""
    rows: list[tuple[int, int, int]] = []
    for factor in np.flatnonzero(peak >= 0).tolist():
        examples = pq.read_table(
            folder / example_file(int(peak[factor])), filters=[("factor", "==", factor)]
        )
        rows += [(factor, int(peak[factor]), rank) for rank in range(-1, min(3, len(examples)))]
    factor, layer, rank = zip(*rows, strict=True) if rows else ((), (), ())
    bits = list(packed(rng.standard_normal((len(rows), width))))
    table = {"factor": factor, "layer": layer, "rank": rank, "bits": bits}
    write_table(folder, "meanings.parquet", pa.table(table, SCHEMAS["meanings"]))


def _by_rule(
    rng: np.random.Generator, alive: np.ndarray, _: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, float]]:
    """The columns that say what decides, the levels that follow, and the thresholds."""
    token, window, sentence = rng.uniform(0, 1, (3, len(alive)))
    columns = {
        "token_share": token,
        "window_share": 0.3 * window,
        "sentence_share": np.clip(token + 0.4 * sentence, 0, 1),
        "effective_words": np.exp(rng.uniform(0, 5, len(alive))),
        "effective_windows": np.exp(rng.uniform(0, 4, len(alive))),
    }
    columns = {k: np.where(alive, v, np.nan).astype(np.float32) for k, v in columns.items()}
    few = columns["effective_words"] <= 6
    high = columns["window_share"] >= np.where(few, 0.2, 0.1)
    high &= columns["effective_windows"] >= 3
    levels = np.where(high, "high", np.where(few, "low", "mid"))
    return columns, levels, {"low_words": 6.0, "window_share": 0.1, "few_words_share": 0.2}


def _by_older_rule(
    rng: np.random.Generator, alive: np.ndarray, depth: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, float]]:
    """The same as bundles built before November 26, 2026 have it."""
    word = np.where(alive, rng.uniform(0.0, 0.7, len(alive)), np.nan)
    sentence = np.where(alive, rng.uniform(0.2, 1.0, len(alive)), np.nan)
    levels = np.where(sentence < 0.5, "high", "mid")
    levels = np.where((depth <= 1 / 3) | (word >= 0.55), "low", levels)
    columns = {
        "word_elsewhere": word,
        "sentence_elsewhere": sentence,
        "same_place": np.where(alive, 0.2, np.nan),
    }
    return columns, levels, {"low_depth": 1 / 3, "word_share": 0.55, "sentence_share": 0.5}


def _text(rng: np.random.Generator, windows: int, window_length: int, hostile: bool) -> Text:
    """Made-up documents of a few windows each, cut into windows of at most window_length."""
    vocabulary = VOCABULARY + HOSTILE
    ids = {word: index for index, word in enumerate(vocabulary)}
    tokens: list[str] = []
    starts: list[bool] = []
    words: list[int] = []
    offsets, documents, positions = [0], [], []
    document = -1
    while len(documents) < windows:
        document += 1
        strange = cycle(HOSTILE) if hostile and document == 0 else None
        length = min(int(rng.integers(2, 9)), windows - len(documents))
        for part in range(length):
            before = len(tokens)
            _window(rng, ids, tokens, starts, words, window_length, part == 0, strange)
            offsets.append(len(tokens))
            documents.append(document)
            positions.append(before - offsets[len(offsets) - 2 - part])
    pieces = {piece: index for index, piece in enumerate(sorted(set(tokens)))}
    return Text(
        tokens,
        np.array(starts),
        np.array([pieces[token] for token in tokens], np.int32),
        np.array(words),
        np.array(offsets),
        np.array(documents),
        np.array(positions),
        vocabulary,
    )


def _window(
    rng: np.random.Generator,
    ids: dict[str, int],
    tokens: list[str],
    starts: list[bool],
    words: list[int],
    window_length: int,
    first: bool,
    strange: Iterator[str] | None,
) -> None:
    """Append one window of whole sentences, cut at a whole word."""
    room = window_length - int(rng.integers(0, 6))
    space = "" if first else " "
    while room > 0:
        for word in _sentence(rng, strange):
            pieces = [word[:6], word[6:]] if 9 <= len(word) < 100 else [word]
            if len(pieces) > room:
                return
            for number, piece in enumerate(pieces):
                tokens.append(space + piece if number == 0 else piece)
                starts.append(number == 0)
                words.append(ids.get(word.lower(), ids.get(word, -1)))
            room -= len(pieces)
            space = "" if word[-1] == "\u201c" else " "
        tokens[-1] = tokens[-1].lstrip()  # the mark that ends a sentence follows without a blank
        space = "\n" if rng.random() < 0.15 else " "


def _sentence(rng: np.random.Generator, strange: Iterator[str] | None) -> list[str]:
    def pick(words: list[str]) -> str:
        return words[int(rng.integers(len(words)))]

    def phrase() -> list[str]:
        adjective = [pick(ADJECTIVES)] if rng.random() < 0.6 else []
        return [pick(DETERMINERS), *adjective, pick(NOUNS)]

    words = [*phrase(), pick(VERBS), *phrase(), pick(PREPOSITIONS), *phrase()]
    if rng.random() < 0.4:
        words += [pick(LINKS), *phrase(), pick(VERBS), *phrase()]
    if strange:
        words.insert(int(rng.integers(1, len(words))), next(strange))
    return [words[0].capitalize(), *words[1:], pick(MARKS)]


def _first_positions(text: Text) -> np.ndarray:
    """(vocabulary, windows) position of the first occurrence of a word in a window, or -1."""
    found = np.full((len(text.vocabulary), text.windows), -1, np.int16)
    window = np.repeat(np.arange(text.windows), np.diff(text.offsets))
    position = np.arange(len(text.tokens)) - text.offsets[window]
    known = (text.words >= 0) & text.word_starts
    order = np.flatnonzero(known)[::-1]  # the first occurrence is written last
    found[text.words[order], window[order]] = position[order]
    return found


def _liked_words(
    rng: np.random.Generator, factors: int, layers: int, text: Text, hostile: bool
) -> np.ndarray:
    """(factors, layers) the vocabulary word that a factor answers to at a layer."""
    early = rng.integers(0, len(VOCABULARY), factors)
    late = rng.integers(0, len(VOCABULARY), factors)
    turn = rng.integers(1, layers + 1, factors)
    liked = np.where(np.arange(layers)[None] < turn[:, None], early[:, None], late[:, None])
    if hostile:
        for factor in range(1, min(5, factors)):
            number = (4 * (factor - 1) + np.arange(layers)) % len(HOSTILE)
            liked[factor] = len(VOCABULARY) + number
    return liked


def _examples(
    rng: np.random.Generator,
    layer: int,
    text: Text,
    liked: np.ndarray,
    first_positions: np.ndarray,
    maximum: np.ndarray,
    examples: int,
    taken: np.ndarray,
) -> Iterator[pa.RecordBatch]:
    """Examples of one layer in blocks of factors; notes how many each factor got."""
    pool = [np.flatnonzero(row >= 0) for row in first_positions]
    shown = [_as_written(text, word, pool[word], first_positions) for word in range(len(pool))]
    for block in _blocks(len(liked), 256):
        columns: list[list[np.ndarray]] = [[], [], [], []]
        written: list[np.ndarray] = []
        for factor in block:
            word = liked[factor, layer]
            candidates = pool[word]
            count = min(examples, len(candidates)) if maximum[factor, layer] > 0 else 0
            taken[factor, layer] = count
            if not count:
                continue
            stride = int(rng.integers(1, len(candidates) + 1))
            while math.gcd(stride, len(candidates)) != 1:
                stride += 1
            chosen = stride * np.arange(7, 7 + count) % len(candidates)
            fall = np.sort(rng.beta(2, 4, count - 1))[::-1] if count > 1 else np.empty(0)
            activation = maximum[factor, layer] * np.concatenate([[1.0], fall]).astype(np.float32)
            columns[0].append(np.full(count, factor, np.int32))
            columns[1].append(candidates[chosen].astype(np.int32))
            columns[2].append(first_positions[word, candidates[chosen]])
            columns[3].append(activation.astype(np.float32))
            written.append(shown[word][chosen])
        if not written:
            continue
        factor_column, window, position, activation = (np.concatenate(c) for c in columns)
        rank = np.arange(len(factor_column)) - np.searchsorted(factor_column, factor_column)
        yield pa.record_batch(
            {
                "factor": factor_column,
                "rank": rank.astype(np.int16),
                "window": window,
                "position": position,
                "word": pa.array(np.concatenate(written), pa.string()),
                "activation": activation,
            }
        )


def _as_written(
    text: Text, word: int, windows: np.ndarray, first_positions: np.ndarray
) -> np.ndarray:
    """The word as it stands in the text (case kept) at its first occurrence in each window."""
    result = np.empty(len(windows), object)
    for row, window in enumerate(windows):
        start = text.offsets[window] + first_positions[word, window]
        stop = start + 1
        while stop < text.offsets[window + 1] and not text.word_starts[stop]:
            stop += 1
        result[row] = "".join(text.tokens[start:stop]).strip()
    return result


def _atoms(rng: np.random.Generator, factors: int, width: int) -> np.ndarray:
    atoms = rng.standard_normal((factors, width)).astype(np.float32)
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def _own_part(folder: Path, seed: int, layers: int, width: int) -> dict[str, object]:
    """Write what 30 tokens bring of their own, and return what the manifest says of it."""
    rng = np.random.default_rng([seed, 7])
    rows, numbers = {"mean": 1, "prior": width, "basis": 5, "place": 12}, layers * width
    parts = {
        name: (
            rng.integers(-32767, 32768, (count, numbers)).astype(np.int16),
            rng.uniform(0, 1e-4, count).astype(np.float32),
        )
        for name, count in rows.items()
    }
    token_ids = np.arange(0, 90, 3, dtype=np.int32)
    codes = rng.integers(-127, 128, (30, 5)).astype(np.int8)
    steps = rng.uniform(0, 1e-2, 30).astype(np.float32)
    counts = rng.integers(1, 900, 30).astype(np.int32)
    write_baseline(folder, parts, token_ids, counts, (codes, steps))
    return {"kind": "token", "tokens": 30, "rank": 5, "places": 12, "states": int(counts.sum())}


def _learnt_again(seed: int, atoms: np.ndarray, steadiness: np.ndarray) -> np.ndarray:
    """A second dictionary that is near the first, atom by atom in another order."""
    rng = np.random.default_rng([seed, 1])
    strange = _atoms(rng, *atoms.shape)
    second = steadiness[:, None] * atoms + (1 - steadiness[:, None]) * strange
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    return second[rng.permutation(len(second))].astype(np.float32)


def _counts(rng: np.random.Generator, active: np.ndarray, bins: int) -> np.ndarray:
    """(rows, bins) histogram counts that add up to the active tokens and fall off to the right."""
    share = np.exp(-np.arange(bins) / 4)
    share /= share.sum()
    counts = np.floor(active[:, None] * share).astype(np.int32)
    counts[:, 0] += active.astype(np.int32) - counts.sum(1, dtype=np.int32)
    return counts


def _list_batch(factor: np.ndarray, layer: np.ndarray, counts: np.ndarray) -> pa.RecordBatch:
    offsets = np.arange(len(counts) + 1, dtype=np.int32) * counts.shape[1]
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(counts.ravel()))
    return pa.record_batch({"factor": factor, "layer": layer, "counts": lists})


def _blocks(count: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def _write_word_index(
    folder: Path,
    rng: np.random.Generator,
    liked: np.ndarray,
    maximum: np.ndarray,
    text: Text,
    words_per_factor: int,
) -> None:
    factor, layer = (axis.astype(np.int32) for axis in np.nonzero(maximum))
    names = sorted({word.casefold() for word in text.vocabulary})
    number = np.array([names.index(word.casefold()) for word in text.vocabulary])
    occurrences = np.bincount(number[text.words[text.words >= 0]], minlength=len(names))
    present = np.flatnonzero(occurrences)
    offset = np.arange(min(words_per_factor, len(present)))
    first = np.searchsorted(present, number[liked[factor, layer]])
    word = present[(first[:, None] + offset) % len(present)]
    times = rng.integers(1, np.maximum(occurrences[word] // (1 + offset), 1) + 1)
    strength = maximum[factor, layer][:, None] * rng.uniform(0.1, 0.6, word.shape)
    written = pa.DictionaryArray.from_arrays(pa.array(word.ravel()), pa.array(names))
    write_words(
        folder,
        pa.table(
            {
                "word": written.cast(pa.string()),
                "factor": np.repeat(factor, len(offset)),
                "layer": np.repeat(layer, len(offset)).astype(np.int16),
                "count": times.ravel().astype(np.int32),
                "mean_activation": strength.ravel().astype(np.float32),
                "occurrences": occurrences[word].ravel().astype(np.int32),
            }
        ),
    )


def _write_retention(
    folder: Path,
    rng: np.random.Generator,
    factors: int,
    peak: np.ndarray,
    alive: np.ndarray,
    sentence: np.ndarray,
) -> None:
    radii = [0, 1, 2, 4, 8, 16, 32, 64, 128]
    living = np.flatnonzero(alive)
    kinds = ["radius"] * len(radii) + ["sentence", "word"]
    grow = 1 - np.exp(-(np.array(radii) + 1) / rng.uniform(1, 20, (len(living), 1)))
    retained = np.column_stack([grow, sentence[living], sentence[living] * 0.6])
    write_table(
        folder,
        "retention.parquet",
        pa.table(
            {
                "factor": np.repeat(living, len(kinds)),
                "layer": np.repeat(peak[living], len(kinds)),
                "kind": kinds * len(living),
                "radius": np.tile([*radii, -1, -1], len(living)),
                "retained": retained.ravel(),
            }
        ),
    )


def _write_saliency(
    folder: Path,
    rng: np.random.Generator,
    text: Text,
    first_positions: np.ndarray,
    liked: np.ndarray,
    layers: list[int],
    alive: np.ndarray,
    peak: np.ndarray,
    taken: np.ndarray,
) -> None:
    """LIME weights for the three best examples of every tenth factor at its peak layer."""
    model = {"layers": layers, "width": 0}
    bundle = Bundle(folder, {"model": model, "dictionary": {"factors": len(alive)}})
    rows: dict[str, list] = {name: [] for name in ("factor", "layer", "rank", "weights")}
    for factor in np.flatnonzero(alive)[::10][:200]:
        layer = int(peak[factor])
        for example in bundle.examples(int(factor), layer, top=3).to_dict("records"):
            size = int(np.diff(text.offsets)[example["window"]])
            weights = np.where(rng.random(size) < 0.3, rng.normal(0, 0.2, size), 0.0)
            weights[example["position"]] = 1.0
            rows["factor"].append(int(factor))
            rows["layer"].append(layer)
            rows["rank"].append(example["rank"])
            rows["weights"].append(weights.astype(np.float32))
    count = len(rows["factor"])
    more = {
        "method": ["lime"] * count,
        "score": rng.uniform(0.3, 0.95, count),
        "samples": [1000] * count,
        "seed": [0] * count,
        "errors": [np.full(len(row), 0.03, np.float32) for row in rows["weights"]],
        "activation": [1.0] * count,
        "stability": rng.uniform(0.7, 0.99, count),
        "agreement": rng.uniform(0.5, 0.95, count),
    }
    write_table(folder, "saliency.parquet", pa.table(rows | more))


def _labels_and_map(seed: int, alive: np.ndarray) -> dict[str, object]:
    rng = np.random.default_rng([seed, 2])
    kind = np.array(LABEL_KINDS)[np.arange(len(alive)) % len(LABEL_KINDS)]
    scored = alive & (kind != "mixed")
    judge = np.where(kind == "topic", "held out windows", "held out")
    x, y = rng.normal(0, 20, (2, len(alive)))
    return {
        "label_kind": np.where(alive, kind, "").tolist(),
        "label_rule": np.where(scored, "the word is “made up”", "").tolist(),
        "label_judge": np.where(scored, judge, "").tolist(),
        "label_precision": np.where(scored, rng.uniform(0.3, 1, len(alive)), np.nan),
        "label_recall": np.where(scored, rng.uniform(0.3, 1, len(alive)), np.nan),
        "map_x": np.where(alive, x, np.nan),
        "map_y": np.where(alive, y, np.nan),
    }


def _regions(columns: dict[str, object], names: list[list[str]]) -> pa.Table:
    """Made-up regions: tiles of the map that hold about as many factors each."""
    x, y = (np.asarray(columns[name], np.float32) for name in ("map_x", "map_y"))
    living = np.flatnonzero(np.isfinite(x))
    rows = []
    for zoom, count in enumerate(region_counts(len(living))):
        strips = np.array_split(living[np.argsort(x[living])], max(1, round(count**0.5)))
        tiles = [
            tile
            for strip in strips
            for tile in np.array_split(strip[np.argsort(y[strip])], max(1, count // len(strips)))
            if len(tile)
        ]
        for number, tile in enumerate(tiles):
            middle = tile[len(tile) // 2]
            name = ", ".join(word[:24] for word in names[tile[0]][:2]) if number % 5 != 4 else ""
            rows.append(
                {
                    "zoom": zoom,
                    "region": number,
                    "name": name,
                    "shared": 0.5 if name else 0.0,
                    "x": x[middle],
                    "y": y[middle],
                    "factors": np.sort(tile).tolist(),
                }
            )
    return pa.Table.from_pylist(rows, schema=SCHEMAS["regions"])


def _example_blocks(folder: Path, factors: int, layers: list[int]) -> Iterator[pd.DataFrame]:
    """The examples of all layers, some factors at a time, by factor, layer and rank."""
    for block in _blocks(factors, 256):
        mine = [("factor", ">=", int(block[0])), ("factor", "<=", int(block[-1]))]
        frames = []
        for layer in layers:
            found = pq.read_table(folder / example_file(layer), filters=mine).to_pandas()
            frames.append(found.assign(layer=np.int16(layer)))
        rows = pd.concat(frames).sort_values(["factor", "layer", "rank"], ignore_index=True)
        if len(rows):
            yield rows


def _contexts(
    rng: np.random.Generator, folder: Path, factors: int, layers: list[int], text: Text
) -> Iterator[pa.Table]:
    """At each of the 20 strongest examples up to five more tokens that are weakly active."""
    lengths = np.diff(text.offsets)
    for block in _example_blocks(folder, factors, layers):
        top = block[block["rank"] < 20]
        length = lengths[top["window"]]
        rows = np.arange(len(top))
        activation = np.zeros((len(top), length.max()), np.float32)
        for _ in range(5):
            value = top["activation"] * rng.uniform(0.02, 0.7, len(top))
            activation[rows, rng.integers(0, length)] = value.astype(np.float32)
        activation[rows, top["position"]] = top["activation"]
        row, position = np.nonzero(activation)
        offsets = pa.array(np.searchsorted(row, np.arange(len(top) + 1)).astype(np.int32))
        positions = pa.array(position.astype(np.int16))
        yield pa.table(
            {name: top[name].to_numpy() for name in ("factor", "layer", "rank")}
            | {
                "positions": pa.ListArray.from_arrays(offsets, positions),
                "activations": pa.ListArray.from_arrays(
                    offsets, pa.array(activation[row, position])
                ),
            }
        )


def _samples(
    rng: np.random.Generator, folder: Path, factors: int, layers: list[int]
) -> Iterator[pa.Table]:
    """Some of the examples, as if the factors were active nowhere else."""
    for block in _example_blocks(folder, factors, layers):
        of_factor = block.groupby(["factor", "layer"])
        block["quantile"] = 1 - block["rank"] / of_factor["rank"].transform("size")
        drawn = block[rng.random(len(block)) < 0.4].copy()
        drawn["rank"] = drawn.groupby(["factor", "layer"]).cumcount()
        yield pa.Table.from_pandas(drawn, preserve_index=False)


def _effects(rng: np.random.Generator, maximum: np.ndarray) -> pa.Table:
    """Made-up effects of the factors that are active below the last layer."""
    below = maximum.copy()
    below[:, -1] = 0
    factor = np.flatnonzero(below.max(axis=1) > 0)
    removed = rng.uniform(0.005, 0.1, len(factor))
    random = rng.uniform(0.005, 0.03, len(factor))
    columns = {
        "factor": factor,
        "layer": below[factor].argmax(axis=1),
        "examples": np.full(len(factor), 6),
        "directions": np.full(len(factor), 2),
        "removed": removed,
        "removed_error": removed / 7,
        "random": random,
        "random_error": random / 9,
        "ratio": removed / random,
        "ratio_error": 0.1 * removed / random,
        "above": rng.uniform(0, 1, len(factor)),
        "elsewhere": rng.uniform(0, 1, len(factor)),
    }
    return pa.table(columns).cast(SCHEMAS["effects"])


def _write_origins(
    folder: Path, rng: np.random.Generator, peak: np.ndarray, names: list[list[str]]
) -> None:
    """Made-up sources, at most ten, of the factors that peak above the lowest layer.

    The first of four factors is mostly itself one layer below.
    """
    rows = []
    for factor in np.flatnonzero(peak > 0).tolist():
        others = np.delete(np.arange(len(peak)), factor)
        sources = rng.choice(others, min(7, len(others)), replace=False).tolist()
        words = dict.fromkeys(name.casefold() for name in names[factor])
        shares = iter(-np.sort(-rng.uniform(0.01, 0.3, len(sources) + len(words))))
        if factor % 4 == 0:
            rows.append({"factor": factor, "source": factor, "word": "", "share": 0.6})
        rows += [
            {"factor": factor, "source": source, "word": word, "share": sign * next(shares)}
            for source, word, sign in [
                *((source, "", 1 if source % 5 else -1) for source in sources),
                *((-1, word, 1) for word in words if word),
            ]
        ]
    table = pd.DataFrame(rows, columns=["factor", "source", "word", "share"])
    n = len(table)
    table["kind"] = np.where(table["source"] < 0, "word", "factor")
    table["rank"] = table.groupby("factor").cumcount()
    table["layer"] = peak[table["factor"].to_numpy(int)] - 1
    table["offset"] = rng.integers(-3, 2, n)
    table["there"], table["before"] = rng.uniform(0.2, 1, n), rng.uniform(0, 1, n)
    table["spread"] = table["share"].abs() / 3
    table["found"], table["examples"] = rng.integers(1, 7, n), 6
    float32 = dict.fromkeys(["there", "before", "share", "spread"], np.float32)
    write_origins(folder, table.astype(float32))


def _neighbours(rng: np.random.Generator, atoms: np.ndarray) -> Iterator[pa.Table]:
    """The nearest atoms, and others drawn by lot as firing together."""
    m = len(atoms)
    n = min(10, m - 1)
    for block in _blocks(m, 256):
        cosine = atoms[block] @ atoms.T
        cosine[np.arange(len(block)), block] = -2
        nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :n]
        drawn = (block[:, None] + 1 + rng.integers(0, max(m // 10, 1), (len(block), 1))) % m
        drawn = (drawn + np.arange(n)) % m
        drawn = np.where(drawn == block[:, None], (drawn[:, :1] - 1) % m, drawn)
        together = -np.sort(-rng.uniform(0, 0.9, (len(block), n)), axis=1)
        shape = (len(block), 2, n)
        other = np.stack([nearest, drawn], axis=1)
        value = np.stack([np.take_along_axis(cosine, nearest, 1), together], axis=1)
        kind = np.array(["cosine", "together"])[:, None]
        columns = [
            np.broadcast_to(block[:, None, None], shape),
            np.broadcast_to(kind, shape),
            np.broadcast_to(np.arange(n), shape),
            other,
            value,
        ]
        names = ["factor", "kind", "rank", "other", "value"]
        yield pa.table([pa.array(column.ravel()) for column in columns], names)


def _near_tokens(rng: np.random.Generator, factors: int, text: Text) -> Iterator[pa.Table]:
    """Tokens drawn by lot, hostile ones among them."""
    tokens = np.array(sorted({token.strip() for token in text.tokens}), object)
    kinds = ["input", "logit", "logit_low"]
    for block in _blocks(factors, 256):
        value = -np.sort(-rng.uniform(0.05, 0.9, (len(block), 3, 10)), axis=2)
        value[:, 2] *= -1
        rows = len(block) * 30
        yield pa.table(
            {
                "factor": np.repeat(block, 30),
                "kind": np.tile(np.repeat(kinds, 10), len(block)),
                "rank": np.tile(np.arange(10), len(block) * 3),
                "token": pa.array(tokens[rng.integers(0, len(tokens), rows)], pa.string()),
                "value": value.ravel(),
            }
        )


SENSES_OF = ("bank", "left")  # words of which two senses are made up


def _write_senses(folder: Path, text: Text, layers: list[int], maximum: np.ndarray) -> None:
    """Of two words: every third occurrence wakes factors 3 and 4, the others 5 and 6."""
    rows, known = [], []
    for word in sorted(SENSES_OF):
        places = []
        for window in range(text.windows):
            first, last = text.offsets[window : window + 2]
            here = [p for p in range(last - first) if text.tokens[first + p].strip() == word]
            places += [(window, here[0])] if here else []
        places = places[:48]
        known.append((word, layers[-1], len(places), 2, 0.9, 0.3))
        for n, (window, position) in enumerate(places):
            for at, layer in enumerate(layers):
                factors = (3, 4) if n % 3 == 0 else (5, 6)
                values = [float(0.5 * maximum[f, at]) for f in factors]
                pair = sorted(zip(values, factors, strict=True), reverse=True)
                found = [(v, f) for v, f in pair if v > 0]
                numbers, strengths = [f for _, f in found], [v for v, _ in found]
                rows.append((word, window, position, layer, numbers, strengths))
    names = ["word", "window", "position", "layer", "factors", "activations"]
    frame = pd.DataFrame(rows, columns=names)
    write_table(folder, "occurrences.parquet", frame)
    names = ["word", "layer", "occurrences", "groups", "silhouette", "chance"]
    write_table(folder, "senses.parquet", pd.DataFrame(known, columns=names))


def _write_text(folder: Path, text: Text) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        tokens, ids = pa.array(text.tokens, pa.string()), pa.array(text.token_ids)
        starts = pa.array(text.word_starts)
        for block in _blocks(text.windows, 1024):
            first, last = int(text.offsets[block[0]]), int(text.offsets[block[-1] + 1])
            offsets = pa.array((text.offsets[block[0] : block[-1] + 2] - first).astype(np.int32))
            lists = [
                pa.ListArray.from_arrays(offsets, flat.slice(first, last - first))
                for flat in (tokens, ids, starts)
            ]
            yield pa.record_batch(
                {
                    "window": block,
                    "document": text.documents[block],
                    "start": text.starts[block],
                    "tokens": lists[0],
                    "token_ids": lists[1],
                    "word_starts": lists[2],
                }
            )

    write_table(folder, "windows.parquet", batches())
    count = int(text.documents[-1]) + 1
    lengths = np.bincount(text.documents, weights=np.diff(text.offsets))
    write_table(
        folder,
        "documents.parquet",
        pa.table(
            {
                "document": np.arange(count),
                "source": ["made-up"] * count,
                "title": [
                    f"Chapter {n}" if n else "A hostile <b>title</b> $x$" for n in range(count)
                ],
                "year": pa.array([None if n % 3 == 0 else 1800 + n % 200 for n in range(count)]),
                "held_out": np.arange(count) % 20 == 7,
                "tokens": lengths.astype(np.int32),
            }
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    for name, default in {"factors": 40, "layers": 4, "examples": 50, "windows": 200}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--window-length", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", action="store_true", help="16,384 factors, 13 layers")
    options = vars(parser.parse_args())
    folder, large = options.pop("out"), options.pop("large")
    if large:
        options |= {"factors": 16_384, "layers": 13, "examples": 200, "windows": 25_000}
        options |= {"width": 768, "window_length": 128}
    write_synthetic_bundle(folder, **options)


if __name__ == "__main__":
    main()
