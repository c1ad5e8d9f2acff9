"""Codes a second and the gaps they prove: tfactors, FISTA, scikit-learn, SPAMS, the bare product.

    pip install spams-bin==2.6.14      # GPL, for this comparison only; left out when absent
    python benchmarks/sparse_coding.py

All sides solve ½‖x − αΦ‖² + λ‖α‖₁, α ≥ 0, for the same real hidden states and the same learned
dictionary, in turns within one run, each with every core that it can use; the median of the turns
counts. Slow solvers get fewer rows. Gaps are computed by `duality_gap` in float64.
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.decomposition import sparse_encode as scikit_sparse_encode
from sklearn.exceptions import ConvergenceWarning
from states import layers_of_states, machine, shuffled

from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.solver import SparseCoder
from tfactors.coding.sparse_coding import duality_gap
from tfactors.coding.torch_solver import TorchSparseCoder

try:
    import spams
except ImportError:
    spams = None


def fista(X: np.ndarray, dictionary: np.ndarray, penalty: float, steps: int = 500) -> np.ndarray:
    """Return codes (n, m) of X (n, d) as in 2021: non-negative FISTA, fixed step, no early stop."""
    rate = np.float32(1 / np.linalg.eigvalsh(dictionary @ dictionary.T)[-1])
    momentum, code, ahead = 1.0, 0, np.zeros((len(X), len(dictionary)), np.float32)
    for _ in range(steps):
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        gradient = (X - ahead @ dictionary) @ dictionary.T
        new = np.maximum(ahead + rate * gradient - rate * np.float32(penalty), 0)
        ahead = new + np.float32((momentum - 1) / following) * (new - code)
        code, momentum = new, following
    return code


def main() -> None:
    """Measure all sides in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--penalty", type=float, default=2.0)
    parser.add_argument("--factors", type=int, default=1500)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/sparse_coding.json"))
    given = parser.parse_args()
    penalty = given.penalty
    warnings.simplefilter("ignore", ConvergenceWarning)  # a line for each of scikit-learn's rows

    learner = DictionaryLearner(given.factors, penalty, random_state=0)
    learner.partial_fit(shuffled(layers_of_states(40_000, held_out=False), 250_000))
    dictionary = learner.components_
    states = layers_of_states(10_000, held_out=True)
    X = shuffled(states, given.rows)
    coder = SparseCoder(dictionary)
    in_order = np.ascontiguousarray(states[3])
    neighbour = coder.encode(np.ascontiguousarray(states[2]), penalty)
    columns, atoms = np.asfortranarray(X.T), np.asfortranarray(dictionary.T)

    def with_spams(n: int) -> csr_array:
        codes = spams.lasso(columns[:, :n], D=atoms, lambda1=penalty, mode=2, pos=True)
        return csr_array(codes.T)

    def with_scikit(n: int) -> np.ndarray:
        return scikit_sparse_encode(
            X[:n], dictionary, algorithm="lasso_cd", alpha=penalty, positive=True
        )

    grid = np.geomspace(8 * penalty, penalty, 16)
    few = X[: given.rows // 5]
    correlations = np.empty((len(X), len(dictionary)), np.float32)  # its pages are touched once
    sides: dict[str, tuple[np.ndarray, Callable[[], object], float]] = {
        "FISTA, 500 steps": (X[:512], lambda: fista(X[:512], dictionary, penalty), penalty),
        "scikit-learn lasso_cd": (X[:256], lambda: with_scikit(256), penalty),
        "SPAMS lasso": (X[:20_000], lambda: with_spams(20_000), penalty),
        "tfactors, tol 1e-3": (X, lambda: coder.encode(X, penalty), penalty),
        "tfactors, tol 1e-4": (X, lambda: coder.encode(X, penalty, 1e-4), penalty),
        "tfactors, tol 1e-5": (X, lambda: coder.encode(X, penalty, 1e-5), penalty),
        "one layer in order": (in_order, lambda: coder.encode(in_order, penalty), penalty),
        "… from the layer below": (
            in_order,
            lambda: coder.encode(in_order, penalty, start=neighbour),
            penalty,
        ),
        "path of 16 λ": (few, lambda: coder.path(few, list(grid))[-1], penalty),
        "product XΦᵀ": (X, lambda: np.matmul(X, dictionary.T, out=correlations), np.inf),
    }
    if spams is None:
        del sides["SPAMS lasso"]
    if torch.cuda.is_available():
        device, tensor = TorchSparseCoder(dictionary, "cuda"), torch.as_tensor(X, device="cuda")
        sides["tfactors on the GPU"] = (X, lambda: device.encode(tensor, penalty), penalty)

    seconds: dict[str, list[float]] = {name: [] for name in sides}
    gaps, l0 = {}, {}
    for turn in range(given.turns + 1):
        for name, (rows, solve, level) in sides.items():
            start = time.perf_counter()
            result = solve()
            elapsed = time.perf_counter() - start
            if turn == 0:  # compiles and warms up; its codes are checked
                if np.isfinite(level):
                    codes = csr_array(result)[:4000]
                    gaps[name] = duality_gap(rows[:4000], dictionary, codes, level)
                    l0[name] = codes.nnz / codes.shape[0]
            else:
                seconds[name].append(elapsed / len(rows))
    speed = {name: 1 / statistics.median(times) for name, times in seconds.items()}
    ours, product = speed["tfactors, tol 1e-3"], speed["product XΦᵀ"]
    ratio_of_path = speed["tfactors, tol 1e-3"] / speed["path of 16 λ"]

    print(f"{X.shape[1]} dimensions, {given.factors} atoms, λ = {penalty}; {machine()}")
    print("| solver | vectors/s | tfactors is × | of the product | mean gap | worst gap | L0 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, rate in sorted(speed.items(), key=lambda item: item[1]):
        proof = (
            f"{gaps[name].mean():.1e} | {gaps[name].max():.1e} | {l0[name]:.1f}"
            if name in gaps
            else "| |"
        )
        print(f"| {name} | {rate:,.0f} | {ours / rate:.3g} | {rate / product:.1%} | {proof} |")
    print(f"a path of 16 penalties costs {ratio_of_path:.2f} × the last of them alone")
    report = {
        "machine": machine(),
        "penalty": penalty,
        "vectors_per_second": speed,
        "mean_gap": {name: float(gap.mean()) for name, gap in gaps.items()},
        "worst_gap": {name: float(gap.max()) for name, gap in gaps.items()},
        "l0": l0,
        "path_over_one": ratio_of_path,
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
