"""``tfactors verify``: every file and every row of a bundle is checked against its manifest."""

from __future__ import annotations

import argparse
import json

from tfactors.commands.command import Command
from tfactors.commands.shared_options import add_bundle, add_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle."""
    add_bundle(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Check the bundle, and print how many files and rows are sound."""
    from tfactors.bundle import Bundle

    bundle = Bundle.open(options.bundle)
    bundle.verify()
    files = bundle.about.files
    if options.json:
        print(json.dumps({"verified": True, "files": len(files)}))
    else:
        rows = sum(seal.rows for seal in files.values())
        print(f"{options.bundle}: {len(files)} files, {rows:,} rows, all as the manifest says")


COMMAND = Command(
    summary="check every file and every row of a bundle",
    example="tfactors verify artifacts/default",
    add_options=add_options,
    run=run,
)
