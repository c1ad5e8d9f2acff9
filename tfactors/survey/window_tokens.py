"""Turns whole windows into one row a token: its window, its position, and the word it is part of.

A survey takes these in beside the codes of the same tokens, whichever text the windows are of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfactors import ragged
from tfactors.text.words import words

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class WindowTokens:
    """The n tokens of some whole windows, one window after another.

    Attributes
    ----------
    windows : (n,) int32
        The number of each token's window.
    positions : (n,) int16
        The place of each token in its window, from 0.
    words : list of str
        The whole word that each token belongs to.
    """

    windows: np.ndarray
    positions: np.ndarray
    words: list[str]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> WindowTokens:
        """Return the tokens of the windows in a frame.

        ``frame`` has the columns window, tokens and word_starts, a row a window, as
        `Bundle.windows` gives them.

        >>> import pandas as pd
        >>> row = {"window": 7, "tokens": ["un", "seen", "!"], "word_starts": [True, False, True]}
        >>> tokens = WindowTokens.of(pd.DataFrame([row]))
        >>> tokens.windows.tolist(), tokens.positions.tolist(), tokens.words
        ([7, 7, 7], [0, 1, 2], ['unseen', 'unseen', '!'])
        """
        sizes = np.array([len(tokens) for tokens in frame["tokens"]])
        return cls(
            np.repeat(frame["window"].to_numpy(), sizes).astype(np.int32),
            ragged.spans(0, sizes).astype(np.int16),
            [
                word
                for tokens, starts in zip(frame["tokens"], frame["word_starts"], strict=True)
                for word in words(tokens, starts)
            ],
        )
