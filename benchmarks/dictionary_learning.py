"""Held-out objective against time: tfactors, scikit-learn, SPAMS.

    pip install spams-bin==2.6.14      # GPL, for this comparison only; left out when absent
    python benchmarks/dictionary_learning.py --seconds 180

All sides learn from the same shuffled hidden states, in the same order, within one run. The others
get the time given, tfactors a tenth of it; its numbers at the full time stand below. Every
dictionary is judged by the same exact codes of held-out documents, ½‖x − αΦ‖² + λ‖α‖₁ a vector.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning
from states import layers_of_states, machine, shuffled

from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.solver import SparseCoder

try:
    import spams
except ImportError:
    spams = None

BATCH = 8192


def judge_dictionary(dictionary: np.ndarray, X: np.ndarray, penalty: float) -> dict[str, float]:
    """Return objective, L0 and share of atoms in use on held-out states X (n, d)."""
    norms = np.linalg.norm(dictionary, axis=1, keepdims=True)
    coder = SparseCoder(dictionary[norms[:, 0] > 0] / norms[norms[:, 0] > 0])
    codes = coder.encode(X, penalty)
    values = 0.5 * coder.squared_error(X, codes) + penalty * codes.sum(axis=1)
    return {
        "objective": float(values.mean()),
        "l0": codes.nnz / len(X),
        "alive": len(np.unique(codes.indices)) / len(dictionary),
    }


def main() -> None:
    """Let every side learn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--penalty", type=float, default=2.0)
    parser.add_argument("--factors", type=int, default=1500)
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=180, help="for each of the others")
    parser.add_argument(
        "--json", type=Path, default=Path("benchmarks/results/dictionary_learning.json")
    )
    given = parser.parse_args()
    states = layers_of_states(given.tokens, held_out=False)
    X = shuffled(states, states.shape[0] * states.shape[1])
    del states
    held_out = shuffled(layers_of_states(10_000, held_out=True), 20_000)
    SparseCoder(np.eye(2)).encode(np.ones((1, 2)), 0.5)  # compile before any clock runs
    DictionaryLearner(2, 0.1, random_state=0).partial_fit(np.ones((2, 2)))
    table: list[tuple[str, float, int, dict[str, float]]] = []

    if spams is not None:
        columns, start = np.asfortranarray(X.T), time.perf_counter()
        atoms, model = spams.trainDL(
            columns,
            return_model=True,
            K=given.factors,
            lambda1=given.penalty,
            mode=2,
            posAlpha=True,
            batchsize=1000,
            iter=-int(given.seconds),
            numThreads=-1,
            verbose=False,
        )
        elapsed = time.perf_counter() - start
        seen = 1000 * int(model["iter"])
        table.append(
            ("SPAMS trainDL", elapsed, seen, judge_dictionary(atoms.T, held_out, given.penalty))
        )
        del columns

    scikit = MiniBatchDictionaryLearning(
        given.factors,
        alpha=given.penalty,
        batch_size=1000,
        fit_algorithm="cd",
        positive_code=True,
        dict_init=X[: given.factors].copy(),
        random_state=0,
    )
    warnings.simplefilter("ignore", ConvergenceWarning)  # thousands of lines on its inner solver
    start, seen = time.perf_counter(), 0
    while time.perf_counter() - start < given.seconds:
        first = seen % (len(X) - 1000)
        scikit.partial_fit(X[first : first + 1000])
        seen += 1000
    elapsed = time.perf_counter() - start
    score = judge_dictionary(scikit.components_, held_out, given.penalty)
    table.append(("scikit-learn MiniBatchDictionaryLearning", elapsed, seen, score))

    learner = DictionaryLearner(given.factors, given.penalty, batch_size=BATCH, random_state=0)
    elapsed, seen = 0.0, 0
    for share in (0.1, 0.2, 0.5, 1.0):
        while elapsed < given.seconds * share:
            first, start = seen % (len(X) - BATCH), time.perf_counter()
            learner.partial_fit(X[first : first + BATCH])
            elapsed, seen = elapsed + time.perf_counter() - start, seen + BATCH
        score = judge_dictionary(learner.components_, held_out, given.penalty)
        table.append((f"tfactors, {share:.0%} of the time", elapsed, seen, score))

    print(f"{X.shape[1]} dimensions, {given.factors} atoms, λ = {given.penalty}; {machine()}")
    print("| learner | seconds | vectors seen | vectors/s | held-out objective | L0 | alive |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, seconds, vectors, score in table:
        print(
            f"| {name} | {seconds:.1f} | {vectors:,} | {vectors / seconds:,.0f} "
            f"| {score['objective']:.2f} | {score['l0']:.1f} | {score['alive']:.1%} |"
        )
    report = {
        "machine": machine(),
        "penalty": given.penalty,
        "learners": [
            {"name": name, "seconds": seconds, "vectors": vectors, **score}
            for name, seconds, vectors, score in table
        ],
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
