"""``tfactors info``: what a bundle holds and how good it is."""

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
    """Print the manifest, for people or as JSON."""
    from tfactors.bundle import Bundle
    from tfactors.bundle.summary import describe

    bundle = Bundle.open(options.bundle)
    if options.json:
        print(json.dumps(bundle.manifest, ensure_ascii=False))
    else:
        print(describe(bundle.about))


COMMAND = Command(
    summary="print what a bundle holds and how good it is",
    example="tfactors info artifacts/default",
    add_options=add_options,
    run=run,
)
