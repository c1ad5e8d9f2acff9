"""``tfactors evaluate``: a bundle is measured on text that its dictionary has never seen."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from tfactors.commands.command import Command
from tfactors.commands.shared_options import add_bundle, add_device, add_json, add_quiet


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle, the sections to measure, and the folder of the results."""
    from tfactors.bundle.evidence import NAMES

    add_bundle(parser)
    parser.add_argument("--out", type=Path, help="folder of the results (default: BUNDLE/evidence)")
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="SECTION",
        help=f"measure these again: {', '.join(NAMES)} (default: what is not measured yet)",
    )
    parser.add_argument(
        "--senses",
        type=Path,
        metavar="FILE.tsv",
        help="labelled occurrences of words: columns text, word, offset, label and, if there are "
        "documents, document (default: those that come with tfactors)",
    )
    add_device(parser)
    add_json(parser)
    add_quiet(parser)


def run(options: argparse.Namespace) -> None:
    """Measure the sections that are missing or asked for, and print what all of them found."""
    from tfactors.bundle import Bundle

    bundle = Bundle.open(options.bundle)  # a bad folder is said before torch takes its seconds
    from tfactors.bundle.evidence import REPORT, folder_of
    from tfactors.evaluate.evaluate import evaluate

    sections = evaluate(
        bundle, options.out, options.only, not options.quiet, options.device, senses=options.senses
    )
    if options.json:
        print(json.dumps([asdict(section) for section in sections], ensure_ascii=False))
        return
    for section in sections:
        print(f"{section.title} ({section.seconds:,.0f} s)")
        print("\n".join(f"  {finding}" for finding in section.findings))
    print(f"\nreport: {(options.out or folder_of(bundle.path)) / REPORT}")


COMMAND = Command(
    summary="measure how good a bundle is on text it has never seen",
    example="tfactors evaluate artifacts/default",
    add_options=add_options,
    run=run,
    resumable=True,
)
