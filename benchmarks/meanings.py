"""How often a search by meaning finds the factor that a question was written for, beside words.

    python benchmarks/meanings.py artifacts/default docs/why/meaning_questions.tsv
    python benchmarks/meanings.py artifacts/default docs/why/meaning_questions.tsv --ways

A row of the table of questions is a question, its half (``tune``: ways were compared on it;
``test``), the level and number that its factor had, and ten of that factor's strongest contexts,
the marked word in brackets. In any bundle of the same text a factor counts as the answer if at
least three of the ten are among its own 200 strongest examples at its peak layer, so that the
table holds for another dictionary too; questions without such a factor are left out and counted.

Printed are the shares of questions whose answer is among the first five: by meaning, by the words
of the question (the search of the page, which knows words, labels and numbers), in either list, and
where the two are taken in turns. ``--ways`` compares ways to turn the contexts and the name of a
factor into vectors, on the questions for tuning.
"""

import argparse
import time
from collections import Counter
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfactors.app.views.search import factors_found
from tfactors.bundle import Bundle
from tfactors.bundle.passages import cut
from tfactors.describe.meanings import NAME
from tfactors.explain.meaning_search import MeaningSearch
from tfactors.model.sentence_encoder import SentenceEncoder
from tfactors.stages.meanings import meaning_texts

FIRST, SHARED, QUOTED = 5, 3, 4  # listed; contexts that make an answer; words on each side of one


def quote(window: Any, position: int) -> str:
    """Return a context as the table has it: four words, the word in brackets, four words."""
    first, start, stop, last = cut(window.word_starts, position, QUOTED)
    before, word, after = (
        "".join(window.tokens[part])
        for part in (slice(first, start), slice(start, stop), slice(stop, last))
    )
    return " ".join(f"{before} [{word.strip()}]{after}".split())


def answers(bundle: Bundle, questions: pd.DataFrame) -> list[set[int]]:
    """Return the factors that count as the answer of each question."""
    asked: dict[str, list[int]] = {}
    for at, contexts in enumerate(questions["contexts"]):
        for context in contexts.split(" | "):
            asked.setdefault(context, []).append(at)
    words = {context[context.index("[") + 1 : context.index("]")] for context in asked}
    alive = bundle.factors.index[bundle.factors["alive"]]
    peak = bundle.factors["peak_layer"]
    examples = pd.concat([bundle.examples(factor, int(peak[factor])) for factor in alive])
    examples = examples[examples["word"].isin(words)].groupby("window")
    shared: Counter[tuple[int, int]] = Counter()
    for windows in bundle.iter_windows():  # once through the text
        for window in windows.itertuples(index=False):
            if window.window not in examples.groups:
                continue
            own = examples.get_group(window.window)
            for factor, position in zip(own["factor"], own["position"], strict=True):
                places = asked.get(quote(window, int(position)), [])
                shared.update((at, int(factor)) for at in places)
    found: list[set[int]] = [set() for _ in range(len(questions))]
    for (at, factor), count in shared.items():
        if count >= SHARED:
            found[at].add(factor)
    return found


def hits(lists: list[list[int]], wanted: list[set[int]]) -> np.ndarray:
    """Return for each question whether an answer is among the first five of its list."""
    return np.array(
        [bool(own & set(found[:FIRST])) for found, own in zip(lists, wanted, strict=True)]
    )


def compare(bundle: Bundle, questions: pd.DataFrame, wanted: list[set[int]]) -> pd.DataFrame:
    """Return which questions each search answers."""
    search = MeaningSearch.from_bundle(bundle)
    meaning, seconds = [], []
    for question in questions["question"]:
        start = time.monotonic()
        meaning.append(search.find(question)["factor"].tolist())
        seconds.append(time.monotonic() - start)
    print(f"seconds a question: median {np.median(seconds):.3f}, longest {max(seconds):.3f}")
    word = [factors_found(bundle, asked)[0]["factor"].tolist() for asked in questions["question"]]
    in_turns = []
    for pair in zip(meaning, word, strict=True):
        both = chain.from_iterable(zip_longest(*(found[:FIRST] for found in pair)))
        in_turns.append(list(dict.fromkeys(at for at in both if at is not None)))
    shown = questions[["half", "level", "question"]].copy()
    shown["meaning"], shown["words"] = hits(meaning, wanted), hits(word, wanted)
    shown["either"] = shown["meaning"] | shown["words"]
    shown["in turns"] = hits(in_turns, wanted)
    places = [
        next((at + 1 for at, factor in enumerate(found) if factor in own), 0)
        for found, own in zip(meaning, wanted, strict=True)
    ]
    return shown.assign(place=places)


class Ways:
    """Ways to score factors, each from embeddings of contexts and names with all their digits."""

    def __init__(self, bundle: Bundle, encoder: SentenceEncoder, contexts: int) -> None:
        peak = bundle.factors["peak_layer"].to_numpy()
        texts = meaning_texts(bundle, peak, bundle.factors["label"].tolist(), contexts)
        self.rows = pd.concat(texts, ignore_index=True)
        self.vectors = encoder.embed(self.rows["text"].tolist())
        self.factors = np.unique(self.rows["factor"])

    def scores(self, question: np.ndarray) -> dict[str, np.ndarray]:
        """Return by way the score of each factor."""
        named = (self.rows["rank"] == NAME).to_numpy()
        owner = np.searchsorted(self.factors, self.rows["factor"])
        m = len(self.factors)

        def mean(rows: np.ndarray, vectors: np.ndarray = self.vectors) -> np.ndarray:
            sums = np.zeros((m, vectors.shape[1]))
            np.add.at(sums, owner[rows], vectors[rows])
            return sums / np.maximum(np.bincount(owner[rows], minlength=m), 1)[:, None]

        def cosine(vectors: np.ndarray) -> np.ndarray:
            length = np.linalg.norm(vectors, axis=1)
            return vectors @ question / np.where(length > 0, length, 1)

        def best(values: np.ndarray, rows: np.ndarray, number: int) -> np.ndarray:
            order = pd.Series(values[rows]).groupby(owner[rows])
            return order.apply(lambda own: own.nlargest(number).mean()).reindex(range(m)).to_numpy()

        every, contexts = np.ones(len(named), bool), mean(~named)
        exact = self.vectors @ question
        signed = 2.0 * (self.vectors > 0) - 1
        signs = signed @ question * np.sqrt(np.pi / 2 / len(question))
        name = cosine(mean(named))
        return {
            "name alone": name,
            "mean of contexts": cosine(contexts),
            "mean of contexts, less that of all": cosine(contexts - contexts.mean(axis=0)),
            "mean of contexts, and the name": cosine(contexts) + name,
            "nearest context": best(exact, ~named, 1),
            "nearest three contexts": best(exact, ~named, 3),
            "nearest three of contexts and name": best(exact, every, 3),
            "mean of contexts, of signs": cosine(mean(~named, signed)),
            "mean of contexts and name, of signs": cosine(mean(every, signed)),
            "nearest three of contexts and name, of signs": best(signs, every, 3),
        }


def compare_ways(
    bundle: Bundle, questions: pd.DataFrame, wanted: list[set[int]], contexts: int
) -> pd.DataFrame:
    """Return the share of questions that each way answers, and the mean of 1 / place."""
    encoder = MeaningSearch.from_bundle(bundle).encoder
    ways = Ways(bundle, encoder, contexts)
    found: dict[str, list[int]] = {}
    for question, own in zip(questions["question"], wanted, strict=True):
        for way, scores in ways.scores(encoder.embed([question])[0]).items():
            order = ways.factors[np.argsort(-np.nan_to_num(scores, nan=-9), kind="stable")]
            place = int(np.flatnonzero(np.isin(order, list(own)))[0]) + 1
            found.setdefault(way, []).append(place)
    places = pd.DataFrame(found)
    return pd.DataFrame({"first 5": (places <= FIRST).mean(), "1 / place": (1 / places).mean()})


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--ways", action="store_true", help="compare ways to make vectors")
    parser.add_argument("--contexts", type=int, default=10, help="contexts a factor, for --ways")
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    questions = pd.read_csv(options.questions, sep="\t")
    wanted = answers(bundle, questions)
    known = [at for at, own in enumerate(wanted) if own]
    print(f"{len(known)} of {len(questions)} questions have an answer in this bundle")
    questions, wanted = questions.iloc[known].reset_index(drop=True), [wanted[at] for at in known]
    if options.ways:
        tune = np.flatnonzero(questions["half"] == "tune")
        own = [wanted[at] for at in tune]
        print(compare_ways(bundle, questions.iloc[tune], own, options.contexts).round(3))
        return
    table = compare(bundle, questions, wanted)
    print(table.to_string(max_colwidth=60))
    columns = ["meaning", "words", "either", "in turns"]
    for by in (["half"], ["half", "level"]):
        shares = table.groupby(by)[columns].mean().round(2)
        print(shares.assign(questions=table.groupby(by).size()))


if __name__ == "__main__":
    main()
