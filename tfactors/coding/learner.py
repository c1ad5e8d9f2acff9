"""Turns hidden states, batch after batch, into the dictionary that codes them best.

It minimises the mean over the samples x, with weights w, of

    ½‖x − αΦ‖² + λ‖α‖₁        over α ≥ 0 and Φ with unit rows

by online dictionary learning (Mairal, Bach, Ponce and Sapiro, JMLR 11, 2010). A batch is coded
exactly (`sparse_coding`), and enters two running sums, from which older batches fade:

    A = Σ w αᵀα   (m, m),      B = Σ w αᵀx   (m, d).

Then every atom in turn moves to its best place given all the others and given those codes,

    φ_j ∝ B_j − Σ_{k≠j} A_jk φ_k ,

with unit length. One sweep costs one matrix product. An atom that no sample has used for a long
time starts again from what the dictionary explains worst. The 2021 method weights a sample by
1/√(count of its token) in this step only, never in the coding: `sample_weight` does the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tfactors.coding.kernel import compiled
from tfactors.coding.solver import SparseCoder
from tfactors.errors import InputError
from tfactors.parallel import cores, in_parallel, one_blas_thread

BLOCK = 64
"""Atoms whose correlations with everything else are computed by one product; inside a block each
atom sees the atoms before it already moved."""

RECENT = 0.25
"""The share of all samples so far that the running sums remember at most: early codes belong to
dictionaries long gone."""

FIRST, GROWTH = 1024, 0.05
"""Samples of the first update, and of the following as a share of all samples so far."""

ALIKE = 0.9
"""Two samples with residuals this parallel do not both found an atom."""

STATE = ("components_", "usage_", "moments_", "idle_")


@compiled
def _add_usage(weights, indptr, indices, data, usage):  # type: ignore[no-untyped-def]
    """Add Σ w αᵀα to usage (m, m) for codes in compressed rows."""
    for t in range(weights.size):
        for e in range(indptr[t], indptr[t + 1]):
            value, row = weights[t] * data[e], usage[indices[e]]
            for f in range(indptr[t], indptr[t + 1]):
                row[indices[f]] += value * data[f]


@compiled
def _add_moments(weights, indptr, indices, data, X, moments):  # type: ignore[no-untyped-def]
    """Add Σ w αᵀx to moments (m, d) for codes in compressed rows."""
    for t in range(weights.size):
        for e in range(indptr[t], indptr[t + 1]):
            value, moment = weights[t] * data[e], moments[indices[e]]
            for i in range(moment.size):
                moment[i] += value * X[t, i]


@compiled
def _move(atoms, first, pull, usage):  # type: ignore[no-untyped-def]
    """Move the atoms from `first` on, one for each row of pull = B − AΦ, kept up to date."""
    size, d = pull.shape
    new = np.empty(d, atoms.dtype)
    for j in range(size):
        atom, weight = atoms[first + j], usage[j, first + j]
        square = weight * 0
        for i in range(d):
            new[i] = pull[j, i] + weight * atom[i]
            square += new[i] * new[i]
        if weight <= 0 or not square > 0:
            continue  # nothing uses this atom: it stays
        scale = 1 / np.sqrt(square)
        for i in range(d):
            new[i] = new[i] * scale - atom[i]
            atom[i] += new[i]
        for k in range(j + 1, size):
            shared = usage[k, first + j]
            if shared != 0:
                for i in range(d):
                    pull[k, i] -= shared * new[i]


class DictionaryLearner(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Online dictionary learning with unit atoms and exact non-negative codes.

    Parameters
    ----------
    n_components : int
        Atoms, m.
    penalty : float
        λ in ½‖x − αΦ‖² + λ‖α‖₁, in the units of X as given.
    batch_size : int
        Samples an update at most.
    epochs : int
        Passes of `fit` over X.
    memory : float
        Samples that the running sums remember: a sample seen `memory` samples ago counts 1/e.
        At first they remember less, a share RECENT of what they have seen.
    patience : int
        An atom that no sample has used for so many samples starts again.
    tol : float
        Relative duality gap of every code.
    random_state : int, RandomState or None
        Fixes the samples that found atoms, and the order in `fit`.

    Attributes
    ----------
    components_ : (m, d) float32
        The dictionary, one unit atom a row.
    usage_, moments_ : (m, m) and (m, d) float32
        The running sums A and B.
    idle_ : (m,) int64
        Samples since an atom was last used.
    n_samples_seen_, n_updates_, n_revived_ : int
    objective_ : float
        Mean objective of the last batch, coded with the dictionary before its update.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(500, 8))
    >>> learner = DictionaryLearner(n_components=16, penalty=0.5, random_state=0).fit(X)
    >>> learner.transform(X).shape
    (500, 16)
    """

    # What codes a batch in an update; the processes of a build share that work.
    coder: Callable[[np.ndarray], SparseCoder] = SparseCoder

    def __init__(
        self,
        n_components: int = 1500,
        penalty: float = 1.0,
        *,
        batch_size: int = 8192,
        epochs: int = 10,
        memory: float = 100_000,
        patience: int = 60_000,
        tol: float = 1e-3,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.penalty = penalty
        self.batch_size = batch_size
        self.epochs = epochs
        self.memory = memory
        self.patience = patience
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: None = None) -> Self:
        """Learn afresh from X (n, d) in shuffled batches; for weights see `partial_fit`."""
        X = validate_data(self, X, dtype=np.float32, order="C")
        self._begin(X)
        for _ in range(self.epochs):
            order = self._random.permutation(len(X))
            self._learn(X[order], np.ones(len(X), np.float32))
        return self

    def partial_fit(
        self, X: np.ndarray, y: None = None, sample_weight: np.ndarray | None = None
    ) -> Self:
        """Learn from the batch X (n, d) with weights (n,); the first one founds the atoms.

        Weights count in the update of the dictionary, not in the codes.
        """
        first = not hasattr(self, "components_")
        X = validate_data(self, X, dtype=np.float32, order="C", reset=first)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float32)
        if first:
            self._begin(X)
        self._learn(X[weights > 0], weights[weights > 0])
        return self

    def transform(self, X: np.ndarray) -> csr_array:
        """Return codes (n, m) of X (n, d) for the dictionary and penalty of the training."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        return SparseCoder(self.components_).encode(X, self.penalty, self.tol)

    def save(self, path: str | Path) -> None:
        """Write parameters, dictionary and running state to one .npz file, without pickle."""
        check_is_fitted(self)
        seed = self.random_state
        if not (seed is None or isinstance(seed, int | np.integer)):
            raise InputError(
                f"random_state is a {type(seed).__name__}; a learner that is saved needs a number"
            )
        name, keys, *position = self._random.get_state(legacy=True)
        numbers = {
            "parameters": self.get_params(),
            "n_samples_seen_": self.n_samples_seen_,
            "n_updates_": self.n_updates_,
            "n_revived_": self.n_revived_,
            "objective_": self.objective_,
            "random": [name, *position],
        }
        with open(path, "wb") as file:
            np.savez(
                file,
                numbers=np.array(json.dumps(numbers, default=int)),
                random_keys=keys,
                **{name: getattr(self, name) for name in STATE},
            )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return a learner as it was saved.

        Further batches give the same bits as without the break.

        Raises
        ------
        InputError
            The file is no saved learner.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                numbers = json.loads(str(file["numbers"]))
                keys, state = file["random_keys"], {name: file[name] for name in STATE}
        except (ValueError, KeyError, OSError) as error:
            raise InputError(f"{path} is not a saved DictionaryLearner: {error}") from error
        learner = cls(**numbers.pop("parameters"))
        name, *position = numbers.pop("random")
        learner._random = np.random.RandomState()
        learner._random.set_state((name, keys, *position))
        for name, value in {**numbers, **state}.items():
            setattr(learner, name, value)
        learner.n_features_in_ = learner.components_.shape[1]
        return learner

    def _begin(self, X: np.ndarray) -> None:
        """Found the atoms on samples of X, and on random directions where it has too few."""
        if self.n_components < 1:
            raise InputError(f"n_components is {self.n_components}; expected at least 1")
        self._random = check_random_state(self.random_state)
        m, d = self.n_components, X.shape[1]
        atoms = self._random.standard_normal((m, d)).astype(np.float32)
        founders = X[self._random.permutation(len(X))[: 2 * m]].astype(np.float64)
        norms = np.linalg.norm(founders, axis=1, keepdims=True)
        founders = (founders[norms[:, 0] > 0] / norms[norms[:, 0] > 0])[:m]
        atoms[: len(founders)] = founders
        self.components_ = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
        self.usage_ = np.zeros((m, m), np.float32)
        self.moments_ = np.zeros((m, d), np.float32)
        self.idle_ = np.zeros(m, np.int64)
        self.n_samples_seen_ = self.n_updates_ = self.n_revived_ = 0
        self.objective_ = float("nan")

    def _learn(self, X: np.ndarray, weights: np.ndarray) -> None:
        """Make one update after another; small ones at first, when each makes a difference."""
        done = 0
        while done < len(X):
            size = max(FIRST, int(GROWTH * self.n_samples_seen_))
            piece = slice(done, done + min(size, self.batch_size))
            self._update(X[piece], weights[piece])
            done = piece.stop

    def _update(self, X: np.ndarray, weights: np.ndarray) -> None:
        """Code a batch X (n, d) with weights (n,), and move the atoms."""
        coder = self.coder(self.components_)
        codes = coder.encode(X, self.penalty, self.tol)
        errors = coder.squared_error(X, codes)
        totals = np.asarray(codes.sum(axis=1)).ravel()
        self.objective_ = float(np.mean(0.5 * errors + self.penalty * totals))

        memory = min(self.memory, max(len(X), RECENT * self.n_samples_seen_))
        fade = np.float32(np.exp(-len(X) / memory))
        entries = weights, codes.indptr, codes.indices, codes.data

        def add(parts: Iterator[int]) -> None:
            for part in parts:
                if part == 0:
                    self.usage_ *= fade
                    _add_usage(*entries, self.usage_)
                else:
                    self.moments_ *= fade
                    _add_moments(*entries, X, self.moments_)

        in_parallel(range(2), add, cores())
        self._move_atoms()

        self.idle_ += len(X)
        self.idle_[np.unique(codes.indices)] = 0
        self.n_samples_seen_ += len(X)
        self.n_updates_ += 1
        dead = np.flatnonzero(self.idle_ > self.patience)
        if len(dead):
            self._revive(dead, X, codes, errors)

    def _move_atoms(self) -> None:
        """Move every atom once; sums are in the same order with any number of threads."""
        pull = np.empty((BLOCK, self.components_.shape[1]), np.float32)

        def correlate(rows: slice) -> None:
            part = pull[rows.start % BLOCK :][: rows.stop - rows.start]
            np.matmul(self.usage_[rows], self.components_, out=part)
            np.subtract(self.moments_[rows], part, out=part)

        with one_blas_thread(), ThreadPoolExecutor(cores()) as pool:
            for first in range(0, self.n_components, BLOCK):
                last = min(first + BLOCK, self.n_components)
                halves = range(first, last, BLOCK // 2)
                list(pool.map(correlate, [slice(i, min(i + BLOCK // 2, last)) for i in halves]))
                _move(self.components_, first, pull[: last - first], self.usage_[first:last])

    def _revive(
        self, dead: np.ndarray, X: np.ndarray, codes: csr_array, errors: np.ndarray
    ) -> None:
        """Found dead atoms anew on the residuals of the samples that are explained worst."""
        worst = np.argsort(-errors, kind="stable")[: 4 * len(dead)]
        worst = worst[errors[worst] > 0]
        residuals = X[worst] - codes[worst] @ self.components_
        residuals /= np.linalg.norm(residuals, axis=1, keepdims=True)
        chosen: list[np.ndarray] = []
        for residual in residuals:
            if len(chosen) == len(dead):
                break
            if all(residual @ other < ALIKE for other in chosen):
                chosen.append(residual)
        for j, residual in zip(dead, chosen, strict=False):
            self.components_[j] = residual
            self.usage_[j] = self.usage_[:, j] = self.moments_[j] = 0
            self.idle_[j] = 0
        self.n_revived_ += len(chosen)

    @property
    def _n_features_out(self) -> int:
        return self.n_components

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
