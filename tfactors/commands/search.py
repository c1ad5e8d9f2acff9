"""``tfactors search``: a question in plain words finds factors by what they mean."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tfactors.commands.command import Command
from tfactors.commands.shared_options import add_bundle, add_json, zero_or_more

if TYPE_CHECKING:
    from tfactors.bundle import Bundle


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the question, and how many factors are shown."""
    add_bundle(parser)
    add_json(parser)
    parser.add_argument("question", help="some words or a sentence")
    parser.add_argument("--top", type=zero_or_more, default=10, help="factors shown (%(default)s)")
    parser.add_argument(
        "--contexts",
        type=zero_or_more,
        default=2,
        help="contexts shown of each, the nearest (%(default)s)",
    )


def run(options: argparse.Namespace) -> None:
    """Find the factors, and print each with the contexts that are nearest to the question."""
    from tfactors.bundle import Bundle
    from tfactors.errors import InputError

    bundle = Bundle.open(options.bundle)
    if not bundle.abilities.meanings:  # said before torch takes its seconds
        raise InputError(bundle.abilities.meanings.why_not)
    from tfactors.explain.meaning_search import search_by_meaning

    found = search_by_meaning(bundle, options.question, options.top)
    if options.json:
        print(found.to_json(orient="records", force_ascii=False))
        return
    for row in found.itertuples(index=False):
        print(f"{row.likeness:6.2f}  {row.factor:>5}  layer {row.at:<2}  {row.label}")
        for text in _contexts(bundle, row.factor, row.at, row.ranks[: options.contexts]):
            print(f"{'':8}{text}")


def _contexts(bundle: Bundle, factor: int, layer: int, ranks: list[int]) -> list[str]:
    from tfactors.bundle.passages import texts_around

    words = bundle.about.meanings.words if bundle.about.meanings else 0
    examples = bundle.examples(factor, layer).set_index("rank", drop=False).loc[ranks]
    return texts_around(bundle, examples, words)


COMMAND = Command(
    summary="find factors by meaning",
    example='tfactors search artifacts/default "words about weather"',
    add_options=add_options,
    run=run,
)
