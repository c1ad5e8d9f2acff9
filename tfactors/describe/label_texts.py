"""Turns a rule into a label that a reader takes in at a glance, its kind, and the rule in words.

for the first [time]           the brackets hold what stands where the factor is active
such [as|the]                  one of these
‹modal› [have] ‹be›            a class of words
but […]                        any word
[order] · court, issued        with one of these words near it, or in its window
about forest, reserve, timber  any token of a window with enough of these words
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfactors.describe.name_search import BagHas, Condition, Rule, SlotIs
from tfactors.describe.token_slots import Slot, TokenSlots
from tfactors.describe.word_bags import NEAR
from tfactors.describe.word_classes import NAME

# Alternatives that a label shows of a place, and words of a topic; the rule in words has all.
SHOWN = 3
# Kinds of labels that are a single slot of the token's own word.
_CLASS_KINDS = {
    NAME: "name",
    **dict.fromkeys(("number", "year", "number word", "ordinal"), "number"),
    **dict.fromkeys(("quote", "bracket", "dash", "stop", "colon", "comma", "mark"), "punctuation"),
}
_PLACES = {
    -3: "the third word before",
    -2: "the second word before",
    -1: "the word before",
    0: "the word",
    1: "the word after",
    2: "the second word after",
    3: "the third word after",
}
_WORDS_OF_THE_TOKEN = ("word", "lemma", "affix", "piece")


class LabelText(NamedTuple):
    """What a label says: in short, of which kind it is, and the whole rule."""

    label: str
    kind: str
    rule: str


class LabelWriter:
    """Writes the rules of one text, whose words it knows."""

    def __init__(self, tokens: TokenSlots) -> None:
        self._tokens = tokens
        stems = tokens.text.stems
        # The commonest word of each stem stands for it.
        self._form = tokens.text.commonest_words()
        self._form_of_text = dict(zip(stems.texts.tolist(), self._form.tolist(), strict=True))

    def write(self, rule: Rule) -> LabelText:
        """Return the label of a rule."""
        slots = [c for c in rule.conditions if isinstance(c, SlotIs)]
        bags = [c for c in rule.conditions if isinstance(c, BagHas)]
        whole = "; ".join(self._in_words(condition) for condition in rule.conditions)
        if bags:
            return LabelText(*self._about(slots, bags[0]), whole)
        if len(slots) == 1 and not self._slot(slots[0]).offset:
            return LabelText(*self._single(slots[0]), whole)
        return LabelText(self._pattern(slots), "pattern", whole)

    def topic(self, stems: np.ndarray) -> str:
        """Return words as what a text is about."""
        return f"about {', '.join(self._form[stems[:SHOWN]])}"

    def _about(self, slots: list[SlotIs], bag: BagHas) -> tuple[str, str]:
        """Return label and kind of a rule with words of the window or near the token."""
        words = ", ".join(self._form[bag.stems[:SHOWN]])
        if any(self._tells(slot) for slot in slots):
            return f"{self._pattern(slots)} · {words}", "use"
        return f"{'near' if bag.near else 'about'} {words}", "topic"

    def _tells(self, condition: SlotIs) -> bool:
        """Whether a label with a topic says this too, and does not leave it to the rule in words.

        It leaves a class, a place, a source, and a long list: “the”, “of”, “and” and so on.
        """
        slot = self._slot(condition)
        few = len(condition.values) <= SHOWN
        return slot.offset != 0 or (slot.kind in _WORDS_OF_THE_TOKEN and few)

    def _single(self, condition: SlotIs) -> tuple[str, str]:
        """Return label and kind of a rule that asks one thing of the token's own word."""
        kind, texts = self._slot(condition).kind, self._texts(condition)
        if kind == "class":
            kinds = {_CLASS_KINDS.get(text, "class") for text in texts}
            return self._pattern([condition]), kinds.pop() if len(kinds) == 1 else "class"
        if kind == "position":
            more = ", …" if len(texts) > SHOWN else ""
            return ", ".join(texts[:SHOWN]) + more, "position"
        if kind == "word" and not any(any(map(str.isalnum, text)) for text in texts):
            return ", ".join(f"“{text}”" for text in texts), "punctuation"
        return ", ".join(texts), "affix" if kind == "piece" else kind

    def _pattern(self, slots: list[SlotIs]) -> str:
        """Return a template: what stands at each place, the token's own in brackets."""
        by_offset: dict[int, str] = {}
        said = []
        for condition in slots:
            slot = self._slot(condition)
            if slot.kind in ("position", "source"):
                said.append("in " * (slot.kind == "source") + " or ".join(self._texts(condition)))
            elif slot.kind != "class" or slot.offset not in by_offset:
                by_offset[slot.offset] = self._place(condition, slot.kind)
        own = by_offset.pop(0, "…")
        places = by_offset | {0: f"[{own.strip('‹›') if own.startswith('‹') else own}]"}
        first, last = min(places), max(places)
        text = " ".join(places.get(offset, "…") for offset in range(first, last + 1))
        return ", ".join([text, *said])

    def _place(self, condition: SlotIs, kind: str) -> str:
        texts = self._texts(condition)
        shown = "|".join([*texts[:SHOWN], *["…"] * (len(texts) > SHOWN)])
        return f"‹{shown}›" if kind == "class" else shown

    def _texts(self, condition: SlotIs) -> list[str]:
        """Return what the values of a condition are called."""
        texts = [self._tokens.value_text(value) for value in condition.values.tolist()]
        if self._slot(condition).kind == "lemma":
            return [self._form_of_text.get(text, text) for text in texts]
        return texts

    def _slot(self, condition: SlotIs) -> Slot:
        return self._tokens.slots[condition.slot]

    def _in_words(self, condition: Condition) -> str:
        """Return a condition as a sentence would say it, with all of its values."""
        if isinstance(condition, BagHas):
            where = f"the {NEAR} words on each side have" if condition.near else "the window has"
            words = ", ".join(self._form[condition.stems])
            some = f"at least {condition.least} of" if len(condition.stems) > 1 else ""
            return f"{where} {some} {words}".replace("  ", " ")
        slot, texts = self._slot(condition), self._texts(condition)
        if slot.kind in ("position", "source"):
            return f"the {slot.kind} is {' or '.join(texts)}"
        place = _PLACES[slot.offset]
        if slot.kind == "class":
            return f"{place} is of the class {' or '.join(texts)}"
        verb = {"affix": "has", "piece": "has the piece", "lemma": "is a form of"}.get(
            slot.kind, "is"
        )
        return f"{place} {verb} {' or '.join(f'“{text}”' for text in texts)}"
