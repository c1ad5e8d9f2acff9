"""How well codes give hidden states back, for a row of penalties: the whole trade, layer by layer.

In go scaled states X (n, d) of held-out tokens and their codes at each λ; out come, with x̂ = αΦ,

    explained variance = 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²    (x̄: the layer's mean over the whole sample)
    L0, L1 = means of ‖α‖₀ and ‖α‖₁      cosine = mean of x·x̂ / ‖x‖‖x̂‖     norm ratio = mean ‖x̂‖/‖x‖

Pooled over layers, numerators and denominators of the first are added up, each layer with its own
mean; of the others the mean over layers is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.coding.sparse_coding import duality_gap
from tfactors.evaluate.evaluation import Evaluation
from tfactors.evaluate.sample import interval

# Eight penalties around the bundle's, as multiples of it.
MULTIPLES = (0.25, 0.354, 0.5, 0.707, 1.0, 1.414, 2.0, 2.828)
GAPS_OF = 512  # codes of each layer and λ whose duality gap is computed, in float64

COLUMNS = (
    Column("layer", "Layer", "text", "Hidden state; 0 is the embedding output"),
    Column("penalty", "λ", "number", "Weight of the L1 norm of the codes"),
    Column("l0", "L0", "number", "Mean number of active factors a token"),
    Column("l1", "L1", "number", "Mean sum of the activations of a token"),
    Column("explained", "Explained variance", "number", "1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²"),
    Column("low", "from", "number", "95% interval of it, documents drawn anew 1,000 times"),
    Column("high", "to", "number", "Upper end of the interval"),
    Column("cosine", "Cosine", "number", "Mean of x·x̂ / (‖x‖‖x̂‖)"),
    Column("norm_ratio", "Norm ratio", "number", "Mean of ‖x̂‖/‖x‖: 1 minus the shrinkage of L1"),
    Column("alive", "Alive", "share", "Factors active at least once in the sample"),
    Column("dense1", "Denser than 1%", "share", "Factors active on over 1% of its tokens"),
    Column("dense10", "Denser than 10%", "share", "Factors active on over 10% of its tokens"),
    Column(
        "gap", "Duality gap", "small", f"Mean relative gap (P − D)/P of {GAPS_OF} codes a layer"
    ),
)


@dataclass(frozen=True)
class Quality:
    """What codes keep of the states of one layer; arrays have one number a group of tokens."""

    error: np.ndarray
    deviation: np.ndarray
    l0: float
    l1: float
    cosine: float
    norm_ratio: float
    density: np.ndarray  # (m,)

    @property
    def explained(self) -> float:
        """Explained variance."""
        return 1 - self.error.sum() / self.deviation.sum()


def quality(
    X: np.ndarray, rebuilt: np.ndarray, codes: csr_array, groups: np.ndarray | None = None
) -> Quality:
    """Measure the reconstruction (n, d) that codes (n, m) give of the states X (n, d) of a layer.

    ``groups`` (n,) numbers the documents of the tokens; without it all are one.
    """
    groups = np.zeros(len(X), np.int64) if groups is None else groups
    x, y = X.astype(np.float64), rebuilt.astype(np.float64)
    norms, other = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
    both = norms * other
    cosine = np.divide((x * y).sum(axis=1), both, out=np.zeros(len(x)), where=both > 0)
    ratio = np.divide(other, norms, out=np.zeros(len(x)), where=norms > 0)
    return Quality(
        np.bincount(groups, ((x - y) ** 2).sum(axis=1)),
        np.bincount(groups, ((x - x.mean(axis=0)) ** 2).sum(axis=1)),
        codes.nnz / len(x),
        float(codes.sum(dtype=np.float64)) / len(x),
        float(cosine.mean()),
        float(ratio.mean()),
        np.bincount(codes.indices, minlength=codes.shape[1]) / len(x),
    )


def pooled(parts: list[Quality]) -> Quality:
    """Join the qualities of all layers."""
    return Quality(
        np.sum([part.error for part in parts], axis=0),
        np.sum([part.deviation for part in parts], axis=0),
        float(np.mean([part.l0 for part in parts])),
        float(np.mean([part.l1 for part in parts])),
        float(np.mean([part.cosine for part in parts])),
        float(np.mean([part.norm_ratio for part in parts])),
        np.mean([part.density for part in parts], axis=0),
    )


def measure(evaluation: Evaluation) -> Section:
    """Measure the reconstruction at every layer, for eight penalties."""
    encoder, sample = evaluation.encoder, evaluation.held_out
    coder, layers = encoder.coder, encoder.layers
    levels = [round(m * encoder.penalty, 4) for m in MULTIPLES] if encoder.exact else [0.0]
    own = encoder.penalty if encoder.exact else 0.0
    found: dict[tuple[str, float], tuple[Quality, float | None]] = {}
    with evaluation.progress(len(layers), "reconstruction", "layer") as bar:
        for layer, X in zip(layers, evaluation.states, strict=True):
            for level, codes in zip(levels, evaluation.codes(X, levels), strict=True):
                gap = None
                if encoder.exact:
                    few = slice(0, GAPS_OF)
                    gap = float(duality_gap(X[few], coder.dictionary, codes[few], level).mean())
                rebuilt = codes @ coder.dictionary
                found[str(layer), level] = quality(X, rebuilt, codes, sample.groups), gap
            bar.update(1)
    for level in levels:
        parts = [found[str(layer), level] for layer in layers]
        gap = float(np.mean([g for _, g in parts])) if encoder.exact else None
        found["all", level] = pooled([part for part, _ in parts]), gap
    rows = []
    for name in ("all", *map(str, layers)):
        for level in levels:
            q, gap = found[name, level]
            low, high = interval(q.error, q.deviation)
            rows.append((
                name, level, q.l0, q.l1, float(q.explained), 1 - high, 1 - low, q.cosine,
                q.norm_ratio, float((q.density > 0).mean()), float((q.density > 0.01).mean()),
                float((q.density > 0.1).mean()), gap,
            ))  # fmt: skip
    mine = next(row for row in rows if row[0] == "all" and row[1] == own)
    atoms = _likeness(coder.dictionary)
    findings = (
        f"At the bundle's λ = {own:g}, {mine[2]:.1f} factors a token explain {mine[4]:.1%} of the "
        f"variance of held-out states (95% interval {mine[5]:.1%} to {mine[6]:.1%}).",
        f"Reconstructions have {mine[8]:.1%} of the norm of the states: "
        f"L1 shrinks them by {1 - mine[8]:.1%}.",
        f"Two atoms are never nearer than a cosine of {atoms[-1]:.3f}; half of the atoms have "
        f"their nearest at {atoms[len(atoms) // 2]:.3f} or less.",
    )
    columns = COLUMNS if encoder.exact else tuple(c for c in COLUMNS if c.name != "gap")
    keep = len(columns)
    table = Table(
        "Reconstruction by layer and λ",
        f"Held-out text: {sample.described}, each token at every layer. λ is multiplied by "
        f"{MULTIPLES[0]:g} to {MULTIPLES[-1]:g}; the bundle's own is {own:g}.",
        columns,
        tuple(tuple(row[:keep]) for row in rows),
        Chart("l0", "explained", pick="layer", log=True, low="low", high="high"),
    )
    near = Table(
        "Largest cosine of an atom to another",
        f"All {len(atoms):,} atoms of the dictionary.",
        (
            Column("quantile", "Share of atoms", "share", "Atoms whose nearest other is no nearer"),
            Column("cosine", "Cosine", "number", "max over k ≠ c of φ_c·φ_k"),
        ),
        tuple((q, float(np.quantile(atoms, q))) for q in (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)),
    )
    return Section(
        "reconstruction",
        "Reconstruction",
        "How much of a hidden state its few factors give back, on text that the dictionary never "
        "saw, and what more or fewer factors would give.",
        findings,
        (table, near),
    )


def _likeness(atoms: np.ndarray) -> np.ndarray:
    """Largest cosine of each atom to another one, ascending, (m,)."""
    nearest = np.empty(len(atoms), np.float32)
    for first in range(0, len(atoms), 2048):
        cosine = atoms[first : first + 2048] @ atoms.T
        rows = np.arange(len(cosine))
        cosine[rows, first + rows] = -1
        nearest[first : first + 2048] = cosine.max(axis=1)
    return np.sort(nearest)
