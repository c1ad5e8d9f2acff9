"""Turns pictures of the 2021 website into importance curves.

A picture has 300 × 200 pixels: a black frame with ticks, whose scale is each factor's own, and in
it one coloured line over the layers 0, 2, 4, 6, 8, 10. It becomes six numbers between 0, the lowest
point of the line, and 1, the highest: its shape, and no value of the axis.

A straight stretch of a line has its middle, weighted by colour, exactly on the line, whatever its
slope. So every segment is fitted by least squares to the middles of its inner columns, and a layer
lies where the two segments beside it end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfactors.errors import InputError

_SIZE = (300, 200)
# A pixel belongs to the line so far as its colour differs from grey.
_FAINTEST, _STRONG = 0.06, 0.3
# Columns beside a layer that its bend may blur.
_BLUR = 2


def read_curve(path: Path, layers: int = 6) -> np.ndarray:
    """Return the height of a curve at its equally spaced layers, (layers,) in 0 … 1.

    A flat line is 0 everywhere.

    Raises
    ------
    InputError
        The file is no PNG of that size, or no line goes through it; names the file.
    """
    colour = _colourfulness(path)
    strong = np.flatnonzero((colour > _STRONG).any(axis=0))
    if not len(strong) or strong[-1] - strong[0] < colour.shape[1] / 3:
        raise InputError(f"{path}: no curve found in this picture")
    columns = np.arange(strong[0], strong[-1] + 1)
    weight = np.where(colour > _FAINTEST, colour, 0)[:, columns]
    total = weight.sum(axis=0)
    if not total.all():
        raise InputError(f"{path}: the curve in this picture is interrupted")
    height = -(np.arange(len(colour))[:, None] * weight).sum(axis=0) / total
    # The line ends in the middle of a column that is coloured in part.
    left = columns[0] + 1 - min(total[0] / total[1], 1)
    right = columns[-1] + min(total[-1] / total[-2], 1)
    at = np.linspace(left, right, layers)
    ends: list[list[float]] = [[] for _ in range(layers)]
    for segment in range(layers - 1):
        start, stop = at[segment] + _BLUR, at[segment + 1] - _BLUR
        inside = (columns + 0.5 >= start) & (columns + 0.5 <= stop)
        slope, level = np.polyfit(columns[inside] + 0.5, height[inside], 1)
        ends[segment].append(slope * at[segment] + level)
        ends[segment + 1].append(slope * at[segment + 1] + level)
    values = np.array([np.mean(both) for both in ends])
    span = values.max() - values.min()
    # Less than a pixel from top to bottom: the axis scaled nothing up, so there is nothing.
    return (values - values.min()) / span if span >= 1 else np.zeros(layers)


def _colourfulness(path: Path) -> np.ndarray:
    """Return how far each pixel is from grey, on white, (rows, columns) in 0 … 1."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as picture:
            size = picture.size
            pixels = np.asarray(picture.convert("RGBA")) if size == _SIZE else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: no readable picture; fetch it again") from error
    if pixels is None:
        raise InputError(f"{path}: {size[0]} × {size[1]} pixels and not 300 × 200")
    rgba = pixels.astype(np.float64) / 255
    opacity = rgba[..., 3:]
    rgb = rgba[..., :3] * opacity + 1 - opacity
    return rgb.max(axis=2) - rgb.min(axis=2)
