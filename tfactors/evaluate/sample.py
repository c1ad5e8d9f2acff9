"""Turns a bundle into text to measure on, and numbers on it into intervals.

The text is windows that the dictionary did not learn from (or, for methods that have to be trained,
windows that it did), with the document of every token. Confidence intervals draw whole documents
anew, because the tokens of one document are alike:

    interval = 2.5 and 97.5 % of the statistic over 1,000 draws of as many documents, with repeats
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tfactors import ragged
from tfactors.bundle import Bundle
from tfactors.errors import InputError
from tfactors.text.windows import held_out_windows

DRAWS = 1000


class TooLittleTextError(InputError):
    """A bundle is too small for what is to be measured."""


@dataclass(frozen=True)
class Sample:
    """Some windows of a bundle.

    Attributes
    ----------
    windows : (w,) int64
        Their numbers.
    texts : list of (t,) int32
        Their token ids.
    tokens : list of list of str
        The same as text.
    word_starts : list of (t,) bool
        Whether a word begins at each token.
    groups : (n,) int64
        For every token the number of its document among those of the sample, from 0; of its window
        where windows are held out rather than documents.
    unit : str
        "document" or "window": what the groups are.
    """

    windows: np.ndarray
    texts: list[np.ndarray]
    tokens: list[list[str]]
    word_starts: list[np.ndarray]
    groups: np.ndarray
    unit: str

    def __len__(self) -> int:
        return len(self.groups)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row a window, numbered from 0: window, token_ids, tokens, word_starts."""
        return pd.DataFrame(
            {
                "window": range(len(self.texts)),
                "token_ids": self.texts,
                "tokens": self.tokens,
                "word_starts": self.word_starts,
            }
        )

    @property
    def described(self) -> str:
        """The sample in words."""
        number = int(self.groups.max(initial=-1)) + 1
        return f"{len(self):,} tokens in {len(self.texts):,} windows of {number:,} {self.unit}s"

    @property
    def group_of_text(self) -> np.ndarray:
        """The group of each window, (w,)."""
        starts = ragged.offsets([len(text) for text in self.texts])[:-1]
        return self.groups[starts]


def draw(bundle: Bundle, tokens: int, seed: int, held_out: bool = True) -> Sample:
    """Return windows drawn at random.

    Parameters
    ----------
    bundle : Bundle
        Whose corpus they are of.
    tokens : int
        How many they hold at most.
    seed : int
        Of the draw.
    held_out : bool
        Whether they are of held-out text, or of the other.

    Raises
    ------
    TooLittleTextError
        There is no such text.
    """
    corpus, by_document = bundle.about.corpus, _by_document(bundle)
    chosen = _is_held_out(bundle)
    windows = np.flatnonzero(chosen if held_out else ~chosen)
    windows = np.random.default_rng([seed, 5]).permutation(windows)
    mean = max(1, corpus.tokens // max(corpus.windows, 1))
    frame = bundle.windows(windows[: 2 * tokens // mean + 1])
    lengths = np.array([len(ids) for ids in frame["token_ids"]])
    frame = frame[np.cumsum(lengths) <= tokens]
    if frame["token_ids"].map(len).sum() < 2:  # of a single state there is no variance
        which = "has not seen" if held_out else "has learnt from"
        raise TooLittleTextError(f"this bundle holds too little text that its dictionary {which}")
    place = frame["document"] if by_document else frame["window"]
    _, group = np.unique(place, return_inverse=True)
    texts = list(frame["token_ids"])
    return Sample(
        frame["window"].to_numpy(),
        texts,
        list(frame["tokens"]),
        list(frame["word_starts"]),
        np.repeat(group, [len(ids) for ids in texts]),
        "document" if by_document else "window",
    )


def interval(above: np.ndarray, below: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of Σ above / Σ below over groups; both are (groups,).

    >>> interval(np.array([1.0, 1.0]), np.array([2.0, 2.0]))
    (0.5, 0.5)
    """
    number = len(above)
    times = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), DRAWS)
    total = times @ below
    ratio = (times @ above)[total > 0] / total[total > 0]
    if not len(ratio):
        return float("nan"), float("nan")
    low, high = np.quantile(ratio, [0.025, 0.975])
    return float(low), float(high)


def _by_document(bundle: Bundle) -> bool:
    """Return whether documents are held out, or windows of every document."""
    return bundle.about.corpus.held_out in ("", "documents")


def _is_held_out(bundle: Bundle) -> np.ndarray:
    """Return which windows are held out, (windows,) bool."""
    count = bundle.about.corpus.windows
    if not _by_document(bundle):
        return held_out_windows(count, int(bundle.about.settings.get("seed", 0)))
    held_out = bundle.documents["held_out"].to_numpy()
    documents = [frame["document"].to_numpy() for frame in bundle.iter_windows(8192)]
    return held_out[np.concatenate(documents)]
