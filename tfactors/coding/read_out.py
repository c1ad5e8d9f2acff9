"""Turns an active factor into the linear function of the state that its activation is.

While the active factors S of a state z stay the same, the solver's codes are

    refitted   α_S = (Φ_S Φ_Sᵀ)⁻¹ Φ_S z            else   α_S = (Φ_S Φ_Sᵀ)⁻¹ (Φ_S z − λ 1)

and an autoencoder's encoder gives its factor a row of its own weights. So α_c = z·w + constant,
with a w that is Φ_c alone only where the other factors of S are orthogonal to it: (x − b)·Φ_c would
count what they explain already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tfactors.coding.imported_dictionary import EncoderCoder
    from tfactors.coding.solver import SparseCoder


@dataclass(frozen=True)
class ReadOut:
    """α = z·weights + constant, for as long as the active factors stay the same.

    Attributes
    ----------
    weights : (d,) float32
    constant : float
    """

    weights: np.ndarray
    constant: float = 0.0


def read_out(
    coder: SparseCoder | EncoderCoder, active: np.ndarray, factor: int, penalty: float
) -> ReadOut:
    """Return the linear function that an activation is.

    Parameters
    ----------
    coder : SparseCoder or EncoderCoder
        What gave the code.
    active : (k,) integers
        The active factors of the state, ``factor`` among them.
    factor : int
        Whose activation.
    penalty : float
        λ of the code.

    Examples
    --------
    >>> from tfactors.coding.solver import SparseCoder
    >>> coder = SparseCoder(np.array([[1.0, 0.0], [0.6, 0.8]], np.float32), refit=True)
    >>> read_out(coder, np.array([0, 1]), 0, 1.0).weights.round(3).tolist()
    [1.0, -0.75]
    """
    from tfactors.coding.imported_dictionary import EncoderCoder

    if isinstance(coder, EncoderCoder):
        return ReadOut(*coder.read_out(factor))
    atoms = coder.dictionary[active].astype(np.float64)
    row = np.linalg.solve(atoms @ atoms.T, (active == factor).astype(np.float64))
    constant = 0.0 if coder.refit else -penalty * float(row.sum())
    return ReadOut((row @ atoms).astype(np.float32), constant)
