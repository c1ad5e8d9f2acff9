"""Turns planted factors into how many of them each method finds: only made-up states can tell.

Samples are sums of planted unit atoms, as a language might make them: x = Σ_c α_c φ_c + noise with
L0 = 10 on average (Poisson, at least 1), α_c from 1 to several times that, c drawn half from two
topics of the sample (50 atoms each, which so occur together and share a direction) and half from
all, where the c-th is drawn in proportion to (c + 10)^−0.7. The noise has 5 % of the variance.
Every method gets as many atoms as were planted and the same time, and is asked for

    recovered = share of planted atoms with a one-to-one partner above a cosine of 0.9

and for the explained variance of fresh samples: better codes can win the one and lose the other.
Time is that of the processor, so that other programs take none of it, and what is compiled once for
all is compiled before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from tfactors.bundle.evidence import Column, Section, Table
from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.solver import SparseCoder
from tfactors.describe.stability import match
from tfactors.evaluate.evaluation import Evaluation
from tfactors.evaluate.reconstruction import quality
from tfactors.evaluate.topk_autoencoder import TopKAutoencoder
from tfactors.parallel import core_seconds, cores

TERMS, TOPIC, NOISE, FOUND = 10, 50, 0.05, 0.9
WIDTHS = (256, 768)
PENALTIES = (0.5, 1.0, 2.0)  # in units of states of mean norm √d, as in a bundle
FRESH = 2_000
# Times the time of the others: an autoencoder learns slowly, and should not be judged too early.
PATIENCE = 4


@dataclass(frozen=True)
class Planted:
    """A problem with a known answer.

    Attributes
    ----------
    atoms : (m, d) float32
        What was planted, rows of norm 1.
    samples : (n, d) float32
        What methods learn from, mean norm √d.
    fresh : (FRESH, d) float32
        Samples that no method has seen.
    counts : (m,) int64
        How many of the samples have each atom among their terms.
    """

    atoms: np.ndarray
    samples: np.ndarray
    fresh: np.ndarray
    counts: np.ndarray


def plant(m: int, d: int, n: int, seed: int = 0) -> Planted:
    """Return n samples of mean norm √d made of m atoms, and FRESH more."""
    rng = np.random.default_rng(seed)
    topics = max(1, m // TOPIC)
    topic = rng.integers(0, topics, m)
    shared = rng.standard_normal((topics, d)) / np.sqrt(d)
    atoms = rng.standard_normal((m, d)) / np.sqrt(d) + 0.4 * shared[topic]
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    chance = (np.arange(m) + 10.0) ** -0.7
    members = [np.flatnonzero(topic == t) for t in range(topics)]
    members = [group if len(group) else np.arange(m) for group in members]
    shares = [chance[group] / chance[group].sum() for group in members]
    counts, total = np.zeros(m, np.int64), n + FRESH
    everywhere = rng.choice(m, (total, 3 * TERMS), p=chance / chance.sum())
    x = np.empty((total, d), np.float32)
    for i in range(total):
        size = max(1, rng.poisson(TERMS))
        chosen = [everywhere[i, : min(size - size // 2, 3 * TERMS)]]
        for t, part in zip(
            rng.integers(0, topics, 2), (size // 4, size // 2 - size // 4), strict=True
        ):
            chosen.append(rng.choice(members[t], part, p=shares[t]))
        active = np.unique(np.concatenate(chosen))
        strength = 1 + rng.exponential(1.0, len(active))
        x[i] = strength @ atoms[active]
        if i < n:
            counts[active] += 1
    spread = np.sqrt(NOISE / (1 - NOISE) * x.var(axis=0).mean())
    x += spread * rng.standard_normal(x.shape).astype(np.float32)
    x *= np.sqrt(d) / np.linalg.norm(x, axis=1).mean()
    return Planted(atoms.astype(np.float32), x[:n], x[n:], counts)


def learn_for(
    fit: Callable[[np.ndarray], object], X: np.ndarray, seconds: float, size: int = 4096
) -> int:
    """Call ``fit`` on shuffled batches until the time is up; return how many samples it saw."""
    rng, start, seen = np.random.default_rng(0), core_seconds(), 0
    while True:
        order = rng.permutation(len(X))
        for first in range(0, len(X), size):
            fit(X[order[first : first + size]])
            seen += len(order[first : first + size])
            if core_seconds() - start > seconds:
                return seen


class Recovery(NamedTuple):
    """What one method finds among planted atoms of one width."""

    width: str
    method: str
    recovered: float  # share of the planted atoms
    common: float  # of the half that was planted most often
    rare: float  # of the other half
    explained: float  # variance of fresh samples
    l0: float
    seen: int  # samples


@dataclass(frozen=True)
class Learnt:
    """What one method has learnt.

    Attributes
    ----------
    method : str
        Its name.
    atoms : (k, d) float32
        What it takes for the factors.
    rebuilt : (FRESH, d) float32
        Its reconstruction of the fresh samples.
    codes : (FRESH, k) csr_array
        Its codes of them.
    seen : int
        How many samples it learnt from.
    """

    method: str
    atoms: np.ndarray
    rebuilt: np.ndarray
    codes: csr_array
    seen: int


def measure(evaluation: Evaluation) -> Section:
    """Measure which share of planted atoms each method finds."""
    effort, rows = evaluation.effort, []
    m, n, seconds = effort.planted_atoms, effort.planted_samples, effort.planted_seconds
    with evaluation.progress(len(WIDTHS) * (len(PENALTIES) + 3), "recovery", "method") as bar:
        for d in WIDTHS:
            problem = plant(m, d, n)
            common = problem.counts >= np.median(problem.counts)
            for learnt in _methods(problem, seconds):
                recovered = match(problem.atoms, learnt.atoms)[1] > FOUND
                fresh = quality(problem.fresh, learnt.rebuilt, learnt.codes)
                rows.append(
                    Recovery(
                        str(d),
                        learnt.method,
                        recovered=float(recovered.mean()),
                        common=float(recovered[common].mean()),
                        rare=float(recovered[~common].mean()),
                        explained=float(fresh.explained),
                        l0=fresh.l0,
                        seen=learnt.seen,
                    )
                )
                bar.update(1)
    table = Table(
        "Planted atoms that were found again",
        f"{m:,} planted atoms, {n:,} samples of {TERMS} terms on average; {seconds:.0f} s of "
        f"{cores()} cores each (one batch at least); explained variance and L0 on {FRESH:,} fresh "
        "samples.",
        (
            Column("width", "d", "text", "Numbers of a sample"),
            Column("method", "Method", "text"),
            Column("found", "Recovered", "share", f"Planted atoms with a partner above {FOUND:g}"),
            Column("common", "of the common half", "share", "Atoms planted at least median often"),
            Column("rare", "of the rare half", "share", "The other planted atoms"),
            Column("explained", "Explained variance", "number", "1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²"),
            Column("l0", "L0", "number", "Mean number of terms"),
            Column("seen", "Samples seen", "count", "Passes over the samples count again"),
        ),
        tuple(tuple(row) for row in rows),
    )
    findings = []
    for width in map(str, WIDTHS):
        of_width = [row for row in rows if row.width == width]
        best = max(of_width, key=lambda row: row.recovered)
        nearest = max(of_width, key=lambda row: row.explained)
        findings.append(
            f"With d = {width}, {best.method} finds most: {best.recovered:.1%} of the planted "
            f"atoms; {nearest.method} reconstructs best ({nearest.explained:.1%} explained, "
            f"{nearest.recovered:.1%} found). "
            + " ".join(
                f"{row.method}: {row.recovered:.1%} found, {row.explained:.1%} explained."
                for row in of_width
                if not row.method.startswith("ours")
            )
        )
    return Section(
        "recovery",
        "Known truth",
        "States were made up from planted factors, correlated and unequally frequent, and each "
        "method had the same time to find them.",
        tuple(findings),
        (table,),
    )


def _methods(problem: Planted, seconds: float) -> Iterator[Learnt]:
    """Let every method learn for so many seconds, one after the other."""
    m, X, fresh = len(problem.atoms), problem.samples, problem.fresh
    DictionaryLearner(8, PENALTIES[0], random_state=0).partial_fit(X[:64])  # compiles
    for penalty in PENALTIES:
        learner = DictionaryLearner(m, penalty, random_state=0)
        seen = learn_for(learner.partial_fit, X, seconds)
        atoms = learner.components_
        codes = SparseCoder(atoms).encode(fresh, penalty)
        yield Learnt(f"ours, λ = {penalty:g}", atoms, codes @ atoms, codes, seen)
    for times in (1, PATIENCE):
        topk = TopKAutoencoder(m, min(TERMS, m // 4)).fit(X, times * seconds)
        codes = topk.encode(fresh)
        name = f"TopK, k = {topk.k}" + (f", {times} × the time" if times > 1 else "")
        yield Learnt(name, topk.dictionary, topk.decode(codes), codes, topk.samples)
    from sklearn.decomposition import MiniBatchDictionaryLearning

    scikit = MiniBatchDictionaryLearning(
        m,
        alpha=1.0,
        positive_code=True,
        fit_algorithm="cd",
        random_state=0,
        dict_init=_founders(X, m),
        transform_max_iter=100,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its inner solver stops early, and says so for every batch
        # Batches of 128, because one of thousands would take longer than the time.
        seen = learn_for(scikit.partial_fit, X, seconds, 128)
    atoms = scikit.components_.astype(np.float32)
    atoms = atoms / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-9)
    atoms[np.linalg.norm(atoms, axis=1) < 0.5] = _founders(X, 1)
    codes = SparseCoder(atoms).encode(fresh, 1.0)
    yield Learnt("scikit-learn, λ = 1 (coded by ours)", atoms, codes @ atoms, codes, seen)


def _founders(X: np.ndarray, m: int) -> np.ndarray:
    """Return m samples with a little noise, (m, d) of norm 1, as the atoms to begin with."""
    rows = np.random.default_rng(1).integers(0, len(X), m)
    founders = X[rows] + 1e-3 * np.random.default_rng(2).standard_normal((m, X.shape[1]))
    return (founders / np.linalg.norm(founders, axis=1, keepdims=True)).astype(np.float32)
