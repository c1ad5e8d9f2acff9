"""Turns activations in a sample of the corpus and in held-out text into a label for each factor.

The sample proposes rules (`tfactors.describe.name_search`), and held-out text judges the best one:
nothing of it has a say in which rule it is. A factor with fewer than FEWEST_ACTIVE strong tokens in
the held-out text, as one about a matter that those documents never touch, cannot be judged there;
then every other window of the sample proposes, and the windows between them judge.

The name of a high-level factor is about windows (`tfactors.describe.window_names`), and windows
judge it.

A label that does not reach an F₁ of GOOD_ENOUGH is “mixed”, with the shares of its rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csc_array

from tfactors.describe.label_texts import LabelText, LabelWriter
from tfactors.describe.labels import ACTIVE_SHARE, FEWEST_ACTIVE, GOOD_ENOUGH, f1_score
from tfactors.describe.name_search import Firing, Rule, SearchText, Topic, search
from tfactors.describe.token_slots import TokenSlots
from tfactors.describe.window_names import window_rule, windows_firing
from tfactors.describe.word_bags import FEWEST_WINDOWS, WordBags, telling

# A rule that tells less than this where it was proposed is no better than frequent words.
TELLING = 0.1


@dataclass(frozen=True)
class NamedText:
    """A text and what every factor does in it at its peak layer.

    Attributes
    ----------
    text : SearchText
        n tokens.
    activations : (n, m) csc_array
    """

    text: SearchText
    activations: csc_array

    @classmethod
    def of(cls, tokens: TokenSlots, activations: csc_array, content: np.ndarray) -> NamedText:
        """Return a text of some tokens; ``content`` are the stems that may be a topic."""
        bags = WordBags(tokens.text, tokens.windows, tokens.words, content)
        return cls(SearchText(tokens, bags), activations)

    def part(self, chosen: np.ndarray, content: np.ndarray) -> NamedText:
        """Return the tokens of some rows, (n,) bool."""
        rows = np.flatnonzero(chosen)
        return NamedText.of(self.text.tokens.rows(rows), self.activations[rows], content)

    def firing(self, factor: int, least: float, of_windows: bool) -> Firing:
        """Return at which tokens, or in which windows, a factor fires.

        ``least`` is what counts as strong.
        """
        of_factor = slice(*self.activations.indptr[factor : factor + 2])
        rows, activations = self.activations.indices[of_factor], self.activations.data[of_factor]
        if of_windows:
            return windows_firing(self.text.bags, rows, activations, least)
        return Firing.of(rows, activations, least)

    def fitting(self, rule: Rule, of_windows: bool) -> np.ndarray:
        """Return which tokens, or which windows, fit a rule, (n,) or (windows,) bool."""
        fits = self.text.fitting(rule.conditions)
        if not of_windows:
            return fits
        row, windows = self.text.bags.row, self.text.bags.window_count
        return np.bincount(row[fits], minlength=windows) > 0


@dataclass(frozen=True)
class Namer:
    """Names factors: texts that propose, and texts that judge.

    Attributes
    ----------
    sample, held_out : NamedText
        Text of the corpus that is not held out, and text that is.
    content : (stems,) bool
        The stems that may be a topic.
    examples : WordBags
        Of the strongest examples, none of them held out.
    example_factor, example_window : (e,) int
        Whose example each one is, ascending, and where it stands.
    """

    sample: NamedText
    held_out: NamedText
    content: np.ndarray
    examples: WordBags
    example_factor: np.ndarray
    example_window: np.ndarray

    @cached_property
    def halves(self) -> tuple[NamedText, NamedText]:
        """The windows of the sample that propose, and those that judge, turn by turn."""
        judging = self.sample.text.tokens.windows % 2 == 1
        return self.sample.part(~judging, self.content), self.sample.part(judging, self.content)

    @cached_property
    def writer(self) -> LabelWriter:
        """What puts rules into words."""
        return LabelWriter(self.sample.text.tokens)

    def name(
        self, factor: int, importance: float, frequent: Sequence[str], of_windows: bool = False
    ) -> dict[str, object]:
        """Return the columns of factors.parquet that are about a factor's label.

        Parameters
        ----------
        factor : int
            Alive.
        importance : float
            At its peak layer.
        frequent : sequence of str
            The words of its strongest examples, the most frequent first.
        of_windows : bool
            Whether it is about whole windows, a high-level factor.
        """
        least = ACTIVE_SHARE * importance
        proposing, judging, judge = self.sample, self.held_out, "held out"
        judged = judging.firing(factor, least, of_windows)
        if judged.strong.sum() < FEWEST_ACTIVE:
            (proposing, judging), judge = self.halves, "sample"
            judged = judging.firing(factor, least, of_windows)
        if judged.strong.sum() < FEWEST_ACTIVE:
            proposing, judge = self.sample, ""
        firing = proposing.firing(factor, least, of_windows)
        if of_windows:
            best = window_rule(proposing.text.bags, firing, self._matter(factor, proposing, judge))
        else:
            rules = search(proposing.text, firing, self._topics(factor, proposing, firing, judge))
            best = rules[0] if rules else None
        shares = (np.nan, np.nan)
        if best and judge:
            shares = judged.shares(judging.fitting(best, of_windows))
        judge += " windows" * (of_windows and bool(judge))
        if best and judge and f1_score(*map(np.array, shares)) >= GOOD_ENOUGH:
            return _columns(self.writer.write(best), shares, judge)
        text = self._mixed(factor, best, frequent)
        return _columns(text, shares if text.rule else (np.nan, np.nan), judge)

    def _topics(self, factor: int, proposing: NamedText, firing: Firing, judge: str) -> list[Topic]:
        """Return what the windows of a factor are about, and what stands near its tokens."""
        bags, strong = proposing.text.bags, firing.rows[firing.strong]
        return [
            Topic(False, bags.window_topic(strong)),
            Topic(False, self._matter(factor, proposing, judge)),
            Topic(True, bags.near_topic(strong)),
        ]

    def _matter(
        self, factor: int, proposing: NamedText, judge: str, fewest: int = FEWEST_WINDOWS
    ) -> np.ndarray:
        """Return what the windows of a factor's examples are about, those that judge left out."""
        mine = np.arange(*np.searchsorted(self.example_factor, [factor, factor + 1]))
        if judge == "sample":
            mine = mine[self.example_window[mine] % 2 == 0]
        return telling(*self.examples.window_bags(mine), proposing.text.bags.window_share, fewest)

    def _mixed(self, factor: int, best: Rule | None, frequent: Sequence[str]) -> LabelText:
        """Return the label of a factor that no rule tells: the closest, else words."""
        if best and best.f1 >= TELLING:
            text = self.writer.write(best)
        elif len(stems := self._matter(factor, self.sample, "", fewest=2)):
            text = LabelText(self.writer.topic(stems), "", "")
        else:
            text = LabelText(", ".join(frequent[:3]), "", "")
        return LabelText(f"mixed: {text.label}", "mixed", text.rule)


def _columns(text: LabelText, shares: tuple[float, float], judge: str) -> dict[str, object]:
    measured = not np.isnan(shares[0])
    return {
        "label": text.label,
        "kind": text.kind,
        "rule": text.rule,
        "precision": shares[0],
        "recall": shares[1],
        "judge": judge if measured else "",
    }


NAMELESS = _columns(LabelText("", "", ""), (np.nan, np.nan), "")
