"""Choose λ: learn a dictionary at each of several penalties on the same states, and compare.

    python benchmarks/penalty_sweep.py --penalties 1 1.2 1.5 2 --tokens 150000

For every λ: L0 and explained variance of the whole state on held-out documents (all layers, pooled
and by layer), the share of factors alive there, the share that is active on more than 10 % of
tokens, the share that is most important at the last layer, and seconds. Model, texts, scale, own
parts of words and all else are those of the default preset; that words' own parts are fitted to all
of the text first takes some minutes.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csc_array

from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.solver import SparseCoder
from tfactors.explain.read_states import read_states
from tfactors.stages.baseline import fit_own_parts
from tfactors.stages.corpus import estimate_scale, read_corpus
from tfactors.stages.dictionary import MEMORY, layer_weights
from tfactors.stages.run import Run
from tfactors.stages.settings import PRESETS, with_changes
from tfactors.survey.moments import Moments

STRONGEST = 20  # activations of a factor whose mean is its importance here


def sample_states(run: Run, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return z and own part, both (layers, tokens, d), and token ids (tokens,) of some windows."""
    ids = list(run.files.windows(windows)["token_ids"])
    parts = []
    for i in range(0, len(ids), 32):
        z, own = read_states(run.model, run.transform, ids[i : i + 32], run.layers)
        parts.append((z, np.zeros_like(z) if own is None else own))
    z, own = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    return z, own, np.concatenate(ids)


def importance(codes: csc_array) -> np.ndarray:
    """Return the mean of the STRONGEST largest activations of each factor, (m,)."""
    columns = np.split(codes.data, codes.indptr[1:-1])
    return np.array([np.sort(column)[-STRONGEST:].sum() / STRONGEST for column in columns])


def main() -> None:
    """Run the sweep and print one line a penalty."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--penalties", type=float, nargs="+", default=[1.0, 1.25, 1.5, 2.0])
    parser.add_argument("--factors", type=int, default=PRESETS["default"].factors)
    parser.add_argument("--tokens", type=int, default=150_000, help="tokens to learn from")
    parser.add_argument("--held-out", type=int, default=20_000, help="tokens to judge by")
    parser.add_argument("--memory", type=float, default=MEMORY)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    settings = with_changes("default", factors=options.factors)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), settings)
        run.work.mkdir()
        run.finish("corpus", {"notes": read_corpus(run)})
        run.finish("scale", {"notes": estimate_scale(run)})
        run.finish("baseline", {"notes": fit_own_parts(run)})
        random, length = np.random.default_rng(0), run.load_array("lengths").mean()
        train = random.permutation(np.flatnonzero(~run.held_out))[: int(options.tokens / length)]
        test = random.permutation(np.flatnonzero(run.held_out))[: int(options.held_out / length)]
        x, _, ids = sample_states(run, train)
        held_out, own, _ = sample_states(run, test)
        weights = np.outer(layer_weights(run, train), np.ones(len(ids), np.float32))
        if settings.damping:
            weights /= np.sqrt(np.maximum(run.load_array("token_counts")[ids], 1))
    weights = weights.ravel().astype(np.float32)
    x = x.reshape(-1, x.shape[2])
    order = random.permutation(len(x))
    print(f"{len(x):,} states to learn from, {held_out.shape[0] * held_out.shape[1]:,} to judge by")
    print("    λ     L0   expl. var.   alive   >10 %   last layer   seconds   by layer: L0 / e. v.")
    rows = []
    for penalty in options.penalties:
        start = time.perf_counter()
        learner = DictionaryLearner(options.factors, penalty, memory=options.memory, random_state=0)
        for part in np.array_split(order, len(order) // 4096):
            learner.partial_fit(x[part], sample_weight=weights[part])
        seconds = time.perf_counter() - start
        coder = SparseCoder(learner.components_, refit=settings.refit)
        layers, active, important = [], 0, []
        for states, own_part in zip(held_out, own, strict=True):
            codes = coder.encode(states, penalty)
            moments = Moments()
            errors = coder.squared_error(states, codes)
            moments.add(states, codes, errors, np.zeros(len(states)), states + own_part)
            important.append(importance(csc_array(codes)))
            layers.append(moments)
            active = active + np.bincount(codes.indices, minlength=options.factors)
        variance = sum(m.variance for m in layers)
        row = {
            "penalty": penalty,
            "l0": float(np.mean([m.l0 for m in layers])),
            "explained_variance": 1 - sum(m.errors for m in layers) / variance,
            "alive": float((active > 0).mean()),
            "dense": float((active > 0.1 * held_out.shape[0] * held_out.shape[1]).mean()),
            "last_layer": float((np.argmax(important, axis=0) == len(layers) - 1).mean()),
            "seconds": seconds,
            "layers": [{"l0": m.l0, "explained_variance": m.explained_variance} for m in layers],
        }
        rows.append(row)
        by_layer = "  ".join(f"{m.l0:.1f}/{m.explained_variance:.2f}" for m in layers)
        print(
            f"{penalty:5.2f}  {row['l0']:5.1f}   {row['explained_variance']:10.3f}  "
            f"{row['alive']:6.1%}  {row['dense']:6.2%}  {row['last_layer']:10.1%}  "
            f"{seconds:8.1f}   {by_layer}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
