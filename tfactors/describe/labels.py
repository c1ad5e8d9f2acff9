"""Turns rules that fit tokens into a short label for each factor, with its score.

A label is the rule (:mod:`tfactors.describe.token_rules`) that tells a factor's activations best,
judged by the tokens of its strongest examples, the words it answers to and its codes on held-out
text:

    precision = tokens that fit and activate it / tokens that fit
    recall    = tokens that fit and activate it / tokens that activate it

counted on held-out tokens at the factor's peak layer, where "activate" means at least half of its
importance. Examples and the word index propose rules, one half of the held-out tokens chooses among
them by F1 = 2PR / (P + R), and the other half judges: its shares are the label's. A rule that does
not reach an F1 of one half on both halves is no label; the factor is "mixed" then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:  # the pages take a label's words from here, and have no scipy in the cloud
    from scipy.sparse import csc_array, csr_array

# A held-out token activates a factor if its activation is this share of the factor's importance.
ACTIVE_SHARE = 0.5
# A rule that fewer of a factor's examples fit is not considered, and neither is a factor with
# fewer active tokens in the half that judges: its shares would be accidents.
EXAMPLES_FIT = 0.2
FEWEST_ACTIVE = 5
# A label must reach this F1.
GOOD_ENOUGH = 0.5
# Of two rules that tell a factor about as well the plainer one is the better label.
HANDICAP = {"word": 0.0, "punctuation": 0.0, "number": 0.02, "name": 0.02, "lemma": 0.02}
HANDICAP_OF_OTHERS = 0.05
HANDICAP_OF_A_WORD = 0.004  # of each in a list but the first
# A list from the examples has at most this many words, each of which this share of them stands at.
WORDS_IN_A_LABEL = 4
WORD_SHARE = 0.08
# A list from the word index: those that the factor answers to most, at most this many.
WORDS_OF_THE_INDEX = 12


def propose(
    of_examples: csr_array, example_factor: np.ndarray, factors: int, answers: pd.DataFrame
) -> pd.DataFrame:
    """Return the rules that are worth a look for each factor.

    Parameters
    ----------
    of_examples : (e, R) csr_array
        Ones where a rule fits the token of an example.
    example_factor : (e,) int
        The factor whose example a token is.
    factors : int
        m.
    answers : DataFrame
        factor, rule (of a word), place: the words it answers to most, counted from 0.

    Returns
    -------
    DataFrame
        factor, rule, share (of the factor's examples that fit), place (among the words that the
        factor answers to; -1 for a rule that is not among them).
    """
    from scipy.sparse import csr_array

    number = np.bincount(example_factor, minlength=factors)
    chosen = csr_array(
        (
            np.ones(len(example_factor), np.float32),
            (example_factor, np.arange(len(example_factor))),
        ),
        shape=(factors, len(example_factor)),
    )
    counted = (chosen @ of_examples).tocoo()
    shares = pd.DataFrame(
        {
            "factor": counted.row,
            "rule": counted.col,
            "share": counted.data / number[counted.row],
        }
    )
    answers = answers.astype({"factor": counted.row.dtype, "rule": counted.col.dtype})
    every = shares.merge(answers, on=["factor", "rule"], how="outer")
    every = every.fillna({"share": 0.0, "place": -1})
    worth_a_look = every[(every["share"] >= WORD_SHARE) | (every["place"] >= 0)]
    return worth_a_look.sort_values(["factor", "rule"], ignore_index=True)


def judge(
    proposed: pd.DataFrame, of_held_out: csr_array, active: csc_array, judging: np.ndarray
) -> pd.DataFrame:
    """Return the proposed rules with what held-out tokens say of them.

    Parameters
    ----------
    proposed : DataFrame
        As `propose` returns it.
    of_held_out : (n, R) csr_array
        Ones where a rule fits a held-out token.
    active : (n, m) csc_array
        Ones where a token activates a factor.
    judging : (n,) bool
        Whether a token judges labels; the others choose them.

    Returns
    -------
    DataFrame
        The same rows, and of the tokens that choose: fit (how many fit), active (how many activate
        the factor), both; of those that judge: judge_fit, judge_active, judge_both.
    """
    from scipy.sparse import csr_array

    factor, rule = proposed["factor"].to_numpy(), proposed["rule"].to_numpy()
    columns = {}
    for prefix, tokens in (("", ~judging), ("judge_", judging)):
        fits, fires = of_held_out[tokens], csr_array(active)[tokens]
        hits = (fires.T @ fits).tocsr()
        columns[f"{prefix}fit"] = fits.sum(axis=0)[rule]
        columns[f"{prefix}active"] = fires.sum(axis=0)[factor]
        columns[f"{prefix}both"] = (
            np.asarray(hits[factor, rule]).ravel() if len(factor) else np.zeros(0)
        )
    return proposed.assign(**columns)


def choose(judged: pd.DataFrame, rules: pd.DataFrame, words: list[list[str]]) -> pd.DataFrame:
    """Return the label of every factor.

    Parameters
    ----------
    judged : DataFrame
        As `judge` returns it.
    rules : DataFrame
        kind and text of each rule.
    words : list of list of str
        The most frequent words of each factor's examples; none for a dead factor, which gets no
        label.

    Returns
    -------
    DataFrame
        label, kind, precision, recall; a row a factor.
    """
    judged = judged.assign(kind=rules["kind"].to_numpy()[judged["rule"]])
    judged["text"] = rules["text"].to_numpy()[judged["rule"]]
    single = judged[(judged["share"] >= EXAMPLES_FIT) & (judged["kind"] != "word")]
    every = pd.concat([*_word_lists(judged), single.assign(words=1)], ignore_index=True)
    every = every[every["judge_active"] >= FEWEST_ACTIVE]
    every["precision"] = every["judge_both"] / every["judge_fit"].clip(lower=1)
    every["recall"] = every["judge_both"] / every["judge_active"]
    f1 = 2 * every["both"] / (every["fit"] + every["active"])
    all_both = every["both"] + every["judge_both"]
    all_fit, all_active = (every[name] + every[f"judge_{name}"] for name in ("fit", "active"))
    all_f1 = 2 * all_both / (all_fit + all_active)
    handicap = every["kind"].map(HANDICAP).astype(float).fillna(HANDICAP_OF_OTHERS)
    handicap += HANDICAP_OF_A_WORD * (every["words"] - 1)
    every = every.assign(f1=f1, all_f1=all_f1, score=f1 - handicap)
    # The tokens that choose say which rule it is; what the others say of it is not chosen among.
    best = every.sort_values(["factor", "score", "text"], ascending=[True, False, True])
    best = best.drop_duplicates("factor").set_index("factor")
    best = best[best["all_f1"] >= GOOD_ENOUGH]
    labels = []
    for factor, frequent in enumerate(words):
        if factor in best.index:
            row = best.loc[factor]
            text = _shown(row["kind"], row["text"], frequent)
            labels.append((text, row["kind"], row["precision"], row["recall"]))
        elif frequent:
            labels.append((f"mixed: {', '.join(frequent[:3])}", "mixed", np.nan, np.nan))
        else:
            labels.append(("", "", np.nan, np.nan))
    return pd.DataFrame(labels, columns=["label", "kind", "precision", "recall"])


def _word_lists(judged: pd.DataFrame) -> list[pd.DataFrame]:
    """Return rules of one word, two words … of each factor.

    One list of words begins with the commonest of its examples, the other with those that it
    answers to most. A token has one word, so the counts of a list are sums of those of its words.
    """
    words = judged[judged["kind"] == "word"]
    of_examples = words[words["share"] >= WORD_SHARE].sort_values(
        ["factor", "share", "text"], ascending=[True, False, True]
    )
    lists = _growing(of_examples, WORDS_IN_A_LABEL)
    indexed = words[words["place"] >= 0].sort_values(["factor", "place"])
    return [lists[lists["share"] >= EXAMPLES_FIT], _growing(indexed, WORDS_OF_THE_INDEX)]


def _growing(words: pd.DataFrame, longest: int) -> pd.DataFrame:
    """Return the first word of each factor, the first two …, with the sums of their counts."""
    words = words[words.groupby("factor").cumcount() < longest]
    by_factor = words.groupby("factor")
    lists = words.assign(
        **{name: by_factor[name].cumsum() for name in ("share", "fit", "both")},
        **{name: by_factor[name].cumsum() for name in ("judge_fit", "judge_both")},
        words=by_factor.cumcount() + 1,
    )
    texts: list[str] = []
    for first, text in zip(lists["words"] == 1, words["text"], strict=True):
        texts.append(text if first else f"{texts[-1]}, {text}")
    lists["text"] = texts
    return lists


def _shown(kind: str, text: str, words: list[str]) -> str:
    """Return a rule as a reader would say it."""
    if kind == "lemma":
        from tfactors.describe.token_rules import stem

        return ", ".join([word for word in words if stem(word) == text][:3]) or f"{text}-"
    return text


def named(label: str) -> str:
    """Return a label as the pages write it.

    >>> named("mixed: public, power"), named("the word “left”")
    ('public · power', 'the word “left”')
    """
    words = label.removeprefix("mixed: ")
    return words if words == label else words.replace(", ", " · ")
