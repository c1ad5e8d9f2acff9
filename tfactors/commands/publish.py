"""``tfactors publish``: a bundle becomes pages that need no server."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfactors.commands.command import Command
from tfactors.commands.shared_options import add_bundle, add_quiet


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle, what of it is published, and where it is written."""
    add_bundle(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder of the site, new, empty or an older site; or the file of a factor or a list",
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--factor", type=int, metavar="N", help="write this factor as one file")
    one.add_argument(
        "--level",
        choices=("low", "mid", "high"),
        help="write the most important factors of this level as one file",
    )
    one.add_argument(
        "--list", metavar="NAME", help="write a list of labels.json beside the bundle as one file"
    )
    add_quiet(parser)


def run(options: argparse.Namespace) -> None:
    """Write the site or the file, and print what it is and how large."""
    from tfactors.bundle import Bundle
    from tfactors.publish.single_file import publish_factor, publish_level, publish_list
    from tfactors.publish.site import publish_site

    bundle, out = Bundle.open(options.bundle), options.out
    if options.factor is not None:
        publish_factor(bundle, options.factor, out)
    elif options.level is not None:
        publish_level(bundle, options.level, out, not options.quiet)
    elif options.list is not None:
        publish_list(bundle, options.list, out, not options.quiet)
    else:
        publish_site(bundle, out, not options.quiet)
    if out.is_dir():
        sizes = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
        print(f"{out}: {len(sizes):,} files, {sum(sizes) / 1e6:,.1f} MB; open {out / 'index.html'}")
    else:
        print(f"{out}: {out.stat().st_size / 1e3:,.0f} kB")


COMMAND = Command(
    summary="write pages of HTML that need no server",
    example="tfactors publish artifacts/default --out site",
    add_options=add_options,
    run=run,
)
