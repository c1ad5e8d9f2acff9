"""``tfactors decompose``: a text becomes factors, token by token."""

from __future__ import annotations

import argparse

from tfactors.commands.command import Command
from tfactors.commands.shared_options import add_bundle, add_json, zero_or_more


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the text, λ, and how much of the result is shown."""
    add_bundle(parser)
    add_json(parser)
    parser.add_argument("text", help="the text, of at most the model's length")
    parser.add_argument("--layer", type=int, help="only this layer")
    parser.add_argument("--penalty", type=float, help="λ; by default that of the bundle")
    parser.add_argument(
        "--top", type=zero_or_more, default=5, help="factors shown a token (%(default)s)"
    )


def run(options: argparse.Namespace) -> None:
    """Decompose the text, and print the strongest factors of every token."""
    from tfactors.bundle import Bundle

    bundle = Bundle.open(options.bundle)  # a bad folder is said before torch takes its seconds
    from tfactors.explain.decomposition import decompose

    decomposition = decompose(bundle, options.text, penalty=options.penalty)
    if options.json:
        print(decomposition.to_json())
    else:
        labels = bundle.factors["label"]
        print(decomposition.describe(labels, layer=options.layer, top=options.top))


COMMAND = Command(
    summary="take a text apart into factors, token by token",
    example='tfactors decompose artifacts/default "he left the house" --layer 4',
    add_options=add_options,
    run=run,
)
