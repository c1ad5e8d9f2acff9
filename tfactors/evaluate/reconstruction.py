"""Turns codes of held-out states into how well they give the states back, layer by layer.

The whole trade is shown, for a row of penalties. With scaled states X (n, d), and x̂ = αΦ, to
which what each token brings of its own is added where the bundle subtracts it,

    explained variance = 1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²    (x̄: the layer's mean over the whole sample)
    L0, L1 = means of ‖α‖₀ and ‖α‖₁      cosine = mean of x·x̂ / ‖x‖‖x̂‖     norm ratio = mean ‖x̂‖/‖x‖

Pooled over layers, numerators and denominators of the first are added up, each layer with its own
mean; of the others the mean over layers is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.coding.solver import SparseCoder
from tfactors.coding.sparse_coding import proved_gap
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
    """What codes keep of the states of one layer.

    Attributes
    ----------
    error, deviation : (groups,) float64
        Σ‖x − x̂‖² and Σ‖x − x̄‖² over the tokens of each group.
    l0, l1, cosine, norm_ratio : float
        Means over the tokens, as the formulas above say.
    density : (m,) float64
        The share of the tokens that activate each factor.
    """

    error: np.ndarray
    deviation: np.ndarray
    l0: float
    l1: float
    cosine: float
    norm_ratio: float
    density: np.ndarray

    @property
    def explained(self) -> float:
        """Explained variance."""
        return 1 - self.error.sum() / self.deviation.sum()


def quality(
    X: np.ndarray, rebuilt: np.ndarray, codes: csr_array, groups: np.ndarray | None = None
) -> Quality:
    """Measure the reconstruction that codes give of the states of a layer.

    Parameters
    ----------
    X, rebuilt : (n, d)
        The states and their reconstruction.
    codes : (n, m) csr_array
        What the reconstruction is made of.
    groups : (n,) int, optional
        Numbers the documents of the tokens; without it all are one.
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


class Row(NamedTuple):
    """One row of the table of reconstruction; what each number means stands in COLUMNS."""

    layer: str
    penalty: float
    l0: float
    l1: float
    explained: float
    low: float
    high: float
    cosine: float
    norm_ratio: float
    alive: float
    dense1: float
    dense10: float
    gap: float | None

    @classmethod
    def of(cls, layer: str, penalty: float, q: Quality, gap: float | None) -> Row:
        """Return the row of a layer at one penalty."""
        low, high = interval(q.error, q.deviation)
        return cls(
            layer,
            penalty,
            q.l0,
            q.l1,
            explained=float(q.explained),
            low=1 - high,
            high=1 - low,
            cosine=q.cosine,
            norm_ratio=q.norm_ratio,
            alive=float((q.density > 0).mean()),
            dense1=float((q.density > 0.01).mean()),
            dense10=float((q.density > 0.1).mean()),
            gap=gap,
        )


def measure(evaluation: Evaluation) -> Section:
    """Measure the reconstruction at every layer, for eight penalties."""
    encoder, sample = evaluation.encoder, evaluation.held_out
    coder, layers = encoder.coder, encoder.layers
    penalties = [round(m * encoder.penalty, 4) for m in MULTIPLES] if encoder.exact else [0.0]
    own_penalty = encoder.penalty if encoder.exact else 0.0
    measured: dict[tuple[str, float], tuple[Quality, float | None]] = {}
    with evaluation.progress(len(layers), "reconstruction", "layer") as bar:
        for at, (layer, X) in enumerate(zip(layers, evaluation.states, strict=True)):
            own = evaluation.parts[1]
            own_part = np.zeros_like(X) if own is None else own[at]
            for penalty, codes in zip(penalties, evaluation.codes(X, penalties), strict=True):
                gap = None
                if isinstance(coder, SparseCoder):
                    few = slice(0, GAPS_OF)
                    limits = penalty, encoder.tol
                    gap = float(proved_gap(coder, X[few], codes[few], *limits).mean())
                whole, rebuilt = X + own_part, codes @ coder.dictionary + own_part
                measured[str(layer), penalty] = quality(whole, rebuilt, codes, sample.groups), gap
            bar.update(1)
    for penalty in penalties:
        parts = [measured[str(layer), penalty] for layer in layers]
        gap = float(np.mean([g for _, g in parts])) if encoder.exact else None
        measured["all", penalty] = pooled([part for part, _ in parts]), gap
    rows = [
        Row.of(layer, penalty, *measured[layer, penalty])
        for layer in ("all", *map(str, layers))
        for penalty in penalties
    ]
    as_built = next(row for row in rows if row.layer == "all" and row.penalty == own_penalty)
    nearest = _nearest_cosines(coder.dictionary)
    findings = (
        f"At the bundle's λ = {own_penalty:g}, {as_built.l0:.1f} factors a token explain "
        f"{as_built.explained:.1%} of the variance of held-out states "
        f"(95% interval {as_built.low:.1%} to {as_built.high:.1%}).",
        f"Reconstructions have {as_built.norm_ratio:.1%} of the norm of the states: "
        + (
            "codes are refitted without λ."
            if evaluation.bundle.about.coding.refit
            else f"L1 shrinks them by {1 - as_built.norm_ratio:.1%}."
        ),
        f"Two atoms are never nearer than a cosine of {nearest[-1]:.3f}; half of the atoms have "
        f"their nearest at {nearest[len(nearest) // 2]:.3f} or less.",
    )
    columns = COLUMNS if encoder.exact else tuple(c for c in COLUMNS if c.name != "gap")
    table = Table(
        "Reconstruction by layer and λ",
        f"Held-out text: {sample.described}, each token at every layer. λ is multiplied by "
        f"{MULTIPLES[0]:g} to {MULTIPLES[-1]:g}; the bundle's own is {own_penalty:g}.",
        columns,
        tuple(tuple(row[: len(columns)]) for row in rows),
        Chart("l0", "explained", pick="layer", log=True, low="low", high="high"),
    )
    near = Table(
        "Largest cosine of an atom to another",
        f"All {len(nearest):,} atoms of the dictionary.",
        (
            Column("quantile", "Share of atoms", "share", "Atoms whose nearest other is no nearer"),
            Column("cosine", "Cosine", "number", "max over k ≠ c of φ_c·φ_k"),
        ),
        tuple((q, float(np.quantile(nearest, q))) for q in (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)),
    )
    return Section(
        "reconstruction",
        "Reconstruction",
        "How much of a hidden state its few factors give back, on text that the dictionary never "
        "saw, and what more or fewer factors would give.",
        findings,
        (table, near),
    )


def _nearest_cosines(atoms: np.ndarray) -> np.ndarray:
    """Return the largest cosine of each atom (m, d) to another one, ascending, (m,)."""
    nearest = np.empty(len(atoms), np.float32)
    for first in range(0, len(atoms), 2048):
        cosine = atoms[first : first + 2048] @ atoms.T
        rows = np.arange(len(cosine))
        cosine[rows, first + rows] = -1
        nearest[first : first + 2048] = cosine.max(axis=1)
    return np.sort(nearest)
