"""The activations of a factor at a layer in bands, from its histogram: by quantile, and exactly.

Turns how many tokens activate the factor how strongly into at most four bands, the strongest first.
They part where an edge of the histogram is nearest to the quantiles 0.9, 0.5 and 0.25, so that what
a band says of itself is counted and not estimated: how many of all activations it stands for, and
from which activation on.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# Shares of all activations below which a band ends: a tenth, two fifths, and two quarters.
QUANTILES = (0.9, 0.5, 0.25)


@dataclass(frozen=True)
class Band:
    """A range of activations of a factor at a layer.

    Attributes
    ----------
    low, high : float
        It holds activations a with low ≤ a < high; 0 and infinity at its open ends.
    count, above : int
        How many of all activations are in it, and how many are stronger than it.
    total : int
        All activations of the factor at the layer.
    """

    low: float
    high: float
    count: int
    above: int
    total: int

    @property
    def share(self) -> float:
        """The share of all activations that it stands for."""
        return self.count / self.total

    @property
    def name(self) -> str:
        """Which part of all activations it is, in words.

        >>> Band(2.0, np.inf, 8, 0, 100).name, Band(0.0, 2.0, 92, 8, 100).name
        ('The strongest 8%', 'The weakest 92%')
        """
        if self.count == self.total:
            return "All activations"
        if not self.above:
            return f"The strongest {_percent(self.share)}"
        weakest = self.above + self.count == self.total
        return f"The {'weakest' if weakest else 'next'} {_percent(self.share)}"

    def holds(self, activations: np.ndarray) -> np.ndarray:
        """Return for each of these activations whether the band holds it."""
        return (activations >= self.low) & (activations < self.high)


def bands_of(counts: np.ndarray, edges: np.ndarray) -> list[Band]:
    """Return the bands of a histogram, the strongest first; none where it is empty.

    Parameters
    ----------
    counts : (bins,) integers
        Activations in each bin; the first and the last also take what lies beyond the edges.
    edges : (bins + 1,) float
        Ascending.

    Examples
    --------
    >>> found = bands_of(np.array([30, 30, 30, 10]), np.array([0.0, 1.0, 2.0, 3.0, 4.0]))
    >>> [(band.name, band.low, band.count) for band in found]
    [('The strongest 10%', 3.0, 10), ('The next 30%', 2.0, 30), ('The next 30%', 1.0, 30), \
('The weakest 30%', 0.0, 30)]
    """
    counts = np.asarray(counts, np.int64)
    total = int(counts.sum())
    if not total:
        return []
    # The edges at which a band may begin: with activations on both sides.
    below = np.cumsum(counts)[:-1]
    inner = np.flatnonzero((below > 0) & (below < total))
    inner = inner[counts[inner + 1] > 0] if len(inner) else inner
    ends = {
        int(inner[np.abs(below[inner] / total - quantile).argmin()])
        for quantile in QUANTILES
        if len(inner)
    }
    starts = [0, *(int(below[end]) for end in sorted(ends)), total]
    borders = [0.0, *(float(edges[end + 1]) for end in sorted(ends)), np.inf]
    found = [
        Band(low, high, last - first, total - last, total)
        for (low, high), (first, last) in zip(pairwise(borders), pairwise(starts), strict=True)
    ]
    return found[::-1]


def _percent(share: float) -> str:
    """Return a share in per cent, never as none of all."""
    return f"{share:.0%}" if share >= 0.01 else f"{share:.1%}" if share >= 0.001 else "0.1%"
