"""``tfactors export``: the dictionary of a bundle becomes a file that other tools read."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tfactors.commands.command import Command
from tfactors.commands.shared_options import add_bundle, add_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle, the format, and what is written."""
    add_bundle(parser)
    add_json(parser)
    parser.add_argument(
        "--format",
        choices=("saelens", "npy", "safetensors"),
        required=True,
        help="saelens: a folder with cfg.json; npy: a matrix of width × factors, as in 2021; "
        "safetensors: all tensors in one file, to be imported again",
    )
    parser.add_argument("--out", type=Path, required=True, help="file or folder to write")


def run(options: argparse.Namespace) -> None:
    """Write the dictionary, and print how many factors it holds."""
    from tfactors.bundle import Bundle

    bundle = Bundle.open(options.bundle)  # a bad folder is said before torch takes its seconds
    from tfactors.interchange.export import write_dictionary_file

    write_dictionary_file(bundle, options.out, options.format)
    if options.json:
        print(json.dumps({"written": str(options.out), "format": options.format}))
    else:
        print(f"{options.out}: {bundle.n_factors:,} factors of {bundle.width} numbers")


COMMAND = Command(
    summary="write the dictionary of a bundle for other tools",
    example="tfactors export artifacts/default --format saelens --out sae",
    add_options=add_options,
    run=run,
)
