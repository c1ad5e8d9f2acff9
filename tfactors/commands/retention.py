"""``tfactors retention``: how much of a factor's activation is left when its context is cut."""

from __future__ import annotations

import argparse
import json

from tfactors.commands.command import Command
from tfactors.commands.shared_options import above_zero, add_bundle, add_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the factor, the layer, and how many examples are measured."""
    add_bundle(parser)
    add_json(parser)
    parser.add_argument("--factor", type=int, required=True)
    parser.add_argument("--layer", type=int, help="default: where the factor peaks")
    parser.add_argument(
        "--examples",
        type=above_zero,
        default=10,
        help="strongest examples to measure (%(default)s)",
    )


def run(options: argparse.Namespace) -> None:
    """Measure what the word, the sentence and every radius retain, and print the shares."""
    from tfactors.bundle import Bundle

    bundle = Bundle.open(options.bundle)  # a bad folder is said before torch takes its seconds
    from tfactors.explain.retention import RADII, retention_at

    table = retention_at(bundle, options.factor, options.layer, options.examples)
    measured = table.iloc[0]
    reach = None if table["reach"].isna()[0] else int(table["reach"][0])
    if options.json:
        whole = {name: int(measured[name]) for name in ("factor", "layer", "examples")}
        shares = {name: float(measured[name]) for name in ("word", "sentence")}
        curve = dict(zip(map(str, RADII), measured["curve"], strict=True))
        print(json.dumps(whole | shares | {"reach": reach, "curve": curve}))
        return
    print(
        f"factor {measured['factor']} at layer {measured['layer']}, {measured['examples']} examples"
    )
    for name in ("word", "sentence"):
        print(f"{measured[name]:6.1%}  the {name} alone")
    for radius, share in zip(RADII, measured["curve"], strict=True):
        mark = "  reach" if radius == reach else ""
        print(f"{share:6.1%}  {radius} token{'s' if radius != 1 else ''} on each side{mark}")


COMMAND = Command(
    summary="say how much context a factor needs, at any layer",
    example="tfactors retention artifacts/default --factor 30 --layer 4",
    add_options=add_options,
    run=run,
)
