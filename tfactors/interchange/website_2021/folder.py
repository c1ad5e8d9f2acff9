"""Turns a checkout of the 2021 website into examples, curves and lists of levels.

There are the examples of every factor at every layer, strongest first, the windows that they stand
in, each text once, the height of every curve, and a line for all that is missing or damaged.
:mod:`tfactors.interchange.website_2021.pages` reads one page, and
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
from tfactors.text.words import word_at, words

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
    """The windows of all examples, each text stored once, and the words in them.

    Attributes
    ----------
    lengths : list of int
        Tokens of each window.
    numbers : dict of bytes to int
        The number of each window by a hash of its content.
    tokens_of_word : Counter of str
        How many tokens each word has, in lower case.
    ends : list of int
        Where the next window of each document starts.
    sizes : list of int
        Tokens of each document.
    waiting : list of dict
        Windows that are not written yet.
    """

    lengths: list[int] = field(default_factory=list)
    numbers: dict[bytes, int] = field(default_factory=dict)
    tokens_of_word: Counter[str] = field(default_factory=Counter)
    ends: list[int] = field(default_factory=lambda: [0, 0])
    sizes: list[int] = field(default_factory=lambda: [0, 0])
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def add(self, example: PublishedExample, document: int, repetition: int) -> int:
        """Store an example's window where it is new, and return its number.

        ``repetition`` tells equal windows of one page apart.
        """
        content = repr((document, repetition, example.tokens, example.word_starts))
        key = hashlib.blake2b(content.encode(), digest_size=16).digest()
        number = self.numbers.setdefault(key, len(self.lengths))
        if number == len(self.lengths):
            length = len(example.tokens)
            self.lengths.append(length)
            self.tokens_of_word.update(
                word.casefold() for word in words(example.tokens, example.word_starts)
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
    """The examples of one factor at one layer, strongest first.

    Attributes
    ----------
    windows, positions : list of int
        Where each stands.
    words : list of str
        The marked words.
    weights : list of tuple of float
        The colours of LIME, a weight a token; empty where the site shows none.
    """

    windows: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    weights: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def places(self) -> np.ndarray:
        """What stands for the activation: how many examples are not ranked before, (n,)."""
        return np.arange(len(self.windows), 0, -1, dtype=np.float32)


class SitePages:
    """The pages of the site, and what is known of those read so far.

    The attributes are whole when the last table of :meth:`tables` has been taken.

    Parameters
    ----------
    folder : Path
        Where the pages are.

    Attributes
    ----------
    text : SiteText
        The windows of the examples.
    examples : dict of (factor, layer) to SiteExamples
        Of every page that could be read.
    problems : list of str
        A line for each page that is missing, damaged or short.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.text = SiteText()
        self.examples: dict[tuple[int, int], SiteExamples] = {}
        self.problems: list[str] = []

    def tables(self, show_progress: bool) -> Iterator[pa.Table]:
        """Read every page, and yield the rows of windows.parquet as they come."""
        places = [(factor, layer) for factor in range(FACTORS) for layer in LAYERS]
        for factor, layer in tqdm(places, "pages", disable=None if show_progress else True):
            published = self._read(factor, layer)
            if published:
                self.examples[factor, layer] = self._collect(factor, published)
            if len(self.text.waiting) >= WINDOWS_A_WRITE:
                yield self.text.table()
        yield self.text.table()

    def _read(self, factor: int, layer: int) -> list[PublishedExample]:
        """Return the examples of a page, none where it cannot be read; note what is wrong."""
        path = self._folder / f"d_{factor}_l_{layer}.html"
        try:
            published, problems = read_page(path.read_text("utf-8"))
        except FileNotFoundError:
            if (factor, layer) not in NEVER_PUBLISHED:
                self.problems.append(f"{path.name}: missing; the other pages are kept")
            return []
        except UnicodeDecodeError:
            self.problems.append(f"{path.name}: no text in UTF-8; left out")
            return []
        except OSError as error:
            self.problems.append(f"{path.name}: {error.strerror}; left out")
            return []
        except InputError as error:
            self.problems.append(f"{path.name}: {error}; left out")
            return []
        self.problems += [f"{path.name}: {problem}; left out" for problem in problems]
        expected = SHORT_EXAMPLES if factor < SHORT_FACTORS else LONG_EXAMPLES
        if len(published) != expected:
            count = f"{len(published)} example{'s' if len(published) != 1 else ''}"
            self.problems.append(f"{path.name}: {count} where the site has {expected}")
        return published

    def _collect(self, factor: int, published: list[PublishedExample]) -> SiteExamples:
        """Return the examples of a page of a factor, their windows stored in the text."""
        collected = SiteExamples()
        repetitions: Counter[tuple[str, ...]] = Counter()
        for example in published:
            document = int(factor >= SHORT_FACTORS)
            number = self.text.add(example, document, repetitions[example.tokens])
            repetitions[example.tokens] += 1
            collected.windows.append(number)
            collected.positions.append(example.position)
            collected.words.append(word_at(example.tokens, example.word_starts, example.position))
            if example.weights is not None:
                collected.weights.append(example.weights)
        return collected


def read_curves(folder: Path) -> tuple[np.ndarray, list[str]]:
    """Read the curve of every factor.

    Returns
    -------
    curves : (factors, layers) float64
        Heights in 0 … 1, NaN where nobody knows.
    problems : list of str
        A line for each picture that is missing or damaged.
    """
    curves, problems = np.full((FACTORS, len(LAYERS)), np.nan), []
    for factor in range(FACTORS):
        path = folder / f"d_{factor}.png"
        try:
            if not path.is_file():
                raise InputError(f"{path}: missing")
            curves[factor] = read_curve(path, len(LAYERS))
        except InputError as error:
            problems.append(str(error).replace(f"{path}", path.name))
    return curves, problems


def read_levels(site: Path) -> tuple[dict[str, list[int]], list[str]]:
    """Return the factors that the site lists at each level, and a line for each lost list."""
    factors_at: dict[str, list[int]] = {}
    problems = []
    for level in LEVELS:
        path = site / f"{level}_level.js"
        text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
        listed = _numbers_of_script(text, f"{level}_level")
        if listed is None:
            problems.append(f"{path.name}: missing, or without a list of numbers")
        factors_at[level] = sorted({number for number in listed or [] if number < FACTORS})
        if beyond := sorted({number for number in listed or [] if number >= FACTORS}):
            problems.append(
                f"{path.name}: {beyond[0]} is no factor: they are 0 to {FACTORS - 1}; left out"
            )
    return factors_at, problems


_SCRIPT_PART = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))|"[^"\n]*"|'[^'\n]*'|`[^`]*`""", re.DOTALL
)
# What follows a list with a point, such as .map(), makes another list of it.
_LISTED = r"""\s*=\s*\[((?:\s*(["'`]?)[0-9]{1,9}\s*\2\s*(?:,|(?=\])))*\s*)\](?!\s*\.)"""


def _numbers_of_script(text: str, name: str) -> list[int] | None:
    """Return the numbers that a script lists under a name; None where there is no such list.

    The site writes them as quoted strings, and keeps older lists and expressions in comments.

    >>> _numbers_of_script('// const low = ["500"]\\nconst low = ["32", "70",]', "low")
    [32, 70]
    """
    code = _SCRIPT_PART.sub(lambda part: " " if part["comment"] else part[0], text)
    found = list(re.finditer(rf"\b{name}{_LISTED}", code))
    return [int(number) for number in re.findall(r"[0-9]+", found[-1][1])] if found else None
