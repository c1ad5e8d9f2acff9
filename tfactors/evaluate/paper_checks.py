"""Turns a bundle with its model into the checks of the 2021 paper that a machine can make.

They are the paper's edited sentences under a factor of consecutive adjectives, the number of
distinct words among a factor's strongest examples over the layers, and how often a pattern that a
regular expression knows stands at the strongest examples of the factor that is most about it.
Factors are searched for, none is named here; what a search chose is judged on text that did not
choose it.
"""

# ruff: noqa: E501 - sentences that a reader sees stand in one line

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from tfactors import ragged
from tfactors.bundle import Bundle
from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.bundle.format import example_file
from tfactors.errors import InputError
from tfactors.evaluate.evaluation import Evaluation
from tfactors.explain.encoder import FactorEncoder, tokenize_checked

_SONGS = "The album was described as full of {} songs."
# The edits of the paper's table 4, with the activations it gives at layer 8 of 12.
EDITS = (
    ("original", _SONGS.format("exhilarating, ecstatic, thrilling, fun and sometimes downright silly"), 9.5),
    ("other adjectives", _SONGS.format("delightful, lively, exciting, interesting and sometimes downright silly"), 9.2),
    ("negative adjectives", _SONGS.format("unfortunate, heartbroken, annoying, boring and sometimes downright silly"), 8.2),
    ("adjectives masked", _SONGS.format("[UNK], [UNK], thrilling, [UNK] and sometimes downright silly"), 5.3),
    ("three removed", _SONGS.format("thrilling and sometimes downright silly"), 7.8),
    ("neutral adjectives", _SONGS.format("natural, smooth, rock, electronic and sometimes downright silly"), 6.2),
    ("another sentence", "Each participant starts the battle with one balloon. These can be re-inflated up to four", 0.0),
    ("the pattern elsewhere", 'The book is described as "innovative, beautiful and brilliant". It received the highest opinion from James Wood', 7.9),
)  # fmt: skip
# What finds the factor: the pattern in other words, and the same words apart.
WITH_PATTERN = (
    "Her first novel was called warm, witty, sharp and deeply moving by most readers.",
    "It was a long, cold, dark and lonely winter in the north.",
    "He gave a clear, honest, brave and memorable speech.",
    "The region is dry, rocky, barren and thinly settled.",
    "The people are kind, patient, generous and proud.",
    "A small, bright, cheerful and comfortable room looked over the sea.",
)
WITHOUT_PATTERN = (
    "Her first novel was called moving by most readers, who bought it in large numbers.",
    "The winter in the north lasted until April, and the river did not thaw.",
    "He gave a speech in the evening and left the town by train.",
    "The region exports copper, wool, timber and grain to its neighbours.",
    "The people came from Spain, France, Italy and Greece.",
    "A room on the second floor looked over the sea, and she rented it.",
)

_STATES = (
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|"
    "Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|"
    "Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|"
    "New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|"
    "South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|"
    "Wisconsin|Wyoming"
)
_UNITS = (
    r"km|cm|mm|m|mi|miles?|ft|feet|in|inch(?:es)?|sq|acres?|ha|hectares?|kg|g|lbs?|pounds?|tons?|"
    r"tonnes?|mph|°[CF]?|[CFK]|gal|gallons?|litres?|liters?|yd|yards?|nmi|knots"
)
PATTERNS = {
    "unit in parentheses": rf"\(\s*(?:about |around )?[\d.,]+\s*(?:{_UNITS})\b[^()]{{0,20}}\)",
    "span of years": r"\b(?:1\d{3}|20\d\d)\s*[-–—]\s*(?:(?:1\d|20)?\d\d)\b",
    "possessive 's": r"\b\w+['’]s\b",
    "city, state": rf"\b[A-Z][\w.]+(?: [A-Z][\w.]+)*,\s(?:{_STATES})\b",
}
_SITE_DISTINCT = {0: 3, 2: 8, 4: 12, 6: 21, 8: 37, 10: 50}  # median, layers of 12, 500 factors
_SITE_BLOCKS = 12


def check_paper(evaluation: Evaluation) -> Section:
    """Measure all three, and say what came out as in 2021 and what did not."""
    bundle = evaluation.bundle
    edits: tuple[Table, ...] = ()
    try:
        table, edit_findings = _edited(bundle, evaluation.encoder)
        edits = (table,)
    except InputError as error:  # the sentences are longer than what the model reads
        edit_findings = [f"Edited sentences: not measured, {error}."]
    examples = _examples(bundle)
    words, word_findings = _distinct_words(bundle, examples)
    patterns, pattern_findings = _patterns(bundle, examples)
    return Section(
        "paper",
        "The paper's other checks",
        "What the 2021 paper showed on factors of BERT-base, asked of the factors of this bundle. Factors "
        "are found by a search: those for edited sentences on other sentences than the edited ones, those "
        "for patterns on the examples of even rank, and judged on the others.",
        (*edit_findings, *word_findings, *pattern_findings),
        (*edits, words, patterns),
    )


def strongest_in(encoder: FactorEncoder, texts: tuple[str, ...]) -> np.ndarray:
    """Return the largest activation of each factor in each text, (texts, layers, m)."""
    strongest = np.zeros((len(texts), len(encoder.layers), encoder.n_factors), np.float32)
    for row, text in enumerate(texts):
        token_ids, _, _ = tokenize_checked(text, encoder.model)
        for at, x in enumerate(encoder.states([token_ids], encoder.layers)):
            codes = encoder.coder.encode(x, encoder.penalty, encoder.tol)
            strongest[row, at] = codes.max(axis=0).toarray().ravel()
    return strongest


def _edited(bundle: Bundle, encoder: FactorEncoder) -> tuple[Table, list[str]]:
    """Measure the factor of consecutive adjectives on the paper's edited sentences."""
    having, lacking = (strongest_in(encoder, t) for t in (WITH_PATTERN, WITHOUT_PATTERN))
    # Active on every sentence of the pattern, and on the others as little as may be.
    score = having.min(axis=0) + having.mean(axis=0) - 2 * lacking.mean(axis=0)
    at, factor = np.unravel_index(int(score.argmax()), score.shape)
    layer = encoder.layers[int(at)]
    ours = strongest_in(encoder, tuple(text for _, text, _ in EDITS))[:, at, factor]
    rows = tuple(
        (name, text, float(value), published)
        for (name, text, published), value in zip(EDITS, ours, strict=True)
    )
    rank = float(spearmanr(ours, [published for *_, published in EDITS]).statistic)
    rank = 0.0 if np.isnan(rank) else rank
    control = float(ours[6])
    named = f"factor {factor} ({bundle.factors['label'].iloc[int(factor)]}) at layer {layer}"
    on_control = "0 as in 2021" if control == 0 else f"not 0 as in 2021 but {control:.2f}"
    columns = (
        Column("edit", "Edit", "text"),
        Column("text", "Text", "text"),
        Column("ours", "Ours", "number", "largest activation of the factor over the tokens"),
        Column("published", "2021", "number", "activation that the paper gives, at layer 8 of 12"),
    )
    sample = (
        f"Eight sentences, {named}: of all factors and layers the one that is largest on the weakest of "
        f"{len(WITH_PATTERN)} sentences with consecutive adjectives, plus its mean there, less twice its mean "
        f"on {len(WITHOUT_PATTERN)} without. The paper does not say at which word it measured; its sentences, known in part, are made whole here."
    )
    finding = (
        f"Edited sentences: {named} and the paper's column agree with a Spearman correlation of "
        f"{rank:.2f} (8 sentences); on the sentence without the pattern it is {on_control}; it is silent on "
        f"{int((np.delete(ours, 6) == 0).sum())} of the 7 with it, where the paper's factor never is."
    )
    return Table("Edited sentences", sample, columns, rows), [finding]


def _examples(bundle: Bundle) -> pd.DataFrame:
    """Return all examples of all factors: factor, layer, rank, window, position, word."""
    columns = ["factor", "rank", "window", "position", "word"]
    frames = [
        pd.read_parquet(bundle.path / example_file(layer), columns=columns).assign(layer=layer)
        for layer in bundle.layers
    ]
    return pd.concat(frames, ignore_index=True)


def _distinct_words(bundle: Bundle, examples: pd.DataFrame) -> tuple[Table, list[str]]:
    """Count the distinct words among the examples of each factor, by layer."""
    most = bundle.about.importance.examples
    folded = examples.assign(word=examples["word"].str.casefold())
    of_list = folded.groupby(["layer", "factor"])["word"]
    counts = pd.DataFrame(
        {
            "distinct": of_list.nunique(),
            "rows": of_list.size(),
            "commonest": folded.groupby(["layer", "factor", "word"])
            .size()
            .groupby(["layer", "factor"])
            .max(),
        }
    )
    whole = counts[counts["rows"] == most]
    rows: list[tuple[str | int | float | None, ...]] = []
    for layer in bundle.layers:
        here = whole[whole.index.get_level_values("layer") == layer]
        if len(here):
            share = float((here["commonest"] / here["rows"]).median())
            on_site = _SITE_DISTINCT.get(round(_SITE_BLOCKS * layer / max(bundle.blocks, 1)))
            rows.append((layer, len(here), float(here["distinct"].median()), share, on_site))
    medians = [float(row[2]) for row in rows if isinstance(row[2], float)]
    distinct = "median over these factors, upper and lower case together"
    commonest = "median share of the examples that are the commonest word"
    published = "median of the website's 500 factors at the same depth (layers 0, 2 … 10 of 12)"
    columns = (
        Column("layer", "Layer", "count", "0 is the embedding output"),
        Column("factors", "Factors", "count", f"with {most} examples at the layer"),
        Column("distinct", "Distinct words", "number", distinct),
        Column("commonest", "Commonest word", "share", commonest),
        Column("published", "2021", "number", published),
    )
    grows = all(a <= b for a, b in pairwise(medians))
    shown = " / ".join(f"{value:.0f}" for value in medians)
    finding = (
        f"Distinct words among the {most} strongest examples, median by layer: {shown}; "
        f"{'it grows at every layer' if grows else 'it does not grow at every layer'}, and on the 2021 "
        "website 3 / 8 / 12 / 21 / 37 / 50 (layers 0, 2 … 10 of BERT-base)."
    )
    title = "Distinct words among the strongest examples"
    sample = f"The strongest {most} examples of each factor that has so many, at most one a window."
    return Table(title, sample, columns, tuple(rows), Chart("layer", "distinct")), [finding]


def tokens_of(pattern: str, tokens: list[str]) -> np.ndarray:
    """Mark the tokens of a window that a match of the pattern covers, in whole or in part.

    >>> tokens_of(r"\\d+[-–]\\d+", ["In", " 1914", "–", "18", " he"]).tolist()
    [False, True, True, True, False]
    """
    ends = np.cumsum([len(token) for token in tokens])
    marked = np.zeros(len(tokens), bool)
    for match in re.finditer(pattern, "".join(tokens)):
        first = int(np.searchsorted(ends, match.start(), side="right"))
        last = int(np.searchsorted(ends, match.end() - 1, side="right"))
        marked[first : last + 1] = True
    return marked


def _patterns(bundle: Bundle, examples: pd.DataFrame) -> tuple[Table, list[str]]:
    """Measure how often each pattern stands at the examples of the factor most about it."""
    marks: dict[str, list[np.ndarray]] = {name: [] for name in PATTERNS}
    lengths = []
    for frame in bundle.iter_windows():
        for tokens in frame["tokens"]:
            lengths.append(len(tokens))
            for name, pattern in PATTERNS.items():
                marks[name].append(tokens_of(pattern, tokens))
    offsets = ragged.offsets(lengths)
    place = offsets[examples["window"]] + examples["position"].to_numpy()
    choosing = (examples["rank"] % 2 == 0).to_numpy()
    rows, findings = [], []
    for name, of_windows in marks.items():
        everywhere = np.concatenate(of_windows)
        hit = examples[["factor", "layer"]].assign(hit=everywhere[place])
        chosen = hit[choosing].groupby(["factor", "layer"])["hit"].agg(["mean", "size"])
        chosen = chosen[chosen["size"] >= chosen["size"].max() / 2]
        factor, at = chosen["mean"].idxmax()
        judged = hit[~choosing & (hit["factor"] == factor)].groupby("layer")["hit"]
        shares, sizes = judged.mean(), judged.size()
        for layer in bundle.layers:
            share = float(shares[layer]) if layer in shares.index else None
            rows.append((name, int(factor), layer, share, int(sizes.get(layer, 0))))
        base = float(everywhere.mean())
        best = float(shares.get(at, 0.0))
        verdict = "" if best >= 0.5 else "; no factor of this bundle is about it"
        findings.append(
            f"Pattern “{name}”: factor {factor}, {best:.0%} of its examples at layer {at} "
            f"({base:.2%} of all tokens){verdict}."
        )
    chosen_by = "the one with the largest share at any layer, by the examples of even rank"
    inside = "of its examples of odd rank that stand inside a match of the pattern"
    columns = (
        Column("pattern", "Pattern", "text"),
        Column("factor", "Factor", "count", chosen_by),
        Column("layer", "Layer", "count", "0 is the embedding output"),
        Column("share", "Share", "share", inside),
        Column("examples", "Examples", "count", "of odd rank, at most half of the stored ones"),
    )
    sample = (
        "The strongest examples of one factor for each pattern, at most one a window; a token counts if a match of "
        "the regular expression in its window covers it. For comparison, the website of 2021 at layers 0, 2 … 10, "
        "factor 13, unit in parentheses: 0, 0, 3, 20.5, 40.5, 84.5%; 86, years: 0, 5.5, 0, 91.5, 77, 87%; 51, "
        "apostrophe s: 2.5, 20, 50.5, 96.5, 84, 66.5%; 225, state: 0, 1.5, 29, 77, 68, 53%."
    )
    chart = Chart("layer", "share", series="pattern")
    return Table("Patterns over the layers", sample, columns, tuple(rows), chart), findings
