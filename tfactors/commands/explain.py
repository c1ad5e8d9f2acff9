"""``tfactors explain``: which words of a text one activation depends on."""

from __future__ import annotations

import argparse

from tfactors.commands.command import Command
from tfactors.commands.shared_options import above_zero, add_bundle, add_json

METHODS = ("lime", "occlusion")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the text, the activation in it that is explained, and the method."""
    add_bundle(parser)
    add_json(parser)
    parser.add_argument("text", help="the text, of at most the model's length")
    parser.add_argument("--position", type=int, required=True, help="token, counted from 0")
    parser.add_argument("--factor", type=int, required=True)
    parser.add_argument("--layer", type=int, required=True)
    parser.add_argument(
        "--method",
        choices=(*METHODS, "both"),
        default="lime",
        help="both: side by side, with how far they agree (%(default)s)",
    )
    parser.add_argument(
        "--recipe",
        choices=("2021",),
        help="LIME with the masks, 2,001 texts and 30 weights of the 2021 code",
    )
    parser.add_argument(
        "--radius",
        type=int,
        metavar="TOKENS",
        help="show the model only so many tokens on each side (default: the whole text)",
    )
    parser.add_argument(
        "--samples", type=above_zero, default=1000, help="masked texts at most (%(default)s)"
    )
    parser.add_argument(
        "--precision",
        type=float,
        default=0.025,
        metavar="SHARE",
        help="stop once no standard error exceeds this share of the activation; 0 runs all "
        "texts (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> None:
    """Explain the activation by one method or by both, and print the weights of the words."""
    from tfactors.bundle import Bundle

    bundle = Bundle.open(options.bundle)  # a bad folder is said before torch takes its seconds
    from tfactors.explain.saliency import explain
    from tfactors.explain.saliency_text import described

    explanations = [
        explain(
            bundle,
            options.text,
            options.position,
            options.factor,
            options.layer,
            method=method,
            samples=options.samples,
            seed=options.seed,
            recipe=options.recipe,
            precision=options.precision,
            radius=options.radius,
        )
        for method in (METHODS if options.method == "both" else (options.method,))
    ]
    if not options.json:
        print(described(explanations))
    elif len(explanations) == 1:
        print(explanations[0].to_json())
    else:
        print(f"[{', '.join(explanation.to_json() for explanation in explanations)}]")


COMMAND = Command(
    summary="say which words of a text one activation depends on",
    example='tfactors explain artifacts/default "he left home" --position 1 --factor 405 --layer 2',
    add_options=add_options,
    run=run,
)
