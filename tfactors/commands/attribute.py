"""``tfactors attribute``: what one activation was made from at an earlier layer."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfactors.commands.command import Command
from tfactors.commands.shared_options import add_bundle, add_json, zero_or_more


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the text, the activation in it that is explained, and the layer it is made from."""
    add_bundle(parser)
    add_json(parser)
    parser.add_argument("text", help="the text, of at most the model's length")
    parser.add_argument("--position", type=int, required=True, help="token, counted from 0")
    parser.add_argument("--factor", type=int, required=True, help="active at that token")
    parser.add_argument("--layer", type=int, required=True)
    parser.add_argument(
        "--source-layer", type=int, metavar="LAYER", help="by default the next one below"
    )
    parser.add_argument("--top", type=zero_or_more, default=20, help="sources shown (%(default)s)")
    parser.add_argument(
        "--circuit-tracer",
        type=Path,
        metavar="FILE.json",
        help="also follow it down to the words, through all layers that the bundle takes apart, "
        "and write the graph for circuit-tracer's front end; the list of graphs beside it, "
        "graph-metadata.json, gets its line",
    )


def run(options: argparse.Namespace) -> None:
    """Share the activation out among its sources, and print the largest."""
    from tfactors.bundle import Bundle

    bundle = Bundle.open(options.bundle)  # a bad folder is said before torch takes its seconds
    from tfactors.explain.attribution import attribute
    from tfactors.explain.circuit_tracer import check_graph_file, write_graph_file
    from tfactors.explain.encoder import encoder_of
    from tfactors.explain.origin_graph import trace_origins

    file = options.circuit_tracer
    if file:
        check_graph_file(file)
    encoder = encoder_of(bundle)
    asked = (bundle, options.text, options.position, options.factor, options.layer)
    found = attribute(*asked, options.source_layer, encoder)
    if file:
        write_graph_file(file, trace_origins(*asked, encoder).to_circuit_tracer(file.stem))
    print(found.to_json() if options.json else found.describe(options.top))
    if file and not options.json:
        print(f"{file}: the graph; circuit-tracer start-server --graph_file_dir {file.parent}")


COMMAND = Command(
    summary="say what one activation was made from at an earlier layer",
    example='tfactors attribute artifacts/default "for the first time" --position 3 --factor 1127 '
    "--layer 4",
    add_options=add_options,
    run=run,
)
