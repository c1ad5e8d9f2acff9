"""Turns states into what other dictionaries explain of them with the same number of terms.

Are our factors any good? Explained variances of held-out states of all layers are compared at equal
L0. All linear rivals get the very coding that ours gets, argmin over α ≥ 0 of ½‖x − αΦ‖² + λ‖α‖₁,
with the λ at which they use as many terms; only Φ differs:

    random       m random unit directions                neurons   ±e_i, the coordinates themselves
    PCA          ± principal directions (about 0)        k-means   m centroids of unit length

A TopK autoencoder (`topk_autoencoder`) codes its own way, k largest. So that it is not flattered by
the shrinkage that λ causes, our codes are also shown *refitted*: least squares on the same factors.
Of a bundle whose codes are refitted, those of all linear rivals are.

Where b, what a token brings of its own, is taken away first, all of these code x − b, and what is
explained is explained of x, with b on both sides: x̂ = b + αΦ. Beside them stand b alone, and what
each method makes of the whole state with as many terms: a dictionary of ours and a TopK autoencoder
learnt on x in the same time (Dooms and Wilhelm 2025, “Tokenized SAEs”, ask the same of TopK).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.coding.learner import DictionaryLearner
from tfactors.coding.solver import SparseCoder
from tfactors.evaluate.evaluation import Evaluation
from tfactors.evaluate.reconstruction import Quality, pooled, quality
from tfactors.evaluate.topk_autoencoder import TopKAutoencoder
from tfactors.parallel import core_seconds

TERMS = (4, 8, 16, 32, 64)
SEARCH = 24  # penalties tried for those that give so many terms
SEARCHED = 700  # states on which they are tried

OURS, SAME, REFITTED = "ours, the bundle's", "ours, same states", "ours, refitted"
TOPK, TOPK_LONGER = "TopK, same time", "TopK, 4 × the time"
RANDOM, NEURONS, PCA, MEANS = "random directions", "raw neurons ±", "PCA ±", "k-means centroids"
WHOLE, TOPK_WHOLE = "ours, whole states", "TopK, whole states"
ORDER = (OURS, REFITTED, SAME, WHOLE, TOPK_LONGER, TOPK, TOPK_WHOLE, MEANS, PCA, NEURONS, RANDOM)
# λ at which whole states are learnt from: that of bundles without an own part.
PENALTY_OF_WHOLE = 2.0


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


@dataclass(frozen=True)
class _HeldOut:
    """States that are taken apart in many ways, each to the quality of what it gives back.

    Attributes
    ----------
    coded : (layers, n, d)
        What is coded.
    own : (layers, n, d) or None
        What is added to every reconstruction, and was taken away before.
    terms : tuple of int
        How many terms a token may have.
    refit : bool
        Whether codes of linear dictionaries are refitted.
    """

    coded: np.ndarray
    own: np.ndarray | None
    terms: tuple[int, ...]
    refit: bool

    def whole(self) -> _HeldOut:
        """Return the same with nothing taken away."""
        assert self.own is not None
        return replace(self, coded=self.coded + self.own, own=None)

    def quality(self, at: int, rebuilt: np.ndarray, codes: csr_array) -> Quality:
        """Return how well what is coded of one layer, (n, d), is rebuilt from codes (n, m)."""
        own = 0 if self.own is None else self.own[at]
        return quality(self.coded[at] + own, rebuilt + own, codes)

    def by_dictionary(self, atoms: np.ndarray) -> Iterator[tuple[int, int, Quality, csr_array]]:
        """Yield place of the layer, terms, quality and codes over some atoms (m, d)."""
        few = self.coded.reshape(-1, self.coded.shape[2])
        few = few[np.random.default_rng(0).permutation(len(few))[:SEARCHED]]
        coder = SparseCoder(atoms, refit=self.refit)
        penalties = penalties_for(coder, few, self.terms)
        for at, X in enumerate(self.coded):
            for count, codes in zip(self.terms, coder.path(X, penalties), strict=True):
                yield at, count, self.quality(at, codes @ atoms, codes), codes

    def by_autoencoder(self, model: TopKAutoencoder) -> Iterator[tuple[int, int, Quality]]:
        """Yield place of the layer, terms and quality of an autoencoder's own codes."""
        for at, X in enumerate(self.coded):
            for count in self.terms:
                codes = model.encode(X, count)
                yield at, count, self.quality(at, model.decode(codes), codes)

    def own_alone(self) -> list[Quality]:
        """Return the quality of no code at all, a layer each."""
        n, d = self.coded.shape[1:]
        nothing = csr_array((n, 1), dtype=np.float32)
        return [self.quality(at, np.zeros((n, d)), nothing) for at in range(len(self.coded))]


def measure(evaluation: Evaluation) -> Section:
    """Measure ours and its rivals at equal L0 on held-out states of every layer."""
    effort, encoder = evaluation.effort, evaluation.encoder
    train, train_own = evaluation.training_parts()
    m, about = encoder.n_factors, evaluation.bundle.about
    states, own = evaluation.states[:, : effort.rival_tokens], evaluation.parts[1]
    own = None if own is None else own[:, : effort.rival_tokens]
    terms = tuple(k for k in TERMS if k <= train.shape[1] // 2)
    k = terms[min(2, len(terms) - 1)]
    held = _HeldOut(states, own, terms, about.coding.refit)
    found: dict[tuple[str, int, int], Quality] = {}
    with evaluation.progress(12 if own is None else 16, "controls", "part") as bar:
        start = core_seconds()
        penalty = encoder.penalty if encoder.exact else 1.0
        learner = DictionaryLearner(m, penalty, random_state=evaluation.seed, epochs=1).fit(train)
        bar.update(2)
        spent = core_seconds() - start
        seconds = max(spent, effort.least_seconds)
        autoencoders = {}
        for name, times in ((TOPK, 1), (TOPK_LONGER, 4)):
            model = TopKAutoencoder(m, k, evaluation.seed)
            autoencoders[name] = model.fit(train, times * seconds)
            bar.update(2)
        dictionaries = {SAME: learner.components_} | rivals(train, m, evaluation.seed)
        ours = encoder.coder
        if isinstance(ours, SparseCoder):
            dictionaries = {OURS: ours.dictionary} | dictionaries
        for name, atoms in dictionaries.items():
            for at, count, rebuilt, codes in held.by_dictionary(atoms):
                found[name, at, count] = rebuilt
                if name == OURS and isinstance(ours, SparseCoder) and not held.refit:
                    better = ours.refitted(states[at], codes)
                    found[REFITTED, at, count] = held.quality(at, better @ atoms, better)
            bar.update(1)
        for name, model in autoencoders.items():
            found |= {(name, at, count): q for at, count, q in held.by_autoencoder(model)}
        if own is not None and train_own is not None:
            train += train_own
            whole = DictionaryLearner(m, PENALTY_OF_WHOLE, random_state=evaluation.seed, epochs=1)
            atoms = whole.fit(train).components_
            bar.update(2)
            states_whole = held.whole()
            of_dictionary = states_whole.by_dictionary(atoms)
            found |= {(WHOLE, at, count): q for at, count, q, _ in of_dictionary}
            model = TopKAutoencoder(m, k, evaluation.seed).fit(train, seconds)
            of_model = states_whole.by_autoencoder(model)
            found |= {(TOPK_WHOLE, at, count): q for at, count, q in of_model}
            bar.update(2)
    layers = encoder.layers
    order = [name for name in ORDER if (name, 0, k) in found]
    measured = {(name, str(layers[at]), count): q for (name, at, count), q in found.items()}
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
    at_k = {
        name: {layer: measured[name, layer, k] for layer in ("all", *map(str, layers))}
        for name in order
    }
    alone = [] if own is None else held.own_alone()
    sides = (_side_by_side(at_k, alone, k, layers),) if alone else ()
    findings = _findings({name: of["all"] for name, of in at_k.items()}, k, evaluation, train)
    if alone:
        findings.append(_of_the_word(at_k, pooled(alone), k))
    return Section(
        "controls",
        "Controls",
        "The same states taken apart by simpler dictionaries with the same number of terms, and by "
        "a TopK sparse autoencoder that had the same states and the same time.",
        tuple(findings),
        (*sides, table),
    )


def _side_by_side(
    at_k: dict[str, dict[str, Quality]], alone: list[Quality], k: int, layers: list[int]
) -> Table:
    """Return what each method explains of the whole state with k terms, layer by layer."""
    methods = [name for name in (OURS, SAME, WHOLE, TOPK, TOPK_WHOLE) if name in at_k]
    by_word = {"all": pooled(alone)} | dict(zip(map(str, layers), alone, strict=True))
    said = {
        OURS: "The word itself, and the bundle's factors of its context",
        SAME: "The word itself, and such factors learnt in the same time as the rivals",
        WHOLE: "A dictionary of the whole state, with nothing taken away first",
        TOPK: "The word itself, and a TopK autoencoder of its context",
        TOPK_WHOLE: "A TopK autoencoder of the whole state",
    }
    return Table(
        f"Word and context, with {k} terms",
        "Explained variance of the whole state. All but the bundle's own dictionary are learnt "
        "from the same states in the same time.",
        (
            Column("layer", "Layer", "text", "Hidden state; all: pooled"),
            Column("word", "The word itself", "share", "Nothing but b: no term at all"),
            *(Column(f"method{i}", name, "share", said[name]) for i, name in enumerate(methods)),
        ),
        tuple(
            (layer, float(q.explained), *(float(at_k[name][layer].explained) for name in methods))
            for layer, q in by_word.items()
        ),
    )


def _of_the_word(at_k: dict[str, dict[str, Quality]], alone: Quality, k: int) -> str:
    """Say what the word itself explains, and what taking it away first is worth."""
    ours = at_k[OURS if OURS in at_k else SAME]["all"]
    return (
        f"The word itself explains {alone.explained:.1%} of the whole state; with {k} factors of "
        f"its context it is {ours.explained:.1%}. A dictionary of the whole state, learnt on the "
        f"same states, explains {at_k[WHOLE]['all'].explained:.1%} with {k} "
        f"({at_k[SAME]['all'].explained:.1%} if the word goes first), a TopK autoencoder "
        f"{at_k[TOPK_WHOLE]['all'].explained:.1%} ({at_k[TOPK]['all'].explained:.1%})."
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
