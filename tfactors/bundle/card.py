"""The card of a bundle: ``README.md`` with the front matter that the Hugging Face hub reads.

Turns a manifest into one page for whoever finds the folder, on a disk or on the hub: what it is,
from which model and whose texts under which licences, how good it is, and how to open it. The front
matter lets the hub find it among bundles and show its tables.
"""

import json
import re
from pathlib import Path

from tfactors.bundle.manifest import Manifest, Source
from tfactors.bundle.summary import coding_in_words, digits
from tfactors.display.text import documents
from tfactors.files import replacing
from tfactors.visible import boxed

CARD = "README.md"
TAG = "tfactors"
"""The tag by which the hub finds bundles."""

# A card with this line is ours to write again; without it, it is somebody's own.
_OURS = (
    "<!-- Written by tfactors, again whenever the bundle changes; without this line it stays. -->"
)
_SHOWN_TABLES = ("factors", "importance", "words", "windows", "documents")
_MARKS = re.compile(r"([\\`*_{}\[\]<>|~$&])")


def write_card(folder: Path, about: Manifest) -> None:
    """Write the card of a bundle, unless somebody has written their own."""
    path = folder / CARD
    if path.exists() and _OURS not in path.read_text("utf-8", errors="replace"):
        return
    with replacing(path) as part:
        part.write_text(card(about), "utf-8", newline="\n")


def card(about: Manifest) -> str:
    """Return the card of a bundle, Markdown behind front matter; no time stands in it."""
    name = _plain(about.title) or "A bundle of transformer factors"
    parts = [
        _front_matter(about),
        _OURS,
        f"# {name}",
        "Transformer factors: the hidden states of a language model as sparse, non-negative "
        "combinations of the rows of one dictionary, each row with the words in context where it "
        "is active. Made with tfactors; the tables are Parquet, and `manifest.json` says how they "
        "were made and seals every file.",
        "## Open it",
        "```sh\ntfactors dashboard hf:owner/name   # or the folder that this file is in\n```",
        '```python\nimport tfactors as tf\n\nbundle = tf.Bundle.open("hf:owner/name")\n'
        'bundle.factors.sort_values("stability", ascending=False).head()\n```',
        "## What it was made from",
        _facts(about),
        "## Texts",
        *map(_source, about.corpus.sources),
        *_quality(about),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(about: Manifest) -> str:
    """Return what the hub reads; strings as JSON writes them, which YAML reads alike."""
    model = about.model.name
    lines = ["license: other", "license_name: licences-of-the-texts", f"license_link: {CARD}"]
    lines += [f"pretty_name: {json.dumps(boxed(about.title))}"]
    lines += ["tags:", *(f"- {tag}" for tag in (TAG, "interpretability", "sparse-coding"))]
    if re.fullmatch(r"[\w.-]+/[\w.-]+", model):  # the name of a repository of models
        lines += [f"base_model: {json.dumps(model)}"]
    lines += ["configs:"]
    for table in _SHOWN_TABLES:
        lines += [f"- config_name: {table}", f"  data_files: {table}.parquet"]
    lines[-2 * len(_SHOWN_TABLES) + 1] += "\n  default: true"
    return "\n".join(["---", *lines, "---"])


def _facts(about: Manifest) -> str:
    model, corpus = about.model, about.corpus
    layers = ", ".join(map(str, model.layers))
    rows = [
        ("Model", f"{_plain(model.name)}: {model.blocks} blocks, width {model.width}"),
        ("Weights (SHA-256)", f"`{model.sha256}`" if re.fullmatch(r"\w+", model.sha256) else ""),
        ("Layers", f"{layers} (0 is the embedding)" if 0 in model.layers else layers),
        (
            "Corpus",
            f"{corpus.tokens:,} tokens in {corpus.windows:,} windows of "
            f"{documents(corpus.documents)}",
        ),
        ("Dictionary", f"{about.dictionary.factors:,} factors; {_plain(coding_in_words(about))}"),
        ("Seed", f"{about.dictionary.seed}"),
    ]
    return _table(("", ""), [row for row in rows if row[1]])


def _source(source: Source) -> str:
    lines = [
        f"**{_plain(source.title or source.name)}**: {documents(source.documents)}, "
        f"{source.tokens:,} tokens.",
        f"Licence: {_plain(source.licence)}." if source.licence else "Licence not stated.",
        f"Credit: {_plain(source.attribution)}." if source.attribution else "",
    ]
    return "- " + " ".join(filter(None, lines))


def _quality(about: Manifest) -> list[str]:
    metrics = about.metrics
    parts: list[str] = []
    if metrics.layers:
        rows = [
            (
                str(of.layer),
                digits(of.l0, ".1f"),
                digits(of.explained_variance, ".3f"),
            )
            for of in metrics.layers
        ]
        whole = (
            "all",
            digits(metrics.l0, ".1f"),
            digits(metrics.explained_variance, ".3f"),
        )
        held_out = f"{about.corpus.held_out_tokens:,} tokens of held-out text"
        parts = [
            "## How good it is",
            f"On {held_out}: L0 is the mean number of active factors a token; explained variance "
            "is 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖², so that predicting the mean gives 0.",
            _table(("Layer", "L0", "Explained variance"), [*rows, whole]),
        ]
    if metrics.levels:
        counts = ", ".join(f"{count:,} {_plain(level)}" for level, count in metrics.levels.items())
        parts += [f"Levels: {counts}."]
    return parts


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    r"""Return text in one line that Markdown shows as it is.

    >>> _plain("a *b* <script>\n# c")
    'a \\*b\\* \\<script\\> # c'
    """
    return _MARKS.sub(r"\\\1", " ".join(boxed(text).split()))
