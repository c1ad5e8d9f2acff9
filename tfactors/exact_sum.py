"""Numbers in, in any order and from several processes; their sum out, the same in every order.

A running sum in float64 depends in its last bits on the order of its terms. Here a second float64
keeps what each addition rounds away (Knuth's two-sum), about 106 bits in all, and the sum is
rounded once, when it is read: the processes of a build can split the terms as they like.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class ExactSum:
    """The sum of the arrays added so far, all of one shape.

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
