r"""Turns letters that act on what shows them into letters that can be seen.

A corpus, a label, a title or the name of a file may hold letters that a terminal obeys (ESC and the
control sequences of C0 and C1, carriage return, backspace) and letters that turn the rest of a line
round (the bidirectional overrides, embeddings and isolates of Unicode). Whoever shows text shows
them instead of obeying them: :func:`visible` on a terminal, where all that tfactors prints goes
through :class:`VisibleOutput`, and :func:`boxed` on pages. Letters of scripts that are written from
right to left, their own marks (U+200E, U+200F, U+061C) and joiners stay as they are.
"""

from __future__ import annotations

import io
import re
from typing import TextIO

_BIDIRECTIONAL = "\u202a-\u202e\u2066-\u2069"
_SEPARATORS = "\u2028\u2029"
# Halves of letters, as a file name that is not UTF-8 leaves them; no stream can encode them.
_HALVES = "\ud800-\udfff"
_ACTING = f"\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDIRECTIONAL}{_SEPARATORS}{_HALVES}"
# Hebrew, Arabic, Syriac, Thaana, N'Ko and others, and their presentation forms.
RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]+"
)
_IN_A_LINE = re.compile(f"[{_ACTING}\t\n]")
_IN_LINES = re.compile(f"[{_ACTING}]")


def visible(text: str) -> str:
    r"""Return a text as one line for a terminal, each letter that acts on it written as its number.

    >>> print(visible("\x1b[31mred\u202e\n"))
    \u001b[31mred\u202e\u000a
    """
    return _IN_A_LINE.sub(_number, text)


def boxed(text: str) -> str:
    r"""Return a text for a page, U+FFFD for each letter that acts on it; tabs and new lines stay.

    >>> boxed("\x1b[31mred\u202e\n")
    '�[31mred�\n'
    """
    return _IN_LINES.sub("\ufffd", text)


def kept_apart(text: str) -> str:
    r"""Return a text that ends as the line around it goes, from left to right.

    A number behind letters that are written from right to left would be drawn before them; a mark
    without a width between the two prevents that. In HTML a ``<bdi>`` does it better.

    >>> kept_apart("left"), kept_apart("שמאל")[-1]
    ('left', '\u200e')
    """
    return f"{text}\u200e" if RIGHT_TO_LEFT.search(text) else text


class VisibleOutput(io.TextIOBase):
    r"""A stream that writes to another one, letters that act on a terminal as their numbers.

    Tabs and new lines stay. The numbers are those of JSON, so that what is printed as JSON says the
    same as before.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        self.stream.write(_IN_LINES.sub(_number, text))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        self.stream.flush()

    def fileno(self) -> int:
        """Return the number of the file that is written to."""
        return self.stream.fileno()

    def isatty(self) -> bool:
        """Return whether somebody looks on."""
        return self.stream.isatty()


def _number(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
