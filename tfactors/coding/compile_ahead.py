"""Compiles what solves codes, so that the next process finds it in the cache beside the modules.

It takes some 25 seconds of a processor once after an installation, and about one where all is there
already. ``python -m tfactors.coding.compile_ahead`` does it in a process of its own, which keeps no
other thread waiting.
"""

import numpy as np

from tfactors.coding.solver import SparseCoder


def compile_ahead() -> None:
    """Solve a problem of no meaning in every way that codes are solved."""
    atoms = np.eye(4, 8, dtype=np.float32)
    states = np.ones((2, 8), np.float32)
    coder = SparseCoder(atoms, refit=True)
    coder.squared_error(states, coder.encode(states, 0.5))


if __name__ == "__main__":
    compile_ahead()
