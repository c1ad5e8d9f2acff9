"""``tfactors import-site``: a checkout of the website of the 2021 paper becomes a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfactors.commands.command import Command
from tfactors.commands.finished_bundle import print_finished_bundle
from tfactors.commands.shared_options import add_bundle_folder, add_quiet


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the checkout and the folder."""
    parser.add_argument(
        "site", type=Path, help="a checkout of github.com/transformervis/transformervis"
    )
    add_bundle_folder(parser)
    add_quiet(parser)


def run(options: argparse.Namespace) -> None:
    """Read the website, write the bundle, and print what it holds."""
    from tfactors.interchange.website_2021.site import import_site

    bundle = import_site(options.site, options.out, not options.quiet)
    if not options.quiet:
        print_finished_bundle(bundle, options.out)


COMMAND = Command(
    summary="make a bundle of the website of the 2021 paper",
    example="tfactors import-site transformervis --out artifacts/transformervis",
    add_options=add_options,
    run=run,
)
