"""Where a factor comes from, in one run: seconds of an attribution beside those of reading a text.

    python benchmarks/attribution.py artifacts/default --texts 10

Texts are the first 60 tokens of windows that the dictionary has not learnt from, drawn by a seed.
Of each the strongest factor of a layer is asked for, at its strongest token:

    reading       the model reads the text, and the codes of two neighbouring layers are solved
    one gap       the attribution to the layer below (`tfactors.explain.attribution`)

Printed are medians over texts and layers, and what removing every source in turn would take, each
of which is the text read once more, beside the attribution. Seconds are of the clock; the first
text warms up and is not counted.
"""

import argparse
import time
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from states import machine

import tfactors as tf
from tfactors.evaluate.sample import draw
from tfactors.explain.attribution import attribute_tokens
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.integrated_gradients import taken_apart

TOKENS = 60


def held_out_texts(bundle: tf.Bundle, number: int, seed: int) -> list[tuple[np.ndarray, list[str]]]:
    """Return ids and tokens of so many texts."""
    drawn = draw(bundle, 4 * number * bundle.about.corpus.window_length, seed)
    texts = zip(drawn.texts, drawn.tokens, strict=True)
    return [(ids[:TOKENS], tokens[:TOKENS]) for ids, tokens in texts if len(ids) >= TOKENS][:number]


class Row(NamedTuple):
    """One activation: seconds of reading and of the attribution, its sources and its points."""

    reading: float
    gap: float
    sources: int
    points: int


def measured(
    encoder: FactorEncoder, token_ids: np.ndarray, tokens: list[str], below: int, layer: int
) -> Row:
    """Attribute the strongest activation of a text at one layer to another."""
    codes = encoder.encode([token_ids], layer).toarray()
    position, factor = map(int, np.unravel_index(codes.argmax(), codes.shape))
    start = time.perf_counter()
    taken_apart(encoder, token_ids, [below, layer])
    read = time.perf_counter()
    found = attribute_tokens(encoder, token_ids, tokens, position, factor, layer, below)
    return Row(read - start, time.perf_counter() - read, len(found.sources), found.points)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle", help="a bundle that the model of is here")
    parser.add_argument("--texts", type=int, default=10, help="how many; 10")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    bundle = tf.Bundle.open(args.bundle)
    encoder = FactorEncoder.from_bundle(bundle)
    warm, *texts = held_out_texts(bundle, args.texts + 1, args.seed)
    pairs = list(pairwise(encoder.layers))
    measured(encoder, *warm, *pairs[0])
    rows = [measured(encoder, *text, *pair) for text in texts for pair in pairs]
    reading, gap, sources, points = np.median(np.array(rows), axis=0)
    print(machine())
    print(f"{len(rows)} activations, texts of {TOKENS} tokens; medians (largest)")
    print(f"reading      {reading:.3f} s")
    print(f"one gap      {gap:.3f} s ({max(row.gap for row in rows):.3f}), {points:.0f} points")
    print(f"sources      {sources:.0f}; one removal each would read the text as often: ", end="")
    print(f"{sources * reading:.1f} s, {sources * reading / gap:.0f} times as long")


if __name__ == "__main__":
    main()
