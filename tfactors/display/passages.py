"""Turns passages, stretches of text around a marked word, into one block of HTML for a whole list.

Every token is escaped, colours only from classes and from numbers that we format ourselves. Nothing
of the corpus ever becomes an attribute name, a style or a link.

A text in which one factor was moved is tinted by how much the final state of each token changed (a
share of the state's length). A full tint is the largest change of a token that was not moved
itself, whose own change would make all others look faint.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tfactors.display.text import LONGEST_TOKEN, as_html, shorten
from tfactors.text.words import GAP, spelled
from tfactors.visible import RIGHT_TO_LEFT

# Below this share of the strongest tint of a passage a token is left plain.
FAINTEST = 0.04

_PARAGRAPH = '<span class="tf-par" aria-hidden="true"> ¶ </span>'


@dataclass(frozen=True)
class Passage:
    """One example: a stretch of its window around the word that activates the factor.

    Attributes
    ----------
    tokens : sequence of str
        The stretch.
    start, stop : int
        First token of the word that is marked, and the one behind it.
    activation : float
        Of the factor at the word; the rank, counted backwards, where only that is known.
    source : str
        Where the stretch stands.
    word : str
        The word that is marked.
    tints : (tokens,) float, optional
        Weights of the tokens, 0 where there is nothing to show.
    kind : str
        What the weights are: "saliency" has a sign, "habit" is how much the factor answers to a
        word as a rule, "activation" is the factor's activation at the token itself.
    rank : int
        The place in the factor's list, from 0.
    ranked : bool
        Whether only the rank is known, as of the 2021 website.
    earlier, later : str
        Text of the document beside the window, which the model did not read together with it.
    causal : bool
        Whether the model had read nothing of what follows the word either.
    measure : str
        What the number is, in a word, where it is not the activation.
    brief : bool
        Whether the tips that a pointer finds are left out, where thousands of passages have to be
        small.
    """

    tokens: Sequence[str]
    start: int
    stop: int
    activation: float
    source: str
    word: str
    tints: np.ndarray | None = None
    kind: str = "saliency"
    rank: int = 0
    ranked: bool = False
    earlier: str = ""
    later: str = ""
    causal: bool = False
    measure: str = "activation"
    brief: bool = False


def escape(text: str) -> str:
    """Return text that HTML shows as it is: escaped, long tokens cut, control characters boxed."""
    return as_html(shorten(text, LONGEST_TOKEN))


def lines(passages: Iterable[Passage], strongest: float) -> str:
    """Return passages as lines with the marked words below each other."""
    rows = []
    for p in passages:
        before = _outside(p.earlier) + _tokens(p, 0, p.start).rstrip()
        after = _after(p).rstrip()
        space = " " if before and p.tokens[p.start][:1].isspace() else ""
        side = _side(p)
        rows.append(
            f'<li class="tf-line{" tf-rtl" if side else ""}">{_activation(p, strongest)}'
            f'<span class="tf-before"{side}><bdi{side}>{before}{space}</bdi></span>'
            f"{_mark(p)}"
            f'<span class="tf-after"{side}><bdi{side}>{after}</bdi></span>{_source(p)}</li>'
        )
    return _list(rows)


def texts(
    passages: Iterable[Passage],
    strongest: float,
    numbers: bool = False,
    notes: Sequence[str] = (),
) -> str:
    """Return passages as running text, with where they come from below each.

    ``notes`` is HTML that stands there too, one a passage.
    """
    rows = []
    for at, p in enumerate(passages):
        space = " " if p.tokens[p.start][:1].isspace() else ""
        body = f"{_outside(p.earlier)}{_tokens(p, 0, p.start)}{space}{_mark(p)}{_after(p)}"
        number = f'<span class="tf-rank">{p.rank + 1}</span>' if numbers else ""
        note = f"<small>{notes[at]}</small>" if notes else ""
        rows.append(
            f'<li class="tf-text">{number}{_activation(p, strongest)}'
            f"<p{_side(p)}><bdi{_side(p)}>{body.strip()}</bdi></p>{note}{_source(p)}</li>"
        )
    return _list(rows)


def from_right(text: str) -> bool:
    """Whether most letters of a text are of a script that is written from right to left.

    >>> from_right("باع التاجر الكتاب (book)"), from_right("the word كتاب"), from_right("42")
    (True, False, False)
    """
    number = sum(map(len, RIGHT_TO_LEFT.findall(text)))
    return number > 0 and 2 * number > sum(map(str.isalpha, text))


def _side(p: Passage) -> str:
    """Return the attribute of what is written from right to left; nothing of other text."""
    return ' dir="rtl"' if from_right("".join(p.tokens)) else ""


def _list(rows: Sequence[str]) -> str:
    label = "Examples: activation, words before, the word, words after, and where it stands"
    return f'<ol class="tf-list" role="list" aria-label="{label}">{"".join(rows)}</ol>'


def legend(passages: Sequence[Passage]) -> str:
    """Return what the marks of a list of examples mean: those that it has, and no others."""
    kinds = {p.kind for p in passages if p.tints is not None and np.any(p.tints)}
    parts = ["<mark>word</mark> the number is its activation"]
    if "activation" in kinds:
        parts.append('<span class="tf-plus" style="--a:.6">word</span> also active')
    if "habit" in kinds:
        parts.append('<span class="tf-habit" style="--a:.6">word</span> usually active')
    causal = any(p.causal and p.stop < len(p.tokens) for p in passages)
    if causal or any(p.earlier or p.later for p in passages):
        why = ", which reads from left to right" if causal else ""
        parts.append(f'<span class="tf-outside">word</span> not read by the model here{why}')
    return f'<p class="tf-legend">{"".join(f"<span>{part}</span>" for part in parts)}</p>'


def grouped(passages: Sequence[Passage], strongest: float, layout: str) -> str:
    """Return passages under a heading for each word, the commonest word first."""
    groups: dict[str, list[Passage]] = {}
    for p in passages:
        groups.setdefault(p.word.casefold(), []).append(p)
    render = lines if layout == "lines" else texts
    parts = []
    for word, members in sorted(groups.items(), key=lambda item: -len(item[1])):
        share = f"{len(members)} of {len(passages)}"
        parts.append(
            f'<section class="tf-group"><h4><bdi>{escape(word or GAP)}</bdi> '
            f"<small>{share}</small></h4>{render(members, strongest)}</section>"
        )
    return "".join(parts)


def _tokens(p: Passage, first: int, last: int) -> str:
    """Return the tokens of a stretch as HTML, those with a weight tinted."""
    largest = _largest(p)
    parts: list[str] = []
    for i in range(first, last):
        token = p.tokens[i]
        weight = 0.0 if p.tints is None or not largest else float(p.tints[i]) / largest
        if p.tints is None or abs(weight) < FAINTEST:
            parts.append(_text(token))
            continue
        body = token.lstrip()
        parts.append(_text(token[: len(token) - len(body)]))
        title = unseen = ""
        if p.kind == "activation" and not p.brief:
            title = f' title="activation {weight * largest:.2f}"'
        elif p.kind == "saliency":  # here the weights are what the text is shown for
            title = f' title="weight {p.tints[i]:+.3g}"'
            unseen = f'<span class="tf-unseen"> ({p.tints[i]:+.2g})</span>'
        shade = f'style="--a:{min(abs(weight), 1):.2f}"'
        parts.append(
            f'<span class="{_class(p, weight)}" {shade}{title}>{_text(body)}{unseen}</span>'
        )
    return "".join(parts)


def _after(p: Passage) -> str:
    """Return what follows the marked word, which a causal model had not read there."""
    tokens = _tokens(p, p.stop, len(p.tokens))
    unread = f'<span class="tf-outside">{tokens}</span>' if p.causal and tokens else tokens
    return unread + _outside(p.later)


def _outside(text: str) -> str:
    """Return text of the document that the model did not read with the window, as HTML."""
    if not text:
        return ""
    words = " ".join(_text(word) for word in text.split(" "))
    return f'<span class="tf-outside">{words}</span>'


def _class(p: Passage, weight: float) -> str:
    if p.kind == "habit":
        return "tf-habit"
    return "tf-plus" if weight > 0 else "tf-minus"


def _largest(p: Passage) -> float:
    """Return the weight that a full tint stands for.

    It is 1 for habits, the activation of the marked word for activations, and else the largest
    weight beside the marked word, whose own would make all others look faint.
    """
    if p.kind == "activation":
        return p.activation
    if p.tints is None or p.kind == "habit":
        return 1.0
    others = np.abs(np.delete(p.tints, range(p.start, p.stop)))
    return float(others.max(initial=0.0))


@lru_cache(8192)  # a page asks some 1,300 times, and half of all text is a few hundred words
def _text(token: str) -> str:
    head, paragraph, rest = token.partition("\n")
    return escape(head) + (_PARAGRAPH + escape(rest.replace("\n", " ")) if paragraph else "")


def _mark(p: Passage) -> str:
    word = spelled("".join(p.tokens[p.start : p.stop])) or GAP
    weight = ""
    if p.tints is not None and p.kind == "saliency":
        weight = f", weight {float(np.sum(p.tints[p.start : p.stop])):+.3g}"
    strength = f"rank {p.rank + 1}" if p.ranked else f"{p.measure} {p.activation:.2f}"
    tip = "" if p.brief else f' title="{strength}{weight}"'
    return f"<mark{tip}><bdi>{escape(word)}</bdi></mark>"


def _activation(p: Passage, strongest: float) -> str:
    if p.ranked:
        return f'<span class="tf-act" title="rank on the website">{p.rank + 1}</span>'
    value = p.activation
    share = min(max(value / strongest, 0.0), 1.0) if strongest > 0 else 0.0
    tip = "" if p.brief else f' title="{p.measure} {value:.3f}, {share:.0%} of the largest"'
    return (
        f'<span class="tf-act"{tip}>'
        f'<span class="tf-bar" style="--w:{share:.3f}"></span>{value:.2f}</span>'
    )


def _source(p: Passage) -> str:
    shown = as_html(shorten(p.source, 120))
    tip = "" if p.brief else f' title="{shown}"'
    return f"<cite{tip}><bdi>{shown}</bdi></cite>"


def full_tint(change: np.ndarray, moved: Sequence[int]) -> float:
    """Return the change that a full tint stands for."""
    others = np.delete(change, list(moved))
    return float(others.max(initial=0.0)) or float(np.max(change, initial=0.0))


def strip(tokens: Sequence[str], change: np.ndarray, moved: Sequence[int]) -> str:
    """Return the text; the tokens whose states were moved are boxed."""
    full = full_tint(change, moved)
    marked = set(moved)
    parts = []
    for at, (token, value) in enumerate(zip(tokens, change.tolist(), strict=True)):
        body = token.lstrip()
        space = escape(token[: len(token) - len(body)])
        share = min(value / full, 1.0) if full > 0 else 0.0
        classes = "tf-plus tf-moved" if at in marked else "tf-plus"
        written = escape(shorten(body, LONGEST_TOKEN))
        if share < FAINTEST and at not in marked:
            parts.append(space + written)
            continue
        parts.append(
            f'{space}<span class="{classes}" style="--a:{share:.2f}" '
            f'title="its final state changes by {value:.1%}">{written}</span>'
        )
    side = ' dir="rtl"' if from_right("".join(tokens)) else ""
    return f'<p class="tf-strip"{side}><bdi{side}>{"".join(parts).strip()}</bdi></p>'
