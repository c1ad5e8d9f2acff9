"""`tfactors import-site`: the published website of the 2021 paper as a bundle.

In goes a checkout of the site (github.com/transformervis/transformervis), out comes a bundle of its
532 factors at the layers 0, 2, 4, 6, 8, 10 of bert-base-uncased: every word in context, the colours
of LIME as signed weights, the curves read from their pictures, the published lists of levels.

The site shows no activation and no dictionary. In their place the bundle has the rank: the
"activation" of an example is one more than the number of examples listed after it. What else cannot
be known is missing, and the manifest says under ``website`` what the pages have to explain.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

import tfactors
from tfactors import whole_words
from tfactors.bundle import SCHEMAS, Bundle, example_file, write_manifest, write_table, write_words
from tfactors.bundle_format import listed_levels, table_schema
from tfactors.errors import InputError
from tfactors.levels import LOW_DEPTH, SENTENCE_SHARE, classify, depths, peak_layers
from tfactors.website_2021_curves import read_curve
from tfactors.website_2021_pages import PublishedExample, read_page

LAYERS = [0, 2, 4, 6, 8, 10]
FACTORS, SHORT_FACTORS = 532, 500
BLOCKS, WIDTH = 12, 768
# Examples on a page of the short and of the long dictionary.
SHORT_EXAMPLES, LONG_EXAMPLES = 200, 21
# The site never had these pages.
NEVER_PUBLISHED = {(factor, 6) for factor in range(528, 532)}
LEVELS = ("low", "mid", "high")
WINDOWS_A_WRITE = 4096
WORDS_A_FACTOR, WORDS_A_LABEL, WORDS_A_LAYER = 10, 3, 30
# Columns of the long dictionary that factors of the site are known to be.
LONG_COLUMNS = {
    500: 70, 501: 170, 502: 178, 503: 297, 504: 322, 505: 386, 506: 306, 507: 488, 508: 469,
    509: 273, 510: 432,
}  # fmt: skip
NOTES = [
    "The site shows examples in order and no activations, so ranks stand in their place; the "
    "curves are read from pictures whose axes are scaled for each factor, so they have a shape and "
    "no height.",
    "Two dictionaries stand behind the one number box: factors 0 to 499 are the first of a "
    "dictionary learnt on short windows, 500 to 531 are 32 columns of another, learnt on long "
    "ones and numbered anew. The paper's Φ:,297, Φ:,322 and Φ:,386 are 503, 504 and 505 here, and "
    "have nothing to do with the factors 297, 322 and 386.",
    "Layer 6 was never published for factors 528 to 531.",
]


@dataclass
class _Text:
    """The windows of all examples, each text stored once, and the words in them."""

    lengths: list[int] = field(default_factory=list)
    numbers: dict[bytes, int] = field(default_factory=dict)
    tokens_of_word: Counter[str] = field(default_factory=Counter)
    ends: list[int] = field(default_factory=lambda: [0, 0])  # where the next window starts
    sizes: list[int] = field(default_factory=lambda: [0, 0])  # tokens of each document
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def number(self, example: PublishedExample, document: int, again: int) -> int:
        """Return the number of an example's window; ``again`` tells equal ones of a page apart."""
        content = repr((document, again, example.tokens, example.word_starts))
        key = hashlib.blake2b(content.encode(), digest_size=16).digest()
        number = self.numbers.setdefault(key, len(self.lengths))
        if number == len(self.lengths):
            length = len(example.tokens)
            self.lengths.append(length)
            self.tokens_of_word.update(
                word.casefold() for word in whole_words.words(example.tokens, example.word_starts)
            )
            self.waiting.append({
                "window": number, "document": document, "start": self.ends[document],
                "tokens": example.tokens, "token_ids": [-1] * length,
                "word_starts": example.word_starts,
            })  # fmt: skip
            self.ends[document] += length + 1  # a gap: the next window is no neighbour of it
            self.sizes[document] += length
        return number

    def table(self) -> pa.Table:
        """Return the windows that wait to be written, and forget them."""
        rows, self.waiting = self.waiting, []
        return pa.Table.from_pylist(rows, schema=SCHEMAS["windows"])


@dataclass
class _Examples:
    """The examples of one factor at one layer, strongest first."""

    windows: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    weights: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def places(self) -> np.ndarray:
        """What stands for the activation: how many examples are not ranked before, (n,)."""
        return np.arange(len(self.windows), 0, -1, dtype=np.float32)


def import_site(site: str | Path, folder: str | Path, show_progress: bool = True) -> Bundle:
    """Turn a checkout of the 2021 website into a bundle.

    A page or picture that is missing or damaged is left out, said on standard error and listed in
    the manifest; the others are kept.

    Raises
    ------
    InputError
        The folder is no checkout of the site or has no readable page, or ``folder`` is taken.
    """
    site, folder = Path(site), Path(folder)
    pages = site / "sparse_code_data"
    if not pages.is_dir():
        raise InputError(
            f"{site}: holds no folder sparse_code_data; give a checkout of the 2021 website "
            "(github.com/transformervis/transformervis)"
        )
    if not any(pages.glob("d_*_l_*.html")):
        raise InputError(f"{pages}: holds no page d_FACTOR_l_LAYER.html; check the checkout out")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds something else; give a new or empty folder")
    try:
        problems = _write_bundle(site, folder, show_progress)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it was new or empty: all in it is ours
        raise
    # What is not there at all comes before pages that are only short.
    for problem in sorted(problems, key=lambda line: "where the site has" in line)[:10]:
        print(f"tfactors: {problem}", file=sys.stderr)
    if len(problems) > 10:
        more = len(problems) - 10
        print(f"tfactors: and {more:,} more; manifest.json lists all", file=sys.stderr)
    return Bundle.open(folder)


def _write_bundle(site: Path, folder: Path, show_progress: bool) -> list[str]:
    """Write every table and the manifest; return what was missing or damaged."""
    problems: list[str] = []
    text, examples = _Text(), defaultdict[tuple[int, int], _Examples](_Examples)
    pages = _read_pages(site / "sparse_code_data", text, examples, problems, show_progress)
    write_table(folder, "windows.parquet", pages)
    if not examples:
        raise InputError(f"{site}: none of its pages can be read ({problems[0]})")
    curves = _read_curves(site / "sparse_code_img", problems)
    published = _read_levels(site, problems)
    _write_documents(folder, text)
    _write_examples(folder, examples)
    _write_importance(folder, examples, curves, sum(text.lengths))
    levels, agreement = _write_factors(folder, examples, curves, published)
    _write_saliency(folder, examples)
    _write_word_index(folder, examples, text)
    write_table(folder, "retention.parquet", SCHEMAS["retention"].empty_table())
    manifest = _manifest(text, levels)
    manifest["website"] = {
        "notes": NOTES, "levels": published, "agreement": agreement, "missing": problems,
        "long_columns": {str(number): column for number, column in LONG_COLUMNS.items()},
    }  # fmt: skip
    write_manifest(folder, manifest)
    return problems


def _read_pages(
    pages: Path,
    text: _Text,
    examples: dict[tuple[int, int], _Examples],
    problems: list[str],
    show_progress: bool,
) -> Iterator[pa.Table]:
    """Read every page, yield its windows as they come, and collect its examples."""
    places = [(factor, layer) for factor in range(FACTORS) for layer in LAYERS]
    for factor, layer in tqdm(places, "pages", disable=None if show_progress else True):
        path = pages / f"d_{factor}_l_{layer}.html"
        try:
            found = read_page(path.read_text("utf-8"))
        except FileNotFoundError:
            if (factor, layer) not in NEVER_PUBLISHED:
                problems.append(f"{path.name}: missing; the other pages are kept")
            continue
        except (OSError, UnicodeDecodeError, InputError) as error:
            problems.append(f"{path.name}: {str(error).splitlines()[0]}; left out")
            continue
        expected = SHORT_EXAMPLES if factor < SHORT_FACTORS else LONG_EXAMPLES
        if len(found) != expected:
            problems.append(f"{path.name}: {len(found)} examples where the site has {expected}")
        mine = examples[factor, layer]
        seen: Counter[tuple[str, ...]] = Counter()
        for example in found:
            again = seen[example.tokens]
            seen[example.tokens] += 1
            number = text.number(example, int(factor >= SHORT_FACTORS), again)
            mine.windows.append(number)
            mine.positions.append(example.position)
            mine.words.append(
                whole_words.word_at(example.tokens, example.word_starts, example.position)
            )
            if example.weights is not None:
                mine.weights.append(example.weights)
        if len(text.waiting) >= WINDOWS_A_WRITE:
            yield text.table()
    yield text.table()


def _read_curves(folder: Path, problems: list[str]) -> np.ndarray:
    """Return the height of every factor's curve at every layer, (factors, layers); NaN: unknown."""
    curves = np.full((FACTORS, len(LAYERS)), np.nan)
    for factor in range(FACTORS):
        path = folder / f"d_{factor}.png"
        try:
            if not path.is_file():
                raise InputError(f"{path}: missing")
            curves[factor] = read_curve(path, len(LAYERS))
        except InputError as error:
            problems.append(str(error).replace(f"{path}", path.name))
    return curves


def _read_levels(site: Path, problems: list[str]) -> dict[str, list[int]]:
    """Return the factors that the site lists at each level."""
    found: dict[str, list[int]] = {}
    for level in LEVELS:
        path = site / f"{level}_level.js"
        listed = re.search(r"\[([\d\s,]*)\]", path.read_text("utf-8")) if path.is_file() else None
        if listed is None:
            problems.append(f"{path.name}: missing, or without a list of numbers")
        numbers = re.findall(r"\d+", listed[1]) if listed else []
        found[level] = sorted({int(number) for number in numbers if int(number) < FACTORS})
    return found


def _write_documents(folder: Path, text: _Text) -> None:
    write_table(folder, "documents.parquet", pa.table({
        "document": [0, 1],
        "source": [source["name"] for source in SOURCES],
        "title": ["WikiText-103, a clipped context", "WikiText-103, a window"],
        "year": pa.nulls(2, pa.int16()),
        "held_out": [False, False],
        "tokens": text.sizes,
    }))  # fmt: skip


def _write_examples(folder: Path, examples: dict[tuple[int, int], _Examples]) -> None:
    def tables(layer: int) -> Iterator[pa.Table]:
        for factor in range(FACTORS):
            if mine := examples.get((factor, layer)):
                yield pa.table({
                    "factor": np.full(len(mine.windows), factor, np.int32),
                    "rank": np.arange(len(mine.windows), dtype=np.int16),
                    "window": np.array(mine.windows, np.int32),
                    "position": np.array(mine.positions, np.int16),
                    "word": mine.words,
                    "activation": mine.places,
                })  # fmt: skip

    for layer in LAYERS:
        write_table(folder, example_file(layer), tables(layer))


def _counts(examples: dict[tuple[int, int], _Examples]) -> np.ndarray:
    """Return the number of examples of every factor at every layer, (factors, layers)."""
    return np.array(
        [
            [len(examples[c, layer].windows) if (c, layer) in examples else 0 for layer in LAYERS]
            for c in range(FACTORS)
        ]
    )


def _write_importance(
    folder: Path, examples: dict[tuple[int, int], _Examples], curves: np.ndarray, tokens: int
) -> None:
    counts = _counts(examples)
    grid = {
        "factor": np.repeat(np.arange(FACTORS, dtype=np.int32), len(LAYERS)),
        "layer": np.tile(np.array(LAYERS, np.int16), FACTORS),
    }
    write_table(folder, "importance.parquet", pa.table(grid | {
        "importance": np.nan_to_num(curves).ravel(),
        "density": (counts / tokens).ravel(),
        "maximum": counts.ravel().astype(np.float32),
    }))  # fmt: skip
    bins = pa.array([[int(count)] for count in counts.ravel()], pa.list_(pa.int32()))
    write_table(folder, "histograms.parquet", pa.table(grid | {"counts": bins}))


def _write_factors(
    folder: Path,
    examples: dict[tuple[int, int], _Examples],
    curves: np.ndarray,
    published: dict[str, list[int]],
) -> tuple[dict[str, int], dict[str, int]]:
    """Write what is known of each factor; how many have which level, and how lists fit peaks."""
    alive = _counts(examples).max(axis=1) > 0
    known = alive & ~np.isnan(curves[:, 0]) & (np.nan_to_num(curves).max(axis=1) > 0)
    peak = np.where(known, peak_layers(np.nan_to_num(curves), LAYERS), -1)
    depth = np.where(known, depths(peak, BLOCKS), np.nan)
    unknown = np.full(FACTORS, np.nan)
    level = classify(depth, unknown, unknown)
    listed = np.array(
        listed_levels({"dictionary": {"factors": FACTORS}, "website": {"levels": published}})
    )
    agreement = {
        name: int((known & (listed == name) & np.isin(peak, where)).sum())
        for name, where in (("low", [0, 2]), ("mid", [8, 10]), ("high", [8, 10]))
    }
    agreement |= {f"{name}_listed": int((known & (listed == name)).sum()) for name in LEVELS}
    level = np.where(alive, np.where(listed != "", listed, level), "")
    words: list[list[str]] = []
    for factor in range(FACTORS):
        at = LAYERS[int(np.argmax(np.nan_to_num(curves[factor])))]
        mine = examples.get((factor, at), _Examples())
        common = Counter(word.casefold() for word in mine.words).most_common(WORDS_A_FACTOR)
        words.append([word for word, _ in common])
    write_table(folder, "factors.parquet", pa.table({
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
    }))  # fmt: skip
    return {name: int((level == name).sum()) for name in LEVELS}, agreement


def _write_saliency(folder: Path, examples: dict[tuple[int, int], _Examples]) -> None:
    schema = table_schema("saliency", width=0, columns=())  # of the colours no error was published

    def tables() -> Iterator[pa.Table]:
        for (factor, layer), mine in sorted(examples.items()):
            rows = [
                {"factor": factor, "layer": layer, "rank": rank, "method": "lime",
                 "weights": weights, "score": 0.0, "samples": 0, "seed": 0}
                for rank, weights in enumerate(mine.weights)
            ]  # fmt: skip
            if rows:
                yield pa.Table.from_pylist(rows, schema=schema)

    write_table(folder, "saliency.parquet", tables())


def _write_word_index(
    folder: Path, examples: dict[tuple[int, int], _Examples], text: _Text
) -> None:
    rows: dict[str, list[Any]] = {name: [] for name in SCHEMAS["words"].names}
    for (factor, layer), mine in sorted(examples.items()):
        places: dict[str, list[float]] = defaultdict(list)
        for word, place in zip(mine.words, mine.places.tolist(), strict=True):
            places[word.casefold()].append(place)
        strongest = sorted(places.items(), key=lambda item: (-sum(item[1]), item[0]))
        for word, found in strongest[:WORDS_A_LAYER]:
            values = (word, factor, layer, len(found), sum(found) / len(found),
                      text.tokens_of_word[word])  # fmt: skip
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
    write_words(folder, pa.table(rows, schema=SCHEMAS["words"]))


SOURCES = [
    {
        "name": "short",
        "title": "Contexts of factors 0 to 499 on the website of 2021 (WikiText-103)",
        "licence": "CC BY-SA (WikiText-103); the website states none",
        "attribution": "Yun, Chen, Olshausen and LeCun; Wikipedia's authors",
    },
    {
        "name": "long",
        "title": "Windows of factors 500 to 531 on the website of 2021 (WikiText-103)",
        "licence": "CC BY-SA (WikiText-103); the website states none",
        "attribution": "Yun, Chen, Olshausen and LeCun; Wikipedia's authors",
    },
]


def _manifest(text: _Text, levels: dict[str, int]) -> dict[str, Any]:
    sources = [
        source | {"documents": 1, "tokens": tokens}
        for source, tokens in zip(SOURCES, text.sizes, strict=True)
    ]
    return {
        "title": "The website of the 2021 paper: BERT on WikiText-103",
        "model": {
            "name": "bert-base-uncased", "sha256": "", "layers": LAYERS, "blocks": BLOCKS,
            "width": WIDTH,
        },
        "corpus": {
            "sources": sources, "documents": 2, "windows": len(text.lengths),
            "tokens": sum(text.lengths), "window_length": max(text.lengths),
        },
        # λ is that of the published command line; the site itself names none.
        "coding": {
            "method": "published", "penalty": 0.3, "tol": 0.0,
            "scale": {str(layer): 1.0 for layer in LAYERS},
        },
        "dictionary": {"factors": FACTORS, "seed": 0, "samples": 0},
        "importance": {
            "k": 500, "examples": SHORT_EXAMPLES, "retention_examples": 0,
            "levels": {"low_depth": LOW_DEPTH, "sentence_share": SENTENCE_SHARE},
        },
        "histogram": {"edges": [0.0, 1000.0]},
        "metrics": {"levels": levels},
        "settings": {},
        "tfactors": tfactors.__version__,
        "created": {"at": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": {}},
    }  # fmt: skip
