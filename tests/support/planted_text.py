"""Windows of planted text, and what a made-up factor does in them."""

import re

import numpy as np
import pandas as pd
from scipy.sparse import csc_array

from tfactors.describe.names import NamedText, Namer
from tfactors.describe.text_words import TextWords
from tfactors.describe.token_slots import TokenSlots
from tfactors.describe.word_bags import WordBags, content_stems

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])")


class Planted:
    """Windows, one text each, whose tokens are words and marks."""

    def __init__(self, texts: list[str]) -> None:
        self.frame = pd.DataFrame(
            [
                {"window": n, "tokens": tokens, "word_starts": np.ones(len(tokens), bool)}
                for n, tokens in enumerate(_TOKEN.findall(text) for text in texts)
            ]
        )
        sizes = self.frame["tokens"].map(len).to_numpy()
        self.windows = np.repeat(np.arange(len(texts)), sizes)
        self.positions = np.concatenate([np.arange(size) for size in sizes])
        self.spelled = [t.strip() for tokens in self.frame["tokens"] for t in tokens]
        self.text = TextWords.read(np.arange(len(texts)), lambda n: self.frame.iloc[n])
        source = np.array(["stories"] * len(texts), object)
        self.tokens = TokenSlots.of(self.text, self.windows, self.positions, source)
        self.content = content_stems(self.text)

    def before(self, at: int, words: int) -> list[str]:
        """The words before a token in its window, the nearest last."""
        return self.spelled[max(at - words, at - self.positions[at]) : at]

    def namer(self, activations: np.ndarray, held_out: np.ndarray) -> Namer:
        """What names factors that do so, (n, m), where some windows, (k,) bool, are held out."""
        judging = held_out[self.windows]
        rows, factors = np.nonzero((activations > 0.9) & ~judging[:, None])
        order = np.lexsort((rows, factors))
        rows, factors = rows[order], factors[order]
        windows = self.windows[rows]
        words = self.text.words_at(windows, self.positions[rows])

        def part(chosen: np.ndarray) -> NamedText:
            codes = csc_array(activations[chosen])
            return NamedText.of(self.tokens.rows(np.flatnonzero(chosen)), codes, self.content)

        bags = WordBags(self.text, windows, words, self.content)
        return Namer(part(~judging), part(judging), self.content, bags, factors, windows)
