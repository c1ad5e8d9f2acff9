"""Turns atoms into places on a map: those that point the same way lie near one another.

Each factor gets two coordinates by t-SNE (van der Maaten and Hinton 2008, as scikit-learn computes
it) on the cosines of the atoms. The axes have no meaning, and neither have sizes of clusters or the
gaps between them; only nearness has.
"""

from __future__ import annotations

import numpy as np

PERPLEXITY = 30.0
# Distances in this many leading directions are those of the atoms but for a little noise, and cost
# a fraction of them.
DIRECTIONS = 50
# Fewer factors than this are laid out by their two leading directions alone.
FEWEST = 10


def factor_map(atoms: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the coordinates of each factor; the same atoms and seed give the same map.

    Parameters
    ----------
    atoms : (m, d) float32
        The dictionary, rows of norm 1.
    seed : int
        Of t-SNE.

    Returns
    -------
    (m, 2) float32
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    m = len(atoms)
    # Of unit vectors the squared distance is 2 − 2 cosine: near is what points the same way.
    directions = _leading_directions(atoms.astype(np.float64), min(DIRECTIONS, *atoms.shape))
    if m < FEWEST:
        places = np.zeros((m, 2), np.float32)
        places[:, : directions.shape[1]] = directions[:, :2]
        return places
    start = directions[:, :2] / max(directions[:, 0].std(), 1e-12) * 1e-4
    if start.shape[1] < 2:
        start = np.pad(start, ((0, 0), (0, 1)))
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (m - 1) / 3), init=start.astype(np.float32), random_state=seed
    )
    # One thread: with more the sums round differently from run to run, and maps with them.
    with threadpool_limits(1):
        return tsne.fit_transform(directions.astype(np.float32)).astype(np.float32)


def _leading_directions(atoms: np.ndarray, number: int) -> np.ndarray:
    """Return coordinates of atoms along their leading directions, (m, number), signs fixed."""
    centred = atoms - atoms.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    vectors = vectors[:, ::-1][:, :number]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return centred @ vectors
