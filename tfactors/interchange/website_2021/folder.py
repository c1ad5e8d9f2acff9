"""A checkout of the 2021 website, read: its pages of examples, its curves, its lists of levels.

In goes the folder; out come the examples of every factor at every layer, strongest first, the
windows that they stand in, each text once, the height of every curve, and a line for all that is
missing or damaged. :mod:`tfactors.interchange.website_2021.pages` reads one page, and
:mod:`tfactors.interchange.website_2021.curves` one picture.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from tfactors.bundle.format import SCHEMAS
from tfactors.errors import InputError
from tfactors.interchange.website_2021.curves import read_curve
from tfactors.interchange.website_2021.pages import PublishedExample, read_page
from tfactors.text import words as whole_words

LAYERS = [0, 2, 4, 6, 8, 10]
FACTORS, SHORT_FACTORS = 532, 500
# Examples on a page of the short and of the long dictionary.
SHORT_EXAMPLES, LONG_EXAMPLES = 200, 21
# The site never had these pages.
NEVER_PUBLISHED = {(factor, 6) for factor in range(528, 532)}
LEVELS = ("low", "mid", "high")
WINDOWS_A_WRITE = 4096


@dataclass
class SiteText:
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
            self.waiting.append(
                {
                    "window": number,
                    "document": document,
                    "start": self.ends[document],
                    "tokens": example.tokens,
                    "token_ids": [-1] * length,
                    "word_starts": example.word_starts,
                }
            )
            self.ends[document] += length + 1  # a gap: the next window is no neighbour of it
            self.sizes[document] += length
        return number

    def table(self) -> pa.Table:
        """Return the windows that wait to be written, and forget them."""
        rows, self.waiting = self.waiting, []
        return pa.Table.from_pylist(rows, schema=SCHEMAS["windows"])


@dataclass
class SiteExamples:
    """The examples of one factor at one layer, strongest first."""

    windows: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    weights: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def places(self) -> np.ndarray:
        """What stands for the activation: how many examples are not ranked before, (n,)."""
        return np.arange(len(self.windows), 0, -1, dtype=np.float32)


def read_pages(
    pages: Path,
    text: SiteText,
    examples: dict[tuple[int, int], SiteExamples],
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
        except UnicodeDecodeError:
            problems.append(f"{path.name}: no text in UTF-8; left out")
            continue
        except OSError as error:
            problems.append(f"{path.name}: {error.strerror}; left out")
            continue
        except InputError as error:
            problems.append(f"{path.name}: {error}; left out")
            continue
        expected = SHORT_EXAMPLES if factor < SHORT_FACTORS else LONG_EXAMPLES
        if len(found) != expected:
            count = f"{len(found)} example{'s' if len(found) != 1 else ''}"
            problems.append(f"{path.name}: {count} where the site has {expected}")
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


def read_curves(folder: Path, problems: list[str]) -> np.ndarray:
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


def read_levels(site: Path, problems: list[str]) -> dict[str, list[int]]:
    """Return the factors that the site lists at each level."""
    found: dict[str, list[int]] = {}
    for level in LEVELS:
        path = site / f"{level}_level.js"
        text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
        listed = re.search(r"\[([\d\s,]*)\]", text)
        if listed is None:
            problems.append(f"{path.name}: missing, or without a list of numbers")
        numbers = re.findall(r"\d+", listed[1]) if listed else []
        found[level] = sorted({int(number) for number in numbers if int(number) < FACTORS})
    return found
