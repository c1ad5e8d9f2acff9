"""Dictionaries drawn at random, for tests of what holds for any."""

import numpy as np


def unit_atoms(rng: np.random.Generator, m: int, d: int) -> np.ndarray:
    """``m`` atoms of length one in ``d`` dimensions, float32."""
    atoms = rng.standard_normal((m, d))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return atoms.astype(np.float32)
