"""The dictionary update of the 2021 method, for comparison and for ``--preset paper``.

Turns batches of hidden states x with weights w (there 1/√(count of the token)) into a dictionary.
Each batch is coded exactly, where the original took 500 FISTA steps, and then

    h ← (1 − 1/H) h + mean(α²) / H                                      H = 300 batches
    Φ ← Φ + η · diag(1 / (h + δ)) · mean(αᵀ w(x − αΦ)),  rows to unit norm    η = 0.005, δ = 0.001

as in ``train.py`` and ``sparsify_PyTorch.quadraticBasisUpdate`` of the published code (MIT licence,
zeyuyun1/TransformerVis). No atom is revived, and the start is Gaussian noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from tfactors.coding.solver import SparseCoder

HISTORY = 300
STEP = 0.005
SMALLEST_ENERGY = 0.001


class GradientLearner:
    """Online learner with the 2021 update; ``partial_fit``, ``components_``, ``save``, ``load``.

    Parameters
    ----------
    n_components : int
        Atoms, m.
    penalty : float
        λ in ½‖x − αΦ‖² + λ‖α‖₁, the form that the 2021 code solves.
    tol : float
        Relative duality gap of every code.
    random_state : int
        Fixes the Gaussian start.
    """

    def __init__(
        self, n_components: int, penalty: float, *, tol: float = 1e-3, random_state: int = 0
    ) -> None:
        self.n_components = n_components
        self.penalty = penalty
        self.tol = tol
        self.random_state = random_state
        self.n_samples_seen_ = 0

    def partial_fit(
        self, X: np.ndarray, y: None = None, sample_weight: np.ndarray | None = None
    ) -> Self:
        """Take one step on a batch X (n, d), n = 100 in 2021, with weights (n,)."""
        if not self.n_samples_seen_:
            random = np.random.default_rng(self.random_state)
            atoms = random.normal(size=(self.n_components, X.shape[1])).astype(np.float32)
            self.components_ = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
            self.energy_ = np.zeros(self.n_components, np.float32)
        codes = SparseCoder(self.components_).encode(X, self.penalty, self.tol)
        self.energy_ *= 1 - 1 / HISTORY
        self.energy_ += codes.power(2).mean(axis=0) / HISTORY
        residual = X - codes @ self.components_
        if sample_weight is not None:
            residual *= sample_weight[:, None]
        step = (codes.T @ residual) / len(X)
        self.components_ += STEP * step / (self.energy_ + SMALLEST_ENERGY)[:, None]
        self.components_ /= np.linalg.norm(self.components_, axis=1, keepdims=True)
        self.n_samples_seen_ += len(X)
        return self

    def save(self, path: str | Path) -> None:
        """Write the whole state to an .npz file, from which :meth:`load` goes on to the bit."""
        with Path(path).open("wb") as file:
            np.savez(
                file,
                components=self.components_,
                energy=self.energy_,
                numbers=np.array([self.penalty, self.tol, self.random_state, self.n_samples_seen_]),
            )

    @classmethod
    def load(cls, path: str | Path) -> GradientLearner:
        """Read a state written by :meth:`save`."""
        with np.load(path, allow_pickle=False) as state:
            penalty, tol, random_state, seen = state["numbers"].tolist()
            learner = cls(
                len(state["components"]), penalty, tol=tol, random_state=int(random_state)
            )
            learner.components_, learner.energy_ = state["components"], state["energy"]
            learner.n_samples_seen_ = int(seen)
        return learner
