"""Turns a page of the 2021 website into examples: words in context, and the colours of LIME.

Examples come strongest first, each a window of tokens with the marked one. The site has two
formats, both without any activation:

    A  • before <text style=color:blue>word</text> after<br />• …                factors 0 to 499
    B  … <text style=background-color:#rrggbb;>token</text> …<br /><br />…     factors 500 to 531

Where the site lost a “#” the mark is empty: there the marked token is an empty one, at the gap.
Pages that a browser saved are read too, with their quotes, `<br>`, scripts and `&amp;`.

In B the colour of a token is its LIME weight w, blended with white: toward #ff3200 with opacity
w / max w where w > 0, toward #32ff00 with opacity |w| / |min w| where it is negative. So the sign
and the share of the largest weight of that sign come back, in steps of 1/255, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from tfactors.errors import InputError

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])")
_BLUE = r'<text style="?color: ?blue;?"?>'
_COLOURED = r'<text style="?background-color: ?'
_MARKED = re.compile(rf"(.*?){_BLUE}(.*?)</text>(.*)", re.DOTALL)
_ELEMENT = re.compile(
    rf'{_COLOURED}#([0-9a-fA-F]{{6}});?"?>({_BLUE})?(.*?)</text>(?:</text>)?'
    rf"|({_BLUE})(.*?)</text>",
    re.DOTALL,
)


@dataclass(frozen=True)
class PublishedExample:
    """One example of a page.

    Attributes
    ----------
    tokens : tuple of str
        As the site shows them, with the blank before each: joined, they are the text.
    word_starts : tuple of bool
        For each token, whether a word begins at it.
    position : int
        The marked token, ``""`` where the site lost the word.
    weights : tuple of float or None
        For each token its signed share of the largest weight, in format B, else None.
    """

    tokens: tuple[str, ...]
    word_starts: tuple[bool, ...]
    position: int
    weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class _Piece:
    """A stretch of text: plain, or one token with what is known of it."""

    text: str
    marked: bool = False
    weight: float | None = None


def read_page(html: str) -> tuple[list[PublishedExample], list[str]]:
    """Return the examples of a page, in its order, and what is wrong with those left out.

    Raises
    ------
    InputError
        No example, or none without a colour or a mark that the site does not have; without the name
        of the page.
    """
    body = _as_published(html)
    coloured = re.search(_COLOURED, body) is not None
    # "•" occurs in the text as well, so only the break before it parts two examples. What follows
    # the last break is an empty bullet or line, or an example that is cut off.
    parts = body.split("<br /><br />" if coloured else "<br />•")[:-1]
    read_example = _read_coloured if coloured else _read_plain
    examples: list[PublishedExample] = []
    problems: dict[int, str] = {}
    for number, whole in enumerate(map(_MARKED.fullmatch, parts), 1):
        try:
            if whole:
                examples.append(read_example(whole))
        except InputError as error:
            problems[number] = str(error)
    if not examples:
        raise InputError(next(iter(problems.values()), "no example on this page"))
    return examples, [f"example {number}: {problem}" for number, problem in problems.items()]


# What stands around the examples, or is never shown.
_AROUND = re.compile(
    r"\A.*?<body[^>]*>|</body>.*\Z|<!--.*?-->|<(script|style)\b.*?</\1>", re.DOTALL | re.IGNORECASE
)


def _as_published(html: str) -> str:
    """Return the body of a page as the site has it, whatever saved the page since."""
    body = re.sub(r"<br ?/?>", "<br />", _AROUND.sub("", html), flags=re.IGNORECASE)
    body = re.sub(r"</?text\b", lambda tag: tag[0].lower(), body, flags=re.IGNORECASE)
    return re.sub(r"&bull;|&#8226;", "•", body)


def _read_plain(whole: re.Match[str]) -> PublishedExample:
    """Return an example of format A."""
    before, word, after = whole.groups()
    before = before.lstrip().removeprefix("•")
    return _example([_Piece(before), _Piece(word, marked=True), _Piece(after)], False)


def _read_coloured(whole: re.Match[str]) -> PublishedExample:
    """Return an example of format B."""

    def pieces() -> Iterator[_Piece]:
        part, end = whole[0], 0
        for element in _ELEMENT.finditer(part):
            yield _Piece(part[end : element.start()])
            colour, blue, token, _, plain = element.groups()
            if colour is None:
                yield _Piece(plain, marked=True)
            else:
                yield _Piece(token, blue is not None, weight_of_colour(colour))
            end = element.end()
        yield _Piece(part[end:])

    return _example(list(pieces()), True)


def weight_of_colour(colour: str) -> float:
    """Return the signed share that a colour, six hexadecimal digits, stands for.

    >>> weight_of_colour("ff3200"), weight_of_colour("32ff00"), weight_of_colour("ffffff")
    (1.0, -1.0, 0.0)
    """
    red, green, blue = bytes.fromhex(colour)
    share = (255 - blue) / 255
    faded = 255 - round(205 * share)  # the third channel of both blends
    if red == 255 and abs(green - faded) <= 1:
        return share
    if green == 255 and abs(red - faded) <= 1:
        return -share
    raise InputError(f"#{colour} is no colour of a weight")


def _example(pieces: list[_Piece], coloured: bool) -> PublishedExample:
    """Put pieces together: each plain one is cut into words and marks, the others are one token."""
    tokens: list[str] = []
    starts: list[bool] = []
    weights: list[float] = []
    position, blank = -1, ""
    for piece in pieces:
        if "</text>" in piece.text:
            raise InputError("marks up a word in a way that the site does not")
        text = blank + unescape(piece.text)
        single = piece.marked or piece.weight is not None
        cut = [text.rstrip()] if single else _TOKEN.findall(text)
        blank = text[sum(map(len, cut)) :]
        for token in cut:
            if not token and not piece.marked:
                continue
            if piece.marked:
                position = len(tokens)
            # A piece of a word follows the one before it without a blank.
            glued = bool(tokens) and tokens[-1][-1:].isalnum() and token[:1].isalnum()
            tokens.append(token if any(tokens) else token.lstrip())
            starts.append(not glued)
            weights.append(piece.weight or 0.0)
    if position < 0:
        raise InputError("an example without a marked word")
    return PublishedExample(
        tuple(tokens), tuple(starts), position, tuple(weights) if coloured else None
    )
