"""Turns a checkout of the 2021 paper's website into a bundle: `tfactors import-site`.

The site is github.com/transformervis/transformervis. The bundle has its 532 factors at the layers
0, 2, 4, 6, 8, 10 of bert-base-uncased: every word in context, the colours of LIME as signed
weights, the curves read from their pictures, the published lists of levels.

The site shows no activation and no dictionary. In their place the bundle has the rank: the
"activation" of an example is one more than the number of examples listed after it. What else cannot
be known is missing, and the manifest says under ``website`` what the pages have to explain.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tfactors
from tfactors.bundle import Bundle
from tfactors.bundle.format import SCHEMAS
from tfactors.bundle.writing import write_manifest, write_table
from tfactors.describe.levels import LOW_DEPTH, SENTENCE_SHARE
from tfactors.errors import InputError
from tfactors.files import odd_path
from tfactors.interchange.website_2021.folder import (
    FACTORS,
    LAYERS,
    SHORT_EXAMPLES,
    SitePages,
    SiteText,
    read_curves,
    read_levels,
)
from tfactors.interchange.website_2021.tables import (
    BLOCKS,
    write_documents,
    write_examples,
    write_factors,
    write_importance,
    write_saliency,
    write_word_index,
)
from tfactors.text.words import GAP
from tfactors.visible import visible

WIDTH = 768  # of a hidden state of bert-base-uncased
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
    if odd := odd_path(folder.absolute()):
        raise InputError(f"{folder}: {odd}")
    if folder.is_file():
        raise InputError(f"{folder}: is a file; give a folder for --out")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds something else; give a new or empty folder")
    try:
        problems = _write_bundle(site, folder, show_progress)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it was new or empty: all in it is ours
        raise
    # What is not there at all comes before pages that are only short.
    for problem in sorted(problems, key=lambda line: "where the site has" in line)[:10]:
        print(f"tfactors: {visible(problem)}", file=sys.stderr)
    if len(problems) > 10:
        left_out = len(problems) - 10
        print(f"tfactors: and {left_out:,} more; manifest.json lists all", file=sys.stderr)
    return Bundle.open(folder)


def _write_bundle(site: Path, folder: Path, show_progress: bool) -> list[str]:
    """Write every table and the manifest; return what was missing or damaged."""
    pages = SitePages(site / "sparse_code_data")
    write_table(folder, "windows.parquet", pages.tables(show_progress))
    text, examples = pages.text, pages.examples
    if not examples:
        raise InputError(f"{site}: none of its pages can be read ({pages.problems[0]})")
    curves, curve_problems = read_curves(site / "sparse_code_img")
    published, level_problems = read_levels(site)
    problems = pages.problems + curve_problems + level_problems
    write_documents(folder, text, [source["name"] for source in SOURCES])
    write_examples(folder, examples)
    write_importance(folder, examples, curves, sum(text.lengths))
    levels, agreement = write_factors(folder, examples, curves, published)
    write_saliency(folder, examples)
    write_word_index(folder, examples, text)
    write_table(folder, "retention.parquet", SCHEMAS["retention"].empty_table())
    manifest = _manifest(text, levels)
    gaps = sum(listed.words.count("") for listed in examples.values())
    lost = f"The site lost the marked word of {gaps:,} examples; “{GAP}” shows where it stood."
    manifest["website"] = {
        "notes": [*NOTES, lost] if gaps else NOTES,
        "levels": published,
        "agreement": agreement,
        "missing": problems,
        "long_columns": {str(number): column for number, column in LONG_COLUMNS.items()},
    }
    write_manifest(folder, manifest)
    return problems


def _manifest(text: SiteText, levels: dict[str, int]) -> dict[str, Any]:
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
