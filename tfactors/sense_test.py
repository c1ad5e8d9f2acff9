"""`tfactors evaluate --senses FILE.tsv`: can the senses of words be told from single factors?

In goes a table of labelled occurrences (columns text, word, offset, label, and document if there
are documents); out comes, for each word and layer, how well a logistic regression tells the labels
from one factor and from five, chosen inside the training folds by their F statistic, beside the
majority label, the words around the occurrence and the whole hidden state. Folds hold whole
documents. Precision, recall and F₁ are means over the labels; the interval of F₁ is that of 200
bootstrap draws of occurrences.
"""

from __future__ import annotations

import csv
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.corpus import normalize_spaces, tokenize
from tfactors.decomposition import FactorEncoder
from tfactors.errors import InputError
from tfactors.evidence import Chart, Column, Section, Table

if TYPE_CHECKING:
    from tfactors.evaluation import Evaluation

COLUMNS = ("text", "word", "offset", "label")
FOLDS = 5
DRAWS = 200
NEIGHBOURS = 10  # words on each side that the bag of words may use
SHIPPED = Path(__file__).with_name("data") / "senses.tsv"


@dataclass(frozen=True)
class Occurrence:
    """One row of the table."""

    text: str
    word: str
    offset: int
    label: str
    document: str


def read_senses(path: Path) -> list[Occurrence]:
    """Return the rows of a table; InputError names the row and the column that cannot be used."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path}: column '{missing[0]}' is missing; expected {', '.join(COLUMNS)}, "
                    "separated by tabs"
                )
            found = [_occurrence(path, number, row) for number, row in enumerate(reader, start=1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    if not found:
        raise InputError(f"{path}: holds no rows")
    return found


def _occurrence(path: Path, number: int, row: dict[str, Any]) -> Occurrence:
    def wrong(column: str, what: str) -> InputError:
        return InputError(f"{path}: row {number}, column '{column}': {what}")

    for column in COLUMNS:
        if not (row[column] or "").strip():
            raise wrong(column, "is empty")
    text, word, given = row["text"], row["word"].strip(), row["offset"].strip()
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise wrong("offset", f"{given[:20]!r} is not a number of characters, counted from 0")
    offset = int(given)
    there = text[offset : offset + len(word)]
    if there.casefold() != word.casefold():
        raise wrong("offset", f"{offset} is not where {word[:40]!r} stands, but {there[:40]!r}")
    document = (row.get("document") or "").strip() or f"row {number}"
    return Occurrence(text, word.casefold(), offset, row["label"].strip(), document)


def position_of(occurrence: Occurrence, tokens: list[str]) -> int:
    """Return the first token of the word, among those of the text (`tfactors.corpus.tokenize`)."""
    head = occurrence.text[: occurrence.offset]
    at = len(normalize_spaces(head + "|")) - 1 if head.strip() else 0
    return int(np.searchsorted(np.cumsum([len(token) for token in tokens]), at, side="right"))


def check_senses(evaluation: Evaluation) -> Section:
    """Measure the table that ``--senses`` names, or the one that comes with tfactors."""
    path = Path(evaluation.options.get("senses") or SHIPPED)
    rows = read_senses(path)
    words = sorted({row.word for row in rows})
    table_rows: list[tuple[str | int | float | None, ...]] = []
    findings = []
    for word in words:
        mine = [row for row in rows if row.word == word]
        found, said = _word(evaluation.encoder, path, word, mine, evaluation.seed)
        table_rows += found
        findings.append(said)
    columns = (
        Column("word", "Word", "text"),
        Column("method", "Told from", "text"),
        Column("layer", "Layer", "count", "of the codes or states; none for what needs no model"),
        Column("precision", "Precision", "share", "mean over the labels, of all folds together"),
        Column("recall", "Recall", "share", "mean over the labels"),
        Column("f1", "F₁", "share", "mean over the labels of the harmonic mean of the two"),
        Column("low", "From", "share", f"2.5 % quantile of F₁ over {DRAWS} bootstrap draws"),
        Column("high", "To", "share", f"97.5 % quantile of F₁ over {DRAWS} bootstrap draws"),
        Column("n", "Occurrences", "count", "labelled occurrences of the word"),
    )
    sample = (
        f"{path.name}: {len(rows)} labelled occurrences of {len(words)} words. Cross-validation "
        f"in up to {FOLDS} folds of whole documents; factors are chosen inside the training folds."
    )
    chart = Chart("layer", "f1", series="method", pick="word", low="low", high="high")
    return Section(
        "senses",
        "Word senses",
        "Whether a single factor tells the senses of a word, and from which layer on: logistic "
        "regressions on one factor and on five, beside the majority label, a bag of the words "
        f"around (up to {NEIGHBOURS} on each side) and the whole hidden state.",
        tuple(findings),
        (Table("Telling the labels of a word", sample, columns, tuple(table_rows), chart),),
    )


def _word(
    encoder: FactorEncoder, path: Path, word: str, rows: list[Occurrence], seed: int
) -> tuple[list[tuple[Any, ...]], str]:
    """Return the table rows of one word, and what was found."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.feature_selection import SelectKBest
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names, labels = np.unique([row.label for row in rows], return_inverse=True)
    documents = np.unique([row.document for row in rows], return_inverse=True)[1]
    if len(names) < 2 or len(np.unique(documents)) < 2:
        raise InputError(
            f"{path}: column 'label': the word {word!r} needs two labels and two documents"
        )
    states = _states(encoder, rows)
    guesses: dict[tuple[str, int | None], np.ndarray] = {}
    majority = np.zeros(len(rows), int)
    for train, test in _folds(labels, documents, seed):
        majority[test] = np.bincount(labels[train]).argmax()
    guesses[("majority label", None)] = majority
    around = [_around(row) for row in rows]
    bag = CountVectorizer(binary=True, tokenizer=str.split, token_pattern=None).fit_transform(
        around
    )
    logistic = LogisticRegression(max_iter=2000)
    guesses[("words around", None)] = _guessed(logistic, bag, labels, documents, seed)
    for layer, x in zip(encoder.layers, states, strict=True):
        codes = encoder.coder.encode(x, encoder.penalty, encoder.tol)
        # Where no factor is active at all there is one that is silent, and tells nothing.
        dense = codes[:, np.unique(codes.indices) if codes.nnz else [0]].toarray()
        for count, name in ((1, "one factor"), (5, "five factors")):
            model = make_pipeline(
                SelectKBest(_separation, k=min(count, dense.shape[1])), StandardScaler(), logistic
            )
            guesses[(name, layer)] = _guessed(model, dense, labels, documents, seed)
        whole = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.1))
        guesses[("hidden state", layer)] = _guessed(whole, x, labels, documents, seed)
    found = []
    for (method, where), guess in guesses.items():
        scores = scored(labels, guess)
        low, high = _interval(labels, guess, seed)
        found.append((word, method, where, *scores, low, high, len(rows)))
    f1: dict[tuple[str, int | None], float] = {(row[1], row[2]): row[5] for row in found}
    at = max(encoder.layers, key=lambda layer: (f1["one factor", layer], -layer))
    counts = ", ".join(f"{name} {int((labels == i).sum())}" for i, name in enumerate(names))
    said = (
        f"“{word}” ({counts}): one factor at best F₁ {f1['one factor', at]:.0%} at "
        f"layer {at}; majority {f1['majority label', None]:.0%}, "
        f"words around {f1['words around', None]:.0%}, hidden state there "
        f"{f1['hidden state', at]:.0%}. The layer is chosen after the fact."
    )
    return found, said


def _separation(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The F statistic of each feature; 0 for one that is the same everywhere."""
    from sklearn.feature_selection import f_classif

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.nan_to_num(f_classif(features, labels)[0], nan=0.0, posinf=1e12)


def _states(encoder: FactorEncoder, rows: list[Occurrence]) -> np.ndarray:
    """Scaled states of the first token of each occurrence, (layers, n, d)."""
    texts, positions = [], []
    for row in rows:
        token_ids, tokens, _ = tokenize(row.text, encoder.model.tokenizer)
        most = encoder.model.max_length  # of a longer text what stands around the word
        at = position_of(row, tokens)
        first = max(0, min(at - most // 2, len(tokens) - most))
        texts.append(token_ids[first : first + most])
        positions.append(at - first)
    return encoder.states(texts, encoder.layers, positions=positions)


def _around(row: Occurrence) -> str:
    before = re.findall(r"\w+|[^\w\s]", row.text[: row.offset].casefold())[-NEIGHBOURS:]
    after = re.findall(r"\w+|[^\w\s]", row.text[row.offset + len(row.word) :].casefold())
    return " ".join(before + after[:NEIGHBOURS])


def _folds(labels: np.ndarray, documents: np.ndarray, seed: int) -> list[tuple[Any, Any]]:
    """Return folds of whole documents, labels spread evenly; a fold may lack a label to test."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    folds = min(FOLDS, len(np.unique(documents)))
    if np.bincount(labels).min() >= folds:
        splitter: Any = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    else:
        splitter = GroupKFold(folds)
    return list(splitter.split(np.zeros(len(labels)), labels, documents))


def _guessed(
    model: Any, features: Any, labels: np.ndarray, documents: np.ndarray, seed: int
) -> np.ndarray:
    """Return the label that each occurrence is given by a model that has not seen its document."""
    from sklearn.base import clone

    guess = np.zeros(len(labels), int)
    for train, test in _folds(labels, documents, seed):
        if len(np.unique(labels[train])) < 2:
            guess[test] = labels[train][0]
            continue
        guess[test] = clone(model).fit(features[train], labels[train]).predict(features[test])
    return guess


def scored(labels: np.ndarray, guess: np.ndarray) -> tuple[float, float, float]:
    """Return precision, recall and F₁, each the mean over the labels; 0 where nothing is found."""
    numbers = np.unique(labels)
    right = np.array([((labels == n) & (guess == n)).sum() for n in numbers])
    given = np.array([(guess == n).sum() for n in numbers])
    there = np.array([(labels == n).sum() for n in numbers])
    precision, recall = right / np.maximum(given, 1), right / np.maximum(there, 1)
    f1 = 2 * right / np.maximum(given + there, 1)
    return float(precision.mean()), float(recall.mean()), float(f1.mean())


def _interval(labels: np.ndarray, guess: np.ndarray, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng([seed, 11])
    drawn = rng.integers(0, len(labels), (DRAWS, len(labels)))
    low, high = np.quantile([scored(labels[i], guess[i])[2] for i in drawn], [0.025, 0.975])
    return float(low), float(high)
