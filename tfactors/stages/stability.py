"""Turns a dictionary, learnt a second time with another seed, into how steady each factor is.

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

from tfactors.bundle.writing import write_dictionary
from tfactors.describe.stability import matched_shares, nearest_cosine
from tfactors.stages.dictionary import learn_dictionary
from tfactors.stages.run import Run

SECOND = "second_dictionary.parquet"


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
    """Keep the stability of every factor, and return its mean and the matched shares."""
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
