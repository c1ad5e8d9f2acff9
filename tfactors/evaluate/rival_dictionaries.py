"""Turns states into what other dictionaries explain of them with the same number of terms.

Are our factors any good? Explained variances of held-out states of all layers are compared at equal
L0. All linear rivals get the very coding that ours gets, argmin over α ≥ 0 of ½‖x − αΦ‖² + λ‖α‖₁,
with the λ at which they use as many terms; only Φ differs:

    random       m random unit directions                neurons   ±e_i, the coordinates themselves
    PCA          ± principal directions (about 0)        k-means   m centroids of unit length

A TopK autoencoder (`topk_autoencoder`) codes its own way, k largest. So that it is not flattered by
the shrinkage that λ causes, our codes are also shown *refitted*: least squares on the same factors.
Of a bundle whose codes are refitted, those of all linear rivals are.
"""

from __future__ import annotations

import time

import numpy as np

from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.solver import SparseCoder
from tfactors.evaluate.evaluation import Evaluation
from tfactors.evaluate.reconstruction import Quality, pooled, quality
from tfactors.evaluate.topk_autoencoder import TopKAutoencoder

TERMS = (4, 8, 16, 32, 64)
SEARCH = 24  # penalties tried for those that give so many terms
SEARCHED = 700  # states on which they are tried

OURS, SAME, REFITTED = "ours, the bundle's", "ours, same states", "ours, refitted"
TOPK, TOPK_LONGER = "TopK, same time", "TopK, 4 × the time"
RANDOM, NEURONS, PCA, MEANS = "random directions", "raw neurons ±", "PCA ±", "k-means centroids"
ORDER = (OURS, REFITTED, SAME, TOPK_LONGER, TOPK, MEANS, PCA, NEURONS, RANDOM)


def rivals(X: np.ndarray, m: int, seed: int) -> dict[str, np.ndarray]:
    """Return by name the dictionaries (atoms, d) that need no learner of ours, of states (n, d)."""
    from sklearn.cluster import MiniBatchKMeans

    rng, d = np.random.default_rng(seed), X.shape[1]
    identity = np.eye(d, dtype=np.float32)
    moment = X.T @ X
    directions = np.linalg.eigh(moment.astype(np.float64))[1].T.astype(np.float32)
    clusters = MiniBatchKMeans(
        min(m, len(X) // 2),
        batch_size=4096,
        max_iter=20,
        n_init=1,
        random_state=seed,
        init="random",
        compute_labels=False,
    ).fit(X)
    return {
        RANDOM: _unit_rows(rng.standard_normal((m, d))),
        NEURONS: np.concatenate([identity, -identity]),
        PCA: _unit_rows(np.concatenate([directions, -directions])),
        MEANS: _unit_rows(clusters.cluster_centers_),
    }


def penalties_for(coder: SparseCoder, X: np.ndarray, terms: tuple[int, ...]) -> list[float]:
    """Return for each number of terms the λ that gives it on average on the states X (n, d)."""
    largest = float(np.quantile((X @ coder.dictionary.T).max(axis=1), 0.9))
    tried, used, codes = [], [], None
    for penalty in largest * np.geomspace(1, 0.005, SEARCH):
        codes = coder.encode(X, float(penalty), start=codes)
        tried.append(float(penalty))
        used.append(max(codes.nnz / len(X), 1e-3))
        if used[-1] > max(terms):
            break
    at = np.interp(np.log(terms), np.log(used), np.log(tried))
    return [float(penalty) for penalty in np.exp(at)]


def measure(evaluation: Evaluation) -> Section:
    """Measure ours and its rivals at equal L0 on held-out states of every layer."""
    effort, encoder = evaluation.effort, evaluation.encoder
    train = evaluation.training_states
    train = train[np.random.default_rng(evaluation.seed).permutation(len(train))]
    m = encoder.n_factors
    refit = evaluation.bundle.about.coding.refit
    layers, states = encoder.layers, evaluation.states[:, : effort.rival_tokens]
    few = states.reshape(-1, states.shape[2])
    few = few[np.random.default_rng(0).permutation(len(few))[:SEARCHED]]
    terms = tuple(k for k in TERMS if k <= train.shape[1] // 2)
    measured: dict[tuple[str, str, int], Quality] = {}
    with evaluation.progress(12, "controls", "part") as bar:
        start = time.monotonic()
        penalty = encoder.penalty if encoder.exact else 1.0
        learner = DictionaryLearner(m, penalty, random_state=evaluation.seed, epochs=1)
        learner.fit(train)
        bar.update(2)
        spent = time.monotonic() - start
        seconds = max(spent, effort.least_seconds)
        k = terms[min(2, len(terms) - 1)]
        autoencoders = {}
        for name, times in ((TOPK, 1), (TOPK_LONGER, 4)):
            model = TopKAutoencoder(m, k, evaluation.seed)
            autoencoders[name] = model.fit(train, times * seconds)
            bar.update(2)
        dictionaries = {SAME: learner.components_} | rivals(train, m, evaluation.seed)
        if encoder.exact:
            dictionaries = {OURS: encoder.coder.dictionary} | dictionaries
        for name, atoms in dictionaries.items():
            coder = SparseCoder(atoms, refit=refit)
            penalties = penalties_for(coder, few, terms)
            for layer, X in zip(layers, states, strict=True):
                for count, codes in zip(terms, coder.path(X, penalties), strict=True):
                    measured[name, str(layer), count] = quality(X, codes @ atoms, codes)
                    if name == OURS and not refit:
                        better = coder.refitted(X, codes)
                        measured[REFITTED, str(layer), count] = quality(X, better @ atoms, better)
            bar.update(1)
        for layer, X in zip(layers, states, strict=True):
            for name, model in autoencoders.items():
                for count in terms:
                    codes = model.encode(X, count)
                    measured[name, str(layer), count] = quality(X, model.decode(codes), codes)
    names = list(dict.fromkeys(name for name, *_ in measured))
    order = [n for n in ORDER if n in names]
    for name in order:
        for count in terms:
            parts = [measured[name, str(layer), count] for layer in layers]
            measured[name, "all", count] = pooled(parts)
    rows = tuple(
        (layer, name, count, q.l0, float(q.explained), q.norm_ratio)
        for layer in ("all", *map(str, layers))
        for name in order
        for count in terms
        for q in [measured[name, layer, count]]
    )
    table = Table(
        "Explained variance at equal L0",
        f"Held-out states of {states.shape[1]:,} tokens at each of {len(layers)} layers. Ours on "
        f"the same states learnt from {len(train):,} states of the training text (λ = {penalty:g}) "
        f"in {spent:.0f} s; a TopK autoencoder (k = {k}) had {seconds:.0f} s on them "
        f"({autoencoders[TOPK].samples:,} states, {autoencoders[TOPK].dead} dead latents), another "
        f"{4 * seconds:.0f} s ({autoencoders[TOPK_LONGER].samples:,}, "
        f"{autoencoders[TOPK_LONGER].dead} dead).",
        (
            Column("layer", "Layer", "text", "Hidden state; all: pooled"),
            Column("method", "Method", "text"),
            Column("terms", "L0 aimed at", "count", "Terms for which λ was chosen, pooled"),
            Column("l0", "L0", "number", "Mean number of terms a token"),
            Column("explained", "Explained variance", "number", "1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²"),
            Column("norm_ratio", "Norm ratio", "number", "Mean of ‖x̂‖/‖x‖"),
        ),
        rows,
        Chart("l0", "explained", "method", "layer", log=True),
    )
    return Section(
        "controls",
        "Controls",
        "The same states taken apart by simpler dictionaries with the same number of terms, and by "
        "a TopK sparse autoencoder that had the same states and the same time.",
        tuple(_findings({name: measured[name, "all", k] for name in order}, k, evaluation, train)),
        (table,),
    )


def _findings(
    at: dict[str, Quality], k: int, evaluation: Evaluation, train: np.ndarray
) -> list[str]:
    """Say who explains how much with k terms a token; ``at`` is the quality of each by name."""
    ours, topk, same = at.get(OURS, at[SAME]), at[TOPK], at[SAME]
    longer = at[TOPK_LONGER]
    simple = max(
        (n for n in at if n in (RANDOM, NEURONS, PCA, MEANS)), key=lambda n: at[n].explained
    )
    sentences = [
        f"With {k} terms a token, ours explains {ours.explained:.1%}, the best simple control "
        f"({simple}) {at[simple].explained:.1%}, random directions {at[RANDOM].explained:.1%}.",
        f"The TopK autoencoder explains {topk.explained:.1%} with {topk.l0:.1f} terms, and "
        f"{longer.explained:.1%} after four times the time; ours learnt on the same states "
        f"{same.explained:.1%} with {same.l0:.1f}. An autoencoder sees few states in so short a "
        "time on a processor: the comparison is at equal time, not of what each can reach.",
    ]
    if REFITTED in at:
        sentences.append(
            f"Without the shrinkage of L1 (least squares on the same factors) ours explains "
            f"{at[REFITTED].explained:.1%}."
        )
    return sentences


def _unit_rows(atoms: np.ndarray) -> np.ndarray:
    """Return the rows of atoms (m, d) with norm 1, those of norm 0 left out."""
    norms = np.linalg.norm(atoms, axis=1, keepdims=True)
    long = norms[:, 0] > 1e-6
    return np.ascontiguousarray((atoms[long] / norms[long]).astype(np.float32))
