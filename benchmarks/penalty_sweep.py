"""Choose λ: learn a dictionary at each of several penalties on the same states, and compare.

    python benchmarks/penalty_sweep.py --penalties 1.5 2 2.5 3 --tokens 150000

For every λ: L0 and explained variance on held-out documents (all layers, pooled and by layer), the
share of factors alive there, the share that is active on more than 10 % of tokens, and seconds.
The states come from the model and the texts of the default bundle, scaled as in a build.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.solver import SparseCoder
from tfactors.stages.corpus import estimate_scale, read_corpus
from tfactors.stages.dictionary import MEMORY
from tfactors.stages.run import Run
from tfactors.stages.settings import with_changes
from tfactors.survey.moments import Moments


def sample_states(run: Run, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scaled states (layers, tokens, d) and token ids (tokens,) of some windows."""
    ids = list(run.files.windows(windows)["token_ids"])
    parts = [run.states(ids[i : i + 32]) for i in range(0, len(ids), 32)]
    return np.concatenate(parts, axis=1), np.concatenate(ids)


def main() -> None:
    """Run the sweep and print one line a penalty."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--penalties", type=float, nargs="+", default=[1.5, 2.0, 2.5, 3.0, 4.0])
    parser.add_argument("--factors", type=int, default=1500)
    parser.add_argument("--tokens", type=int, default=150_000, help="tokens to learn from")
    parser.add_argument("--held-out", type=int, default=20_000, help="tokens to judge by")
    parser.add_argument("--memory", type=float, default=MEMORY)
    parser.add_argument("--damping", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    settings = with_changes("default", factors=options.factors)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), settings)
        run.work.mkdir()
        run.finish("corpus", {"notes": read_corpus(run)})
        run.finish("scale", {"notes": estimate_scale(run)})
        random = np.random.default_rng(0)
        train = random.permutation(np.flatnonzero(~run.held_out))[: options.tokens // 126]
        test = random.permutation(np.flatnonzero(run.held_out))[: options.held_out // 126]
        counts = run.load_array("token_counts")
        x, ids = sample_states(run, train)
        held_out, _ = sample_states(run, test)
    weights = np.tile(1 / np.sqrt(np.maximum(counts[ids], 1)), len(x)).astype(np.float32)
    x = x.reshape(-1, x.shape[2])
    order = random.permutation(len(x))
    print(f"{len(x):,} states to learn from, {held_out.shape[0] * held_out.shape[1]:,} to judge by")
    print("    λ     L0   expl. var.   alive   >10 %   seconds   by layer: L0 / expl. var.")
    rows = []
    for penalty in options.penalties:
        start = time.perf_counter()
        learner = DictionaryLearner(options.factors, penalty, memory=options.memory, random_state=0)
        for part in np.array_split(order, len(order) // 4096):
            weight = weights[part] if options.damping else None
            learner.partial_fit(x[part], sample_weight=weight)
        seconds = time.perf_counter() - start
        coder = SparseCoder(learner.components_)
        layers, active = [], 0
        for states in held_out:
            codes = coder.encode(states, penalty)
            moments = Moments()
            errors = coder.squared_error(states, codes)
            moments.add(states, codes, errors, np.zeros(len(states)))
            layers.append(moments)
            active = active + np.bincount(codes.indices, minlength=options.factors)
        variance = sum(m.variance for m in layers)
        row = {
            "penalty": penalty,
            "l0": float(np.mean([m.l0 for m in layers])),
            "explained_variance": 1 - sum(m.errors for m in layers) / variance,
            "alive": float((active > 0).mean()),
            "dense": float((active > 0.1 * held_out.shape[0] * held_out.shape[1]).mean()),
            "seconds": seconds,
            "layers": [{"l0": m.l0, "explained_variance": m.explained_variance} for m in layers],
        }
        rows.append(row)
        by_layer = "  ".join(f"{m.l0:.1f}/{m.explained_variance:.2f}" for m in layers)
        print(
            f"{penalty:5.2f}  {row['l0']:5.1f}   {row['explained_variance']:10.3f}  "
            f"{row['alive']:6.1%}  {row['dense']:6.2%}  {seconds:8.1f}   {by_layer}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
