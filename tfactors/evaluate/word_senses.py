"""Turns labelled occurrences of words into how well single factors tell their senses.

This is `tfactors evaluate --senses FILE.tsv`. For each word and layer a logistic regression tells
the labels (`tfactors.evaluate.labelled_senses`) from one factor and from five, chosen inside the
training folds by their F statistic, and then with the layer chosen there too. Beside them stand the
majority label, the words around the occurrence and the whole hidden state. Folds hold whole
documents, and labels weigh alike however frequent they are. Precision, recall and F₁ are means over
the labels; the interval of F₁ is that of 200 bootstrap draws of documents.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.errors import InputError
from tfactors.evaluate.evaluation import Evaluation
from tfactors.evaluate.label_scores import DRAWS, FOLDS
from tfactors.evaluate.labelled_senses import SHIPPED, Occurrence, read_senses
from tfactors.evaluate.word_scores import (
    AROUND,
    MAJORITY,
    NEIGHBOURS,
    WHOLE,
    WordScores,
    can_be_told,
    score_word,
)
from tfactors.parallel import ahead

MOST_LISTED = 20  # words that are named


def check_senses(evaluation: Evaluation) -> Section:
    """Measure the table that ``--senses`` names, or the one that comes with tfactors.

    A word whose occurrences have one label alone, or stand in one document, is left out by name.

    Raises
    ------
    InputError
        The table cannot be used, or no word of it can be told.
    """
    path = Path(evaluation.options.get("senses") or SHIPPED)
    given = read_senses(path)
    by_word: dict[str, list[Occurrence]] = {}
    for row in given:
        by_word.setdefault(row.word, []).append(row)
    words = sorted(word for word, of_word in by_word.items() if can_be_told(of_word))
    left_out = sorted(by_word.keys() - {*words})
    if not words:
        raise InputError(
            f"{path}: column 'label': no word has two labels and two documents, which it takes to "
            f"tell them; the words are {_listed(left_out)}"
        )
    rows = [row for row in given if row.word in words]
    encoder = evaluation.encoder  # made once, before several threads ask for it

    def score(word: str) -> WordScores:
        return score_word(encoder, word, by_word[word], evaluation.seed)

    scores = []
    with evaluation.progress(len(words), "word senses", "word") as bar:
        for _, of_word in ahead(score, words):
            scores.append(of_word)
            bar.update(1)
    sample = (
        f"{path.name}: {len(rows)} labelled occurrences of {len(words)} "
        f"{'word' if len(words) == 1 else 'words'} in {len({r.document for r in rows})} documents. "
        f"Cross-validation in up to {FOLDS} folds of whole documents."
    )
    return Section(
        "senses",
        "Word senses",
        "Whether a single factor tells the senses of a word, and from which layer on: logistic "
        "regressions on one factor and on five, beside the majority label, a bag of the words "
        f"around (up to {NEIGHBOURS} on each side) and the whole hidden state. A factor is chosen "
        "inside the training folds, by its F statistic.",
        _findings(scores) + _left_out_sentence(left_out),
        (_by_word(scores, sample), _by_layer(scores, sample)),
    )


def _left_out_sentence(words: list[str]) -> tuple[str, ...]:
    """Say which words were left out, if any."""
    if not words:
        return ()
    be = "has one label or one document" if len(words) == 1 else "have one label or one document"
    return (f"Left out, since there is nothing to tell: {_listed(words)} {be} alone.",)


def _listed(words: list[str]) -> str:
    """Return some words in quotes.

    >>> _listed(["bank", "left"])
    '“bank”, “left”'
    """
    shown = ", ".join(f"“{word[:40]}”" for word in words[:MOST_LISTED])
    more = len(words) - MOST_LISTED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _findings(scores: list[WordScores]) -> tuple[str, ...]:
    """Say what the tables say, without a choice after the fact but where it is named."""

    def middle(method: str) -> str:
        return f"{np.median([word.f1(method) for word in scores]):.0%}"

    def named(words: list[WordScores]) -> str:
        return ", ".join(f"“{w.word}” {w.f1('one factor'):.0%}" for w in words)

    ceiling = np.median([word.f1(WHOLE, word.best(WHOLE)) for word in scores])
    sentences = [
        f"One factor tells the labels with F₁ {middle('one factor')}, five with "
        f"{middle('five factors')}: factors and their layer are chosen inside the training folds. "
        f"The words around tell them with {middle(AROUND)}, the majority label with "
        f"{middle(MAJORITY)}, the whole hidden state at its best layer, chosen after the fact, "
        f"with {ceiling:.0%}"
        + (f" (medians over {len(scores)} words)." if len(scores) > 1 else ".")
    ]
    if len(scores) > 1:
        above = [
            w for w in scores if w.scores["one factor", None].low > w.scores[AROUND, None].high
        ]
        higher = sum(w.f1("one factor") > w.f1(AROUND) for w in scores)
        order = sorted(scores, key=lambda w: -w.f1("one factor"))
        sentences += [
            f"One factor is above the words around for {higher} of {len(scores)} words; for "
            f"{len(above)} of them the intervals do not meet.",
            f"Best: {named(order[:3])}. Worst: {named(order[:-4:-1])}.",
        ]
        two = [w.f1("one factor") for w in scores if len(w.counts) == 2]
        more = [w.f1("one factor") for w in scores if len(w.counts) > 2]
        if two and more:
            sentences.append(
                f"One activation can part two senses, hardly three: the median is "
                f"{np.median(two):.0%} for the {len(two)} words of two labels and "
                f"{np.median(more):.0%} for the {len(more)} of more."
            )
    return tuple(sentences)


def _by_word(scores: list[WordScores], sample: str) -> Table:
    inside = "F₁; which, and at which layer, is chosen inside the training folds"
    columns = (
        Column("word", "Word", "text"),
        Column("one", "One factor", "share", inside),
        Column("low", "From", "share", "2.5% quantile of F₁ of one factor, draws of documents"),
        Column("high", "To", "share", "97.5% quantile of F₁ of one factor"),
        Column("five", "Five", "share", inside),
        Column("around", "Around", "share", "F₁ of the words around; needs no model"),
        Column("majority", "Majority", "share", "F₁ of always the most frequent label"),
        Column("state", "State", "share", "F₁ of the hidden state, best layer after the fact"),
        Column("best", "Best layer", "count", "of one factor, chosen after the fact"),
        Column("factor", "Factor", "text", "of that layer, largest F statistic, all occurrences"),
        Column("labels", "Labels", "text", "how many occurrences have each"),
        Column("documents", "Documents", "count", "that the occurrences stand in"),
    )
    rows: list[tuple[str | int | float | None, ...]] = []
    for word in scores:
        one, at = word.scores["one factor", None], word.best("one factor")
        labels = ", ".join(f"{label} {count}" for label, count in word.counts.items())
        interval_of_one = (one.f1, one.low, one.high)
        others = (word.f1(method) for method in ("five factors", AROUND, MAJORITY))
        state = word.f1(WHOLE, word.best(WHOLE))
        factor = str(word.factor[at])
        rows.append(
            (word.word, *interval_of_one, *others, state, at, factor, labels, word.documents)
        )
    return Table("F₁ for every word", sample, columns, tuple(rows))


def _by_layer(scores: list[WordScores], sample: str) -> Table:
    columns = (
        Column("word", "Word", "text"),
        Column("method", "Told from", "text"),
        Column("layer", "Layer", "count", "of the codes or states; what needs none is everywhere"),
        Column("precision", "Precision", "share", "mean over the labels, of all folds together"),
        Column("recall", "Recall", "share", "mean over the labels"),
        Column("f1", "F₁", "share", "mean over the labels of the harmonic mean of the two"),
        Column("low", "From", "share", f"2.5% quantile of F₁, {DRAWS} draws of documents"),
        Column("high", "To", "share", "97.5% quantile of F₁"),
        Column("factor", "Factor", "text", "with the largest F statistic, all occurrences"),
        Column("n", "Occurrences", "count", "labelled occurrences of the word"),
    )
    rows = []
    for word in scores:
        for method in ("one factor", "five factors", WHOLE, AROUND, MAJORITY):
            for layer, factor in word.factor.items():
                score = word.scores[method, None if method in (AROUND, MAJORITY) else layer]
                numbers = (score.precision, score.recall, score.f1, score.low, score.high)
                named = str(factor) if method == "one factor" else ""
                rows.append((word.word, method, layer, *numbers, named, word.occurrences))
    chart = Chart("layer", "f1", series="method", pick="word", low="low", high="high")
    return Table("From which layer on", sample, columns, tuple(rows), chart)
