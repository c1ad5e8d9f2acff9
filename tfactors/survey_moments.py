"""How well codes reconstruct hidden states, summed over batches.

In come states (n, d), their codes, squared errors and duality gaps; out come L0, the mean gap and

    explained variance = 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²

with x̄ the mean of all states taken in. Sums are exact: batches and processes change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from tfactors.exact_sum import ExactSum


@dataclass
class Moments:
    """Sums over the held-out tokens of one layer, from which its quality follows.

    ``sums`` holds Σ‖x‖², Σ‖x − x̂‖², the sum of the duality gaps, and Σx, (3 + d,).
    """

    tokens: int = 0
    active: int = 0
    sums: ExactSum = field(default_factory=ExactSum)

    def add(self, x: np.ndarray, codes: csr_array, errors: np.ndarray, gap: np.ndarray) -> None:
        """Take in states (n, d), their codes, squared errors (n,) and the gaps of some of them."""
        self.tokens += len(x)
        self.active += int(codes.nnz)
        squares = np.einsum("ij,ij->", x, x, dtype=np.float64)
        gaps = gap.mean(dtype=np.float64) * len(x)
        numbers = [squares, errors.sum(dtype=np.float64), gaps]
        self.sums.add(np.concatenate([numbers, x.sum(axis=0, dtype=np.float64)]))

    def merge(self, other: Moments) -> None:
        """Take in all that another one has."""
        self.tokens += other.tokens
        self.active += other.active
        self.sums.merge(other.sums)

    @property
    def errors(self) -> float:
        """Σ‖x − x̂‖²."""
        return float(self.sums.value[1]) if self.tokens else 0.0

    @property
    def l0(self) -> float:
        """Mean number of active factors a token."""
        return self.active / self.tokens if self.tokens else float("nan")

    @property
    def mean_gap(self) -> float:
        """Mean relative duality gap of the codes."""
        return float(self.sums.value[2]) / self.tokens if self.tokens else float("nan")

    @property
    def variance(self) -> float:
        """Σ‖x − x̄‖² with x̄ the mean of all tokens taken in, whatever the batches were."""
        if not self.tokens:
            return 0.0
        squares, total = self.sums.value[0], self.sums.value[3:]
        return float(squares - total @ total / self.tokens)

    @property
    def explained_variance(self) -> float:
        """1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²: 0 for predicting the mean, 1 for a perfect copy."""
        return 1.0 - self.errors / self.variance if self.variance > 0 else float("nan")
