"""``tfactors import``: somebody else's dictionary and texts become a bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

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

# Settings of a dictionary that is learnt here.
BUILD_ONLY = (
    "factors",
    "learner",
    "damping",
    "batch",
    "epochs",
    "training_tokens",
    "stability",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the dictionary, the texts, the folder, and an option for every setting."""
    from tfactors.stages.settings import Settings

    parser.add_argument(
        "dictionary",
        type=Path,
        help="a 2021 .npy (width × factors), the folder that SAELens, sparsify, "
        "dictionary_learning, Gemma Scope or Llama Scope saved, a file of Goodfire or OpenAI, or "
        "what 'tfactors export' wrote",
    )
    add_corpora(parser, "texts to survey it on, as for build")
    add_bundle_folder(parser)
    add_device(parser)
    add_quiet(parser)
    add_settings(
        parser,
        "shown in brackets: the default; layers, coding, scale and penalty follow from the file "
        "where it says them",
        Settings(),
        left_out=("corpora", "dictionary", *BUILD_ONLY),
    )


def run(options: argparse.Namespace) -> None:
    """Survey the dictionary, or go on where it was interrupted, and print what came of it."""
    from tfactors.stages.importing import import_dictionary

    settings = given_settings(options)
    del settings["dictionary"]
    bundle = import_dictionary(
        options.out, options.dictionary, settings, not options.quiet, options.device
    )
    if not options.quiet:
        print_finished_bundle(bundle, options.out)
        return
    for note in bundle.about.dictionary.notes:  # what a file asks for is never passed over
        print(f"tfactors: {bundle.about.title}: {note}", file=sys.stderr)


COMMAND = Command(
    summary="make a bundle over a dictionary from elsewhere",
    example="tfactors import gpt2-sae my.txt --model gpt2 --out artifacts/sae",
    add_options=add_options,
    run=run,
    resumable=True,
)
