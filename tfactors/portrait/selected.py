"""A factor at a layer of a bundle, which every part that draws a factor takes."""

from dataclasses import dataclass

import pandas as pd

from tfactors.bundle import Bundle
from tfactors.describe.levels import OlderThresholds, Thresholds
from tfactors.portrait.level_rule import levels_in_force
from tfactors.portrait.overview import Overview


@dataclass(frozen=True)
class Selected:
    """A factor at a layer of a bundle, and what is known about it."""

    bundle: Bundle
    overview: Overview  # of all factors of the bundle
    factor: int
    layer: int
    row: pd.Series  # its row of ``bundle.factors``
    level: str  # at the thresholds in force
    thresholds: Thresholds | OlderThresholds

    @property
    def column(self) -> int:
        """The column of the layer in the overview's arrays."""
        return self.overview.layer_index(self.layer)


def peak_layer(bundle: Bundle, factor: int) -> int:
    """Return the layer where a factor is most important; the first one for a dead factor."""
    peak = int(bundle.factors["peak_layer"].iloc[factor])
    return peak if peak in bundle.layers else bundle.layers[0]


def select(bundle: Bundle, overview: Overview, factor: int, layer: int | None = None) -> Selected:
    """Return a factor at a layer, by default its peak, with the level that its bundle gives it."""
    limits = bundle.about.importance.thresholds
    level = str(levels_in_force(bundle.factors.iloc[[factor]], limits)[0])
    row = bundle.factors.iloc[factor]
    if layer is None:
        layer = peak_layer(bundle, factor)
    return Selected(bundle, overview, factor, layer, row, level, limits)
