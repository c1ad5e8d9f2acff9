"""A short label for each factor, from what the tokens that drive it share, with its score.

In come the rules that fit tokens (:mod:`tfactors.token_rules`), the tokens of each factor's
strongest examples and its codes on held-out text; out comes, for each factor, the rule that tells
its activations best, with

    precision = tokens that fit and activate it / tokens that fit
    recall    = tokens that fit and activate it / tokens that activate it

counted on held-out tokens at the factor's peak layer, where "activate" means at least half of its
importance. Examples propose rules, held-out tokens judge them by F1 = 2PR / (P + R). Where no rule
reaches an F1 of one half, the label says "mixed" and names some words.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csc_array, csr_array

# A held-out token activates a factor if its activation is this share of the factor's importance.
ACTIVE_SHARE = 0.5
# A rule that fewer of a factor's examples fit is not considered, and neither is a factor with
# fewer active held-out tokens: its shares would be accidents.
EXAMPLES_FIT = 0.2
FEWEST_ACTIVE = 5
# A label must reach this F1.
GOOD_ENOUGH = 0.5
# Of two rules that tell a factor about as well the plainer one is the better label.
HANDICAP = {"word": 0.0, "punctuation": 0.0, "number": 0.02, "name": 0.02, "lemma": 0.02}
HANDICAP_OF_OTHERS = 0.05
# A label lists at most this many words, each of which this share of the examples stands at.
WORDS_IN_A_LABEL = 4
WORD_SHARE = 0.08


def judge(
    of_examples: csr_array, of_held_out: csr_array, active: csc_array, example_factor: np.ndarray
) -> pd.DataFrame:
    """Return the rules that a factor's examples propose, with what held-out tokens say of them.

    Parameters
    ----------
    of_examples, of_held_out
        (e, R), (n, R) which rules fit which token.
    active
        (n, m) ones where a token activates a factor.
    example_factor
        (e,) the factor whose example a token is.

    Returns
    -------
    DataFrame
        factor, rule, share (of the factor's examples that fit), fit (held-out tokens that fit),
        active (held-out tokens that activate the factor), both.
    """
    m = active.shape[1]
    number = np.bincount(example_factor, minlength=m)
    chosen = csr_array(
        (np.ones(len(example_factor), np.float32),
         (example_factor, np.arange(len(example_factor)))), shape=(m, len(example_factor)),
    )  # fmt: skip
    proposed = (chosen @ of_examples).tocoo()
    share = proposed.data / number[proposed.row]
    keep = share >= WORD_SHARE
    factor, rule, share = proposed.row[keep], proposed.col[keep], share[keep]
    hits = (active.T @ of_held_out).tocsr()
    both = np.asarray(hits[factor, rule]).ravel() if len(factor) else np.zeros(0)
    return pd.DataFrame({
        "factor": factor, "rule": rule, "share": share,
        "fit": of_held_out.sum(axis=0)[rule],
        "active": active.sum(axis=0)[factor],
        "both": both,
    })  # fmt: skip


def choose(judged: pd.DataFrame, rules: pd.DataFrame, words: list[list[str]]) -> pd.DataFrame:
    """Return the label of every factor: label, kind, precision, recall; a row a factor.

    ``words`` are the most frequent words of each factor's examples; none for a dead factor, which
    gets no label.
    """
    judged = judged.assign(kind=rules["kind"].to_numpy()[judged["rule"]])
    judged["text"] = rules["text"].to_numpy()[judged["rule"]]
    lists = _word_lists(judged)
    single = judged[(judged["share"] >= EXAMPLES_FIT) & (judged["kind"] != "word")]
    every = pd.concat([lists, single], ignore_index=True)
    every = every[every["active"] >= FEWEST_ACTIVE]
    every["precision"] = every["both"] / every["fit"].clip(lower=1)
    every["recall"] = every["both"] / every["active"]
    every["f1"] = 2 * every["both"] / (every["fit"] + every["active"])
    every = every[every["f1"] >= GOOD_ENOUGH]
    handicap = every["kind"].map(HANDICAP).astype(float).fillna(HANDICAP_OF_OTHERS)
    every = every.assign(score=every["f1"] - handicap)
    best = every.sort_values(["factor", "score", "text"], ascending=[True, False, True])
    best = best.drop_duplicates("factor").set_index("factor")
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


def _word_lists(judged: pd.DataFrame) -> pd.DataFrame:
    """Return rules of one word, two words … of each factor, the commonest first.

    A token has one word, so the counts of a list are the sums of those of its words.
    """
    words = judged[judged["kind"] == "word"]
    words = words.sort_values(["factor", "share", "text"], ascending=[True, False, True])
    by_factor = words.groupby("factor")
    words = words[by_factor.cumcount() < WORDS_IN_A_LABEL]
    by_factor = words.groupby("factor")
    lists = words.assign(**{name: by_factor[name].cumsum() for name in ("share", "fit", "both")})
    texts: list[str] = []
    for first, text in zip(by_factor.cumcount() == 0, words["text"], strict=True):
        texts.append(text if first else f"{texts[-1]}, {text}")
    lists["text"] = texts
    return lists[lists["share"] >= EXAMPLES_FIT]


def _shown(kind: str, text: str, words: list[str]) -> str:
    """Return a rule as a reader would say it."""
    if kind == "lemma":
        from tfactors.token_rules import stem

        return ", ".join([word for word in words if stem(word) == text][:3]) or f"{text}-"
    return text
