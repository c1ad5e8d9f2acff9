"""How well layouts of the map keep neighbours: t-SNE, UMAP and PaCMAP, by atoms and by words.

    pip install umap-learn pacmap
    python benchmarks/map_layouts.py artifacts/default [--seeds 3] [--only "t-SNE"]

Lays the factors of a bundle out, and prints of each layout the trustworthiness at 15 (are the
neighbours on the map neighbours by the cosine of their atoms?) and the continuity (the other way
round), how much of the 15 neighbours on the map another seed repeats, whether the same seed gives
the same bytes, and CPU seconds. Then what a reader notices of the 15 neighbours on the map: the
mean cosine of their own words, and of the words near, counted in half of the examples, which no
layout saw; and the share that has the same level. UMAP and PaCMAP are no dependency of tfactors;
what is not installed is left out.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from tfactors.bundle import Bundle
from tfactors.describe import factor_map
from tfactors.describe.factor_texts import FactorTexts, directions
from tfactors.describe.text_words import TextWords

NEIGHBOURS = 15
Layout = Callable[[int], np.ndarray]


def words_of_halves(bundle: Bundle, peak: np.ndarray) -> tuple[FactorTexts, FactorTexts]:
    """Return the words of factors in examples of even and of odd rank."""
    frames = [
        bundle.examples(factor, int(layer)).drop_duplicates("window").assign(factor=factor)
        for factor, layer in enumerate(peak)
        if layer >= 0
    ]
    examples = pd.concat(frames, ignore_index=True)
    text = TextWords.read(np.unique(examples["window"]), bundle.windows)
    halves = (examples[examples["rank"] % 2 == half] for half in (0, 1))
    seen, unseen = (
        FactorTexts.of(
            text, *(half[name].to_numpy() for name in ("factor", "window", "position")), len(peak)
        )
        for half in halves
    )
    return seen, unseen


def layouts(atoms: np.ndarray, texts: FactorTexts) -> dict[str, Layout]:
    """Return what is compared, by name; each takes a seed."""

    def before(seed: int) -> np.ndarray:
        centred = atoms - atoms.mean(axis=0)
        left, size, _ = np.linalg.svd(centred, full_matrices=False)
        rows = (left * size)[:, :50].astype(np.float32)
        start = rows[:, :2] / rows[:, 0].std() * 1e-4
        return TSNE(perplexity=30, init=start, random_state=seed).fit_transform(rows)

    def by_pca(seed: int) -> np.ndarray:
        return TSNE(perplexity=30, init="pca", random_state=seed).fit_transform(atoms)

    found = {
        "t-SNE, 50 directions (before)": before,
        "t-SNE, atoms, PCA": by_pca,
        "t-SNE, atoms": lambda seed: factor_map.factor_map(atoms, seed),
        "t-SNE, atoms and words (ours)": lambda seed: factor_map.factor_map(atoms, seed, texts),
    }
    if importlib.util.find_spec("umap"):
        from umap import UMAP

        found["UMAP, atoms"] = lambda seed: UMAP(
            n_neighbors=15, metric="cosine", random_state=seed, n_jobs=1
        ).fit_transform(atoms)
    if importlib.util.find_spec("pacmap"):
        from pacmap import PaCMAP

        found["PaCMAP, atoms"] = lambda seed: PaCMAP(
            n_neighbors=None, distance="angular", random_state=seed
        ).fit_transform(atoms, init="pca")
    return found


def near_on(places: np.ndarray) -> np.ndarray:
    """Return the neighbours of each factor on the map, (m, NEIGHBOURS)."""
    index = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(places)
    return index.kneighbors(return_distance=False)


def likeness(near: np.ndarray, words: csr_array) -> float:
    """Return the mean cosine of words between factors and their neighbours on the map."""
    rows = directions(words)
    pairs = [rows[[factor]] @ rows[others].T for factor, others in enumerate(near)]
    return float(np.mean([pair.sum() / NEIGHBOURS for pair in pairs]))


def compare(bundle: Bundle, seeds: int, only: str) -> None:
    """Print the table."""
    rows = np.flatnonzero(bundle.factors["alive"])
    peak = np.where(bundle.factors["alive"], bundle.factors["peak_layer"], -1)
    seen, unseen = (texts.part(rows) for texts in words_of_halves(bundle, peak))
    atoms, level = bundle.dictionary[rows], bundle.factors["level"].to_numpy()[rows]
    print(f"{'layout':32} trust.  cont.  seeds  same    CPU    own   near  level")
    for name, layout in layouts(atoms, seen).items():
        if only not in name:
            continue
        places, seconds = [], []
        for seed in [*range(seeds), 0]:
            start = time.process_time()
            places.append(layout(seed))
            seconds.append(time.process_time() - start)
        near = [near_on(of_seed) for of_seed in places[:seeds]]
        again = [
            np.mean([len(np.intersect1d(a, b)) for a, b in zip(near[0], other, strict=True)])
            for other in near[1:]
        ]
        trust = trustworthiness(atoms, places[0], n_neighbors=NEIGHBOURS, metric="cosine")
        # Of unit vectors the order by distance is that by cosine.
        continuity = trustworthiness(places[0], atoms, n_neighbors=NEIGHBOURS)
        print(
            f"{name:32} {trust:6.3f} {continuity:6.3f} {np.mean(again or [0]) / NEIGHBOURS:6.2f}"
            f" {'yes' if (places[0] == places[-1]).all() else 'no':>5} {np.median(seconds):5.0f}s"
            f" {likeness(near[0], unseen.own):6.3f} {likeness(near[0], unseen.near):6.3f}"
            f" {(level[near[0]] == level[:, None]).mean():6.0%}",
            flush=True,
        )


def main() -> None:
    """Compare layouts of the bundle that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="layouts that have this in their name")
    options = parser.parse_args()
    with threadpool_limits(1):
        compare(Bundle.open(options.bundle), options.seeds, options.only)


if __name__ == "__main__":
    main()
