"""All factors of a bundle at a glance: importance, density and largest activation by layer."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tfactors.bundle import Bundle


@dataclass(frozen=True)
class Overview:
    """All factors of a bundle at a glance.

    ``importance``, ``density`` and ``maximum`` are (m, L) float32 in the order of
    ``bundle.layers``.
    """

    bundle: Bundle
    importance: np.ndarray
    density: np.ndarray
    maximum: np.ndarray

    @cached_property
    def band(self) -> pd.DataFrame:
        """Layer, and the 5, 50 and 95 % quantiles of the importance of all living factors."""
        return _quantiles(self.importance[self._active], self.bundle.layers)

    @cached_property
    def band_of_peak(self) -> pd.DataFrame:
        """The same of each factor's importance as a share of its own peak."""
        return _quantiles(self.share_of_peak[self._active], self.bundle.layers)

    @cached_property
    def has_curve(self) -> np.ndarray:
        """Whose curve is known, (m,) bool: on the 2021 website a factor's may be missing."""
        return self._active | bool(self.bundle.abilities.curves)

    @cached_property
    def _active(self) -> np.ndarray:
        """Which factors are of importance anywhere, (m,) bool."""
        return self.importance.max(axis=1) > 0

    @classmethod
    def of(cls, bundle: Bundle) -> "Overview":
        """Read what there is to know of all factors of a bundle."""
        frame = bundle.importance()
        shape = (bundle.n_factors, len(bundle.layers))
        columns = (frame[name].to_numpy() for name in ("importance", "density", "maximum"))
        # Copies, because a view would keep the whole table in memory.
        return cls(bundle, *(column.reshape(shape).copy() for column in columns))

    @property
    def share_of_peak(self) -> np.ndarray:
        """Importance over the factor's largest importance, (m, L); zero for a dead factor."""
        peak = self.importance.max(axis=1, keepdims=True)
        return np.divide(self.importance, peak, where=peak > 0, out=np.zeros_like(self.importance))

    def layer_index(self, layer: int) -> int:
        """Return the column of a layer."""
        return self.bundle.layers.index(layer)


def _quantiles(values: np.ndarray, layers: list[int]) -> pd.DataFrame:
    if not len(values):
        values = np.zeros((1, len(layers)))
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
    return pd.DataFrame({"layer": layers, "low": low, "middle": middle, "high": high})
