"""Numbers with fewer binary digits, which a file packs into fewer bytes."""

import numpy as np

_STORED = 23  # binary digits that float32 has behind the first


def rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """Return float32 numbers with so many binary digits behind the first, to the nearest.

    >>> rounded(np.array([7.1234567], np.float32), 7).tolist()
    [7.125]
    """
    return _cut(_bits(values) + np.uint32(1 << (_STORED - 1 - digits)), digits)


def rounded_down(values: np.ndarray, digits: int) -> np.ndarray:
    """Return float32 numbers with so many binary digits behind the first, towards 0.

    The error is below 2^-digits of a number.

    >>> rounded_down(np.array([1.0, 1.3, -2.7], np.float32), 2).tolist()
    [1.0, 1.25, -2.5]
    """
    return _cut(_bits(values), digits)


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


def _cut(bits: np.ndarray, digits: int) -> np.ndarray:
    return (bits & ~np.uint32((1 << (_STORED - digits)) - 1)).view(np.float32)
