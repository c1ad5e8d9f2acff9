"""The dictionary learnt a second time, with another seed -> how steady each factor is.

The second dictionary Ψ comes from the same corpus and settings, but another seed: other windows
where not all are used, in another order, and atoms founded on other samples. Then, with unit atoms,

    stability of factor c        s_c = max_k φ_c·ψ_k                   (the nearest atom)
    matched share above t        share of c with φ_c·ψ_π(c) > t,       π = argmax Σ_c φ_c·ψ_π(c)

where π is one to one (the Hungarian method), so that two factors cannot share a partner. A random
direction of d numbers has its nearest of m atoms at a cosine of about √(2 ln m / d).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tfactors.bundle_writing import write_dictionary
from tfactors.learning_stage import learn_dictionary
from tfactors.run import Run

MATCHED = (0.7, 0.9)
SECOND = "second_dictionary.parquet"
# The Hungarian method takes m² numbers and m³ steps: of more factors only the nearest is asked.
MOST_MATCHED = 6_000


def learn_again(run: Run) -> dict[str, Any]:
    """Learn the dictionary with another seed, and say how many factors come back.

    Without ``stability`` among the settings, and for a dictionary from elsewhere, nothing is done.
    """
    if not run.settings.stability or run.settings.dictionary:
        return {"seed": None}
    seed = run.settings.seed + 1
    again = Run(run.folder, replace(run.settings, seed=seed), run.show_progress, run.ranks)
    again.model = run.model
    learnt = learn_dictionary(again, "stability", partial(write_dictionary, name=SECOND))
    compared = run.ranks.lead(partial(_compare, run))
    return {"seed": seed, "samples": learnt["samples"]} | compared


def _compare(run: Run) -> dict[str, Any]:
    first, second = run.files.dictionary, run.files.second_dictionary
    assert second is not None  # written just now
    nearest = nearest_cosine(first, second)
    run.save_array("stability", nearest)
    return {
        "mean": float(nearest.mean()),
        "matched": {f"{t:g}": share for t, share in matched_shares(first, second).items()},
    }


def stability_of(run: Run) -> np.ndarray:
    """Return the stability of every factor of a build, (m,); NaN where nothing was compared."""
    if run.marker("stability")["notes"]["seed"] is None:
        return np.full(run.settings.factors, np.nan, np.float32)
    return run.load_array("stability")


def nearest_cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the largest cosine of each atom of ``first`` (m, d) to one of ``second``, (m,)."""
    parts = np.array_split(first, len(first) // 4096 + 1)
    return np.concatenate([(part @ second.T).max(axis=1) for part in parts])


def match(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match atoms one to one with the largest sum of cosines: partner and cosine, (m,) each.

    An atom without a partner, where ``second`` has fewer, has partner −1 and cosine −1.

    >>> match(np.eye(3)[:2], np.eye(3)[[2, 0, 1]])
    (array([1, 2]), array([1., 1.]))
    """
    from scipy.optimize import linear_sum_assignment

    cosine = first @ second.T
    rows, columns = linear_sum_assignment(cosine, maximize=True)
    partner = np.full(len(first), -1)
    found = np.full(len(first), -1.0, cosine.dtype)
    partner[rows], found[rows] = columns, cosine[rows, columns]
    return partner, found


def matched_shares(first: np.ndarray, second: np.ndarray) -> dict[float, float]:
    """Return the share of atoms with a one-to-one partner above each cosine of MATCHED."""
    if len(first) > MOST_MATCHED:
        return {}
    found = match(first, second)[1]
    return {t: float((found > t).mean()) for t in MATCHED}
