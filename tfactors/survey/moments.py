"""How well codes reconstruct hidden states, summed over batches.

Turns states (n, d), their codes, squared errors and duality gaps into L0, the mean gap and

    explained variance = 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²

with x̄ the mean of all states taken in. Where a baseline was subtracted, x = b + z, it is that of
the whole state x, of which z is what was coded; the same with z in the place of x is the share
explained of the context's part. Sums are exact, so batches and processes change nothing. A
running sum in float64 would depend in its last bits on the order of its terms. Here a second
float64 keeps what each addition rounds away (Knuth's two-sum), about 106 bits in all, and the sum
is rounded once, when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array


@dataclass
class ExactSum:
    """The sum of the arrays added so far, all of one shape.

    Attributes
    ----------
    high, low : float64 arrays
        The sum, and what its float64 has rounded away.

    Examples
    --------
    >>> total = ExactSum()
    >>> for number in (1e16, 1.0, -1e16):
    ...     total.add(np.array(number))
    >>> float(total.value)
    1.0
    """

    high: np.ndarray = field(default_factory=lambda: np.zeros(()))
    low: np.ndarray = field(default_factory=lambda: np.zeros(()))

    def add(self, terms: np.ndarray) -> None:
        """Add an array of float64."""
        high = self.high + terms
        part = high - self.high
        self.low = self.low + ((self.high - (high - part)) + (terms - part))
        self.high = high

    def merge(self, other: ExactSum) -> None:
        """Add all that another sum has taken in."""
        self.add(other.high)
        self.low = self.low + other.low

    @property
    def value(self) -> np.ndarray:
        """The sum, rounded to float64."""
        return self.high + self.low


@dataclass
class Moments:
    """Sums over the held-out tokens of one layer, from which its quality follows.

    Attributes
    ----------
    tokens, active : int
        Tokens taken in, and their activations above 0.
    sums : ExactSum of (4 + 2d,)
        Σ‖x‖², Σ‖x − x̂‖², the sum of the duality gaps, Σ‖z‖², Σx and Σz.
    """

    tokens: int = 0
    active: int = 0
    sums: ExactSum = field(default_factory=ExactSum)

    def add(
        self,
        z: np.ndarray,
        codes: csr_array,
        errors: np.ndarray,
        gap: np.ndarray,
        whole: np.ndarray | None = None,
    ) -> None:
        """Take in what was coded of some states.

        Parameters
        ----------
        z : (n, d) float32
            What was coded.
        codes : (n, m) csr_array
            Its codes.
        errors : (n,) array
            ‖x − x̂‖² of each.
        gap : (k,) array
            Relative duality gaps of some of the codes.
        whole : (n, d) float32, optional
            x, where it is not z.
        """
        self.tokens += len(z)
        self.active += int(codes.nnz)
        x = z if whole is None else whole
        squares = [np.einsum("ij,ij->", values, values, dtype=np.float64) for values in (x, z)]
        gaps = gap.mean(dtype=np.float64) * len(z)
        numbers = [squares[0], errors.sum(dtype=np.float64), gaps, squares[1]]
        totals = [values.sum(axis=0, dtype=np.float64) for values in (x, z)]
        self.sums.add(np.concatenate([numbers, *totals]))

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
        return self._deviation(0, 0)

    @property
    def context_variance(self) -> float:
        """Σ‖z − z̄‖² of what was coded."""
        return self._deviation(3, 1)

    def _deviation(self, square: int, half: int) -> float:
        """Return Σ‖x − x̄‖²; Σ‖x‖² is number ``square``, and Σx the first or second ``half``."""
        if not self.tokens:
            return 0.0
        total = np.split(self.sums.value[4:], 2)[half]
        return float(self.sums.value[square] - total @ total / self.tokens)

    @property
    def explained_variance(self) -> float:
        """1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²: 0 for predicting the mean, 1 for a perfect copy."""
        return 1.0 - self.errors / self.variance if self.variance > 0 else float("nan")

    @property
    def explained_context(self) -> float:
        """1 − Σ‖z − ẑ‖² / Σ‖z − z̄‖²."""
        context = self.context_variance
        return 1.0 - self.errors / context if context > 0 else float("nan")

    @property
    def context_share(self) -> float:
        """Σ‖z − z̄‖² / Σ‖x − x̄‖²: 1 where nothing was subtracted."""
        return self.context_variance / self.variance if self.variance > 0 else float("nan")
