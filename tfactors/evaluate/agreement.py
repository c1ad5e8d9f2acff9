"""Do factors, and their levels, come back with another seed?

In goes a bundle with its second dictionary; out come the shares of factors with a one-to-one
partner above a cosine of 0.7 and 0.9 (`stability`), beside a random dictionary, and by level; and,
on a sample of the corpus that both dictionaries code, how often a factor and its partner peak at
the same layer and have the same level. Importance on the sample is the mean of the K' largest
activations, K' being the bundle's K times the sample's share of the corpus, and at least 3;
what a factor keeps elsewhere is measured on the sample's three strongest windows of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tfactors import ragged
from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.coding.solver import SparseCoder
from tfactors.describe import levels
from tfactors.describe.stability import match, nearest_cosine
from tfactors.evaluate.evaluation import Evaluation
from tfactors.evaluate.sample import Sample
from tfactors.explain import elsewhere, retention
from tfactors.explain.encoder import FactorEncoder

if TYPE_CHECKING:
    from tqdm import tqdm


THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TITLE, ABOUT = (
    "Stability",
    (
        "The dictionary was learnt a second time with another seed. A factor that comes back says "
        "something about the model; one that does not may be an accident of the seed."
    ),
)
EXAMPLES, DRAWS = 3, 3
MOST_PAIRS = 400  # pairs whose levels are compared: cutting context away is what costs time


def measure(evaluation: Evaluation) -> Section:
    """Measure which factors, and which levels, come back."""
    bundle = evaluation.bundle
    second = bundle.second_dictionary
    if second is None:
        finding = "This bundle holds no second dictionary: build it with --stability to have one."
        return Section("stability", TITLE, ABOUT, (finding,), ())
    first = bundle.dictionary
    random = np.random.default_rng(evaluation.seed).standard_normal(second.shape)
    random = (random / np.linalg.norm(random, axis=1, keepdims=True)).astype(np.float32)
    rows, shares = [], {}
    for name, other in (("the other seed", second), ("random directions", random)):
        partner, cosine = match(first, other)
        nearest = nearest_cosine(first, other)
        for t in THRESHOLDS:
            rows.append((name, t, float((cosine > t).mean()), float((nearest > t).mean())))
        shares[name] = partner, cosine
    partner, cosine = shares["the other seed"]
    above = {t: float((cosine > t).mean()) for t in (0.7, 0.9)}
    table = Table(
        "Factors that come back",
        f"All {len(first):,} factors against {len(second):,} of the other dictionary, beside as "
        "many random directions.",
        (
            Column("against", "Against", "text"),
            Column("above", "Cosine above", "number", "The threshold that is asked for"),
            Column(
                "matched",
                "Matched",
                "share",
                "Factors whose one-to-one partner is nearer "
                "(Hungarian method: the pairs with the largest sum of cosines)",
            ),
            Column("near", "Near any", "share", "Factors with any atom of the other nearer"),
        ),
        tuple(rows),
        Chart("above", "matched", "against"),
    )
    findings = [
        f"{above[0.7]:.1%} of the factors have a partner above a cosine of 0.7, "
        f"{above[0.9]:.1%} above 0.9.",
    ]
    tables = [table, _by_level(evaluation, cosine)]
    chosen = np.flatnonzero((cosine > THRESHOLDS[0]) & (partner >= 0))
    chosen = np.random.default_rng(evaluation.seed).permutation(chosen)[:MOST_PAIRS]
    if evaluation.encoder.exact and len(chosen):
        agreement = _levels(evaluation, second, chosen, partner[chosen])
        compared, findings_of = _compared(*agreement, chosen, partner, cosine, evaluation)
        tables.append(compared)
        findings += findings_of
    return Section("stability", TITLE, ABOUT, tuple(findings), tuple(tables))


def _by_level(evaluation: Evaluation, cosine: np.ndarray) -> Table:
    factors = evaluation.bundle.factors
    rows = []
    for level in ("low", "mid", "high"):
        mine = cosine[(factors["level"] == level).to_numpy()]
        if len(mine):
            rows.append((level, len(mine), float((mine > 0.7).mean()), float((mine > 0.9).mean()),
                         float(np.median(mine))))  # fmt: skip
    return Table(
        "By level",
        "All living factors, by their level in the bundle.",
        (
            Column("level", "Level", "text"),
            Column("factors", "Factors", "count", "Living factors of the level"),
            Column("above7", "Matched above 0.7", "share", "Of these, by their one-to-one partner"),
            Column("above9", "Matched above 0.9", "share", "The same above 0.9"),
            Column("median", "Median cosine", "number", "Of the factors with their partners"),
        ),
        tuple(rows),
    )


def _levels(
    evaluation: Evaluation, second: np.ndarray, mine: np.ndarray, theirs: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return peak layer and level of these factors of both dictionaries, from one sample."""
    encoder = evaluation.encoder
    other = FactorEncoder(
        encoder.model,
        SparseCoder(second),
        encoder.scale,
        encoder.penalty,
        encoder.tol,
        encoder.offset,
    )
    sample = evaluation.text_for_levels
    with evaluation.progress(2 * len(encoder.layers), "stability", "layer") as bar:
        first = _surveyed(evaluation, encoder, sample, mine, bar)
        return first, _surveyed(evaluation, other, sample, theirs, bar), sample.described


def _surveyed(
    evaluation: Evaluation, encoder: FactorEncoder, sample: Sample, wanted: np.ndarray, bar: tqdm
) -> pd.DataFrame:
    """Return peak of every factor and level of the wanted ones, "" for the others, a row each."""
    bundle = evaluation.bundle
    share = len(sample) / bundle.manifest["corpus"]["tokens"]
    top = max(EXAMPLES, round(bundle.manifest["importance"]["k"] * share))
    m, all_layers = encoder.n_factors, encoder.layers
    importance = np.zeros((m, len(all_layers)))
    lengths = [len(text) for text in sample.texts]
    window = ragged.owners(lengths)
    position = ragged.spans(0, lengths)
    best: list[pd.DataFrame] = []
    for i, layer in enumerate(all_layers):
        parts = [
            encoder.encode(sample.texts[first : first + 64], layer)
            for first in range(0, len(lengths), 64)
        ]
        place = ragged.offsets([part.shape[0] for part in parts])
        rows = np.concatenate(
            [
                start + ragged.owners(np.diff(part.indptr))
                for start, part in zip(place, parts, strict=False)
            ]
        )
        frame = pd.DataFrame(
            {
                "factor": np.concatenate([part.indices for part in parts]),
                "row": rows,
                "activation": np.concatenate([part.data for part in parts]),
            }
        )
        frame = frame.sort_values(["factor", "activation"], ascending=[True, False])
        ranked = frame[frame.groupby("factor").cumcount() < top]
        sums = ranked.groupby("factor")["activation"].sum()
        importance[sums.index, i] = sums / top
        strongest = frame.assign(window=window[frame["row"]], position=position[frame["row"]])
        strongest = strongest.drop_duplicates(["factor", "window"])
        strongest = strongest[strongest.groupby("factor").cumcount() < EXAMPLES]
        best.append(strongest.assign(layer=layer).drop(columns="row"))
        bar.update(1)
    peak = levels.peak_layers(importance, all_layers)
    alive = importance.max(axis=1) > 0
    thresholds = levels.Thresholds.of(bundle.manifest)
    low = thresholds.low_depth + levels.ROUNDING
    examples = pd.concat(best)
    examples = examples[np.isin(examples["factor"], wanted)]
    examples = examples[peak[examples["factor"]] == examples["layer"]]
    examples = examples[levels.depths(examples["layer"].to_numpy(), bundle.blocks) > low]
    texts = pd.DataFrame(
        {"window": range(len(lengths)), "token_ids": sample.texts, "tokens": sample.tokens}
    )
    texts["word_starts"] = list(bundle.windows(sample.windows)["word_starts"])
    word, sentence = _kept(encoder, examples, texts, thresholds, m, evaluation.seed)
    asked = alive & np.isin(np.arange(m), wanted)
    depth = np.where(asked, levels.depths(peak, bundle.blocks), np.nan)
    sentence[depth <= low] = 1.0
    level = levels.classify(depth, word, sentence, thresholds)
    return pd.DataFrame({"peak": np.where(alive, peak, -1), "level": level})


def _kept(
    encoder: FactorEncoder,
    examples: pd.DataFrame,
    texts: pd.DataFrame,
    thresholds: levels.Thresholds,
    factors: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the word and the sentence of each factor keep, as the thresholds ask, (m,)."""

    def windows(ids: Sequence[int]) -> pd.DataFrame:
        return texts.iloc[list(ids)]

    word, sentence = np.full((2, factors), np.nan)
    if thresholds.word_share is None:
        cut = retention.retention(encoder, examples, windows, radii=(0,))
        sentence[cut["factor"]] = cut["sentence"]
        return word, sentence
    places = elsewhere.WordPlaces(examples, windows, [texts])
    same = elsewhere.kept_by_the_word(encoder, examples, windows, places, DRAWS, seed)
    word[same["factor"]] = same["word"]
    other = elsewhere.kept_elsewhere(
        encoder, examples, windows, len(texts), ("sentence",), DRAWS, seed
    )
    sentence[other["factor"]] = other["sentence"]
    return word, sentence


def _compared(
    mine: pd.DataFrame,
    theirs: pd.DataFrame,
    described: str,
    chosen: np.ndarray,
    partner: np.ndarray,
    cosine: np.ndarray,
    evaluation: Evaluation,
) -> tuple[Table, list[str]]:
    rows = []
    built = evaluation.bundle.factors["level"].to_numpy(dtype=str)
    for t in (0.5, 0.7, 0.9):
        pairs = np.sort(chosen[cosine[chosen] > t])
        a, b = mine.iloc[pairs], theirs.iloc[partner[pairs]]
        known = (a["level"].to_numpy() != "") & (b["level"].to_numpy() != "")
        a, b = a[known], b[known]
        if not len(a):
            continue
        la, lb = a["level"].to_numpy(dtype=str), b["level"].to_numpy(dtype=str)
        pa, pb = a["peak"].to_numpy(), b["peak"].to_numpy()
        chance = sum((la == x).mean() * (lb == x).mean() for x in ("low", "mid", "high"))
        kept = (la == lb).mean()
        rows.append((
            t, len(a), float((pa == pb).mean()), float((abs(pa - pb) <= 1).mean()), float(kept),
            float(chance), float((kept - chance) / (1 - chance)) if chance < 1 else None,
            float((la == built[pairs][known]).mean()),
        ))  # fmt: skip
    table = Table(
        "Levels that come back",
        f"At most {MOST_PAIRS} pairs, drawn at random; both dictionaries on {described}; "
        "level by the bundle's thresholds but the place's, which takes more examples, from "
        f"{EXAMPLES} a factor (the bundle itself uses more of both).",
        (
            Column("above", "Pairs above", "number", "Cosine of the one-to-one partners"),
            Column("pairs", "Pairs", "count", "Where both are active in the sample"),
            Column("same_peak", "Same peak layer", "share", "Pairs that peak at the same layer"),
            Column("near_peak", "At most one apart", "share", "Pairs with |difference| ≤ 1"),
            Column("same_level", "Same level", "share", "Pairs of one level: low, mid, high"),
            Column("chance", "By chance", "share", "Σ over levels of the product of their shares"),
            Column("kappa", "Cohen's κ", "number", "(same − chance) / (1 − chance)"),
            Column(
                "as_built",
                "Sample agrees with bundle",
                "share",
                "Factors whose level on the sample is that of the bundle: what sampling costs",
            ),
        ),
        tuple(rows),
    )
    at = next((row for row in rows if row[0] == 0.7), None)
    if at is None:
        return table, []
    return table, [
        f"Of {at[1]:,} pairs above 0.7, {at[4]:.1%} have the same level (by chance {at[5]:.1%}) "
        f"and {at[2]:.1%} the same peak layer, measured on a sample; the sample alone agrees with "
        f"the bundle's own levels in {at[7]:.1%}."
    ]
