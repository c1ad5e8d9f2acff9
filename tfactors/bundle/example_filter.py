"""Examples of a factor that pass a reader's filter: by word, by source, by year.

Turns rows of examples (window, position, word) and a filter into those that pass it. What the
filter does not ask is not read: the text of the windows only for a word that may stand anywhere in
them, their documents only for a source or a year.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from tfactors.bundle.reading import BundleReader
from tfactors.text.word_breaks import is_unspaced
from tfactors.text.words import spelled, word_bounds


@dataclass(frozen=True)
class ExampleFilter:
    """What examples have to have; as it is made, all pass.

    Attributes
    ----------
    word : str
        A word, or a few in a row, in upper or lower case.
    anywhere : bool
        Whether it may stand anywhere in the window; else it is the marked word.
    source : str
        The name of the source that the document is of.
    since, until : int or None
        The first and the last year of the document. One of which no year is known does not pass.
    """

    word: str = ""
    anywhere: bool = False
    source: str = ""
    since: int | None = None
    until: int | None = None

    @property
    def asked(self) -> int:
        """How many things it asks for."""
        years = self.since is not None or self.until is not None
        return bool(self.word.strip()) + bool(self.source) + years

    @property
    def about_documents(self) -> bool:
        """Whether the documents have to be known."""
        return bool(self.source) or self.since is not None or self.until is not None

    def passing(self, bundle: BundleReader, examples: pd.DataFrame) -> pd.DataFrame:
        """Return the examples that pass, in their order.

        Parameters
        ----------
        bundle : BundleReader
            The bundle that they are of.
        examples : DataFrame
            Columns window and word; one that is empty passes as it is.
        """
        if not self.asked or examples.empty:
            return examples
        keep = np.ones(len(examples), bool)
        wanted = " ".join(self.word.split()).casefold()
        if wanted and not self.anywhere:
            keep &= np.array([holds_words([word], wanted) for word in examples["word"]])
        if self.about_documents or (wanted and self.anywhere):
            windows = bundle.windows(examples["window"].to_list(), token_ids=False)
            if self.about_documents:
                keep &= self._documents_pass(bundle.documents.iloc[windows["document"]])
            if wanted and self.anywhere:
                keep &= np.array(
                    [
                        holds_words(_window_words(row.tokens, row.word_starts), wanted)
                        for row in windows.itertuples(index=False)
                    ]
                )
        return examples[keep].reset_index(drop=True)

    def _documents_pass(self, documents: pd.DataFrame) -> np.ndarray:
        keep = np.ones(len(documents), bool)
        if self.source:
            keep &= (documents["source"] == self.source).to_numpy(bool)
        years = documents["year"].to_numpy(float, na_value=np.nan)
        if self.since is not None:
            keep &= years >= self.since
        if self.until is not None:
            keep &= years <= self.until
        return keep


def holds_words(words: Sequence[str], wanted: str) -> bool:
    """Whether words, in their order, hold some in a row, given casefolded with one blank between.

    Of a script without blanks, whose tokens may be longer than its words, a part of one will do.

    >>> holds_words(["The", "United", "States"], "united states"), holds_words(["reunited"], "uni")
    (True, False)
    >>> holds_words(["東京都"], "東京")
    True
    """
    text = " ".join(words).casefold()
    if all(map(is_unspaced, wanted.replace(" ", ""))):
        return wanted in text
    return f" {wanted} " in f" {text} "


def _window_words(tokens: Sequence[str], word_starts: np.ndarray) -> list[str]:
    bounds = word_bounds(word_starts).tolist()
    return [spelled("".join(tokens[start:stop])) for start, stop in pairwise(bounds)]
