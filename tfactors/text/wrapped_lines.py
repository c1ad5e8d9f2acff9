r"""Joins the lines of hard-wrapped prose, and leaves alone what is not surely that.

A newline is a wrap if the next line's first word would not have fitted on the line, as the width of
nine lines in ten tells. That alone joins verse, logs and code as well, whose lines are sometimes as
long. So the lines between two blank ones are joined only if they are prose by their looks: few
signs of code, no columns, and most lines that go on begin with a small letter, as a sentence broken
anywhere does. Scripts without capitals have to be wrapped without an exception instead.

What is put in the place of the newline is what the writer's program took away: a blank, or nothing
where a script writes none, where lines were cut after so many characters whatever stood there, and
behind the hyphen inside a word, which stays.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tfactors.text.word_breaks import count_unspaced, is_unspaced

# Hard-wrapped text is about this wide; wider lines are one paragraph each, narrower ones a list.
WRAP_WIDTHS = range(40, 101)
# Characters or columns of a line without blanks; shorter ones may be verse.
WIDE_WRAP_WIDTHS = range(20, 161)
# A line is cut with so many characters to spare, so that no line begins with a full stop.
_WIDE_SPARE = 2
# So many lines say whether they are all of the same length, or begin with small letters.
_FEW = 3
_SMALL_SHARE = 1 / 5
_CODE_SHARE = 0.03
_CODE = frozenset("{}[]<>=_|\\/*&^%$#@~+`;")
_LIST_ITEM = re.compile(r"[-*+#>|•◦▪‣·\u3000]|\d+[.)] |[a-z]\) |={3,}")
# No line goes on after these: a quotation in a mail, a heading, a row of a table.
_WHOLE_LINE = re.compile(r"[>#|]")
_COLUMNS = re.compile(r"\S(?:\t| {3,})\S")
_CLAUSE_END = tuple(".,;:!?…—。，、；：！？।؟،۔")
_PARAGRAPH_END = tuple(".!?:;…\"'”’»)]—*_")
# What follows a hyphen that stands for the rest of a word: "pre- and post-war".
_BETWEEN = frozenset("and or to of und oder bis et ou y o e en i och og eller".split())  # noqa: SIM905
_ENDINGS_OF_CJK = tuple("。！？」』）…：；")


def join_wrapped_lines(text: str) -> str:
    r"""Return the text with hard-wrapped lines joined, so that a newline ends a paragraph.

    Examples
    --------
    >>> join_wrapped_lines("It was the best of times, it was the worst\nof times.\n\nThe end.")
    'It was the best of times, it was the worst of times.\n\nThe end.'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if len(lines) < 2:
        return text
    joints = (_joints_of_wide_lines if _is_wide(text) else _joints_of_words)(lines)
    pieces = [lines[0]]
    for joint, line in zip(joints, lines[1:], strict=True):
        pieces += [joint, line]
    return "".join(pieces)


def _is_wide(text: str) -> bool:
    """Whether more letters are of scripts without blanks than of others."""
    if text.isascii():
        return False
    return 2 * count_unspaced(text) > sum(map(str.isalpha, text))


# --- scripts with blanks ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """Lines between two blank ones, and which of the newlines between them may be wraps.

    Attributes
    ----------
    first : int
        The number of its first line in the text.
    lines : list of str
        At least two.
    full : list of int
        The lines, counted from 0, that the next line's first word would have made too long.
    """

    first: int
    lines: list[str]
    full: list[int]

    @property
    def small(self) -> int:
        """How many lines after a full one begin with a small letter."""
        return sum(_opening_letter(self.lines[at + 1]).islower() for at in self.full)


def _joints_of_words(lines: list[str]) -> list[str]:
    """Return what stands between each two lines of a text whose scripts write blanks."""
    joints = ["\n"] * (len(lines) - 1)
    followed = sorted(len(line) for line, following in pairwise(lines) if line and following)
    width = followed[-1 - len(followed) // 10] if followed else 0
    if width not in WRAP_WIDTHS:
        return joints
    if _cut_blindly(lines, width):
        blanks_kept = any(line != line.strip(" ") for line in lines if len(line) == width)
        for at, line in enumerate(lines[:-1]):
            if blanks_kept and len(line) == width and lines[at + 1]:
                joints[at] = ""
        return joints
    runs = [_Run(first, run, _full_lines(run, width)) for first, run in _runs(lines)]
    runs = [run for run in runs if run.full and not _looks_like_code(run.lines)]
    opened = sum(len(run.full) for run in runs)
    usual = sum(run.small for run in runs) >= _SMALL_SHARE * opened
    prose = [
        _breaks_anywhere(run, usual)
        if _has_capitals(run.lines)
        else len(run.full) >= _FEW and _without_exception(run.lines)
        for run in runs
    ]
    # What two lines without capitals cannot say, the longer stretches do.
    known = any(
        is_prose and not _has_capitals(run.lines) for run, is_prose in zip(runs, prose, strict=True)
    )
    for run, is_prose in zip(runs, prose, strict=True):
        few = len(run.full) < _FEW and len(run.full) == len(run.lines) - 1
        for at in run.full if is_prose or (known and few) else ():
            joints[run.first + at] = "" if _cuts_a_word(run.lines[at], run.lines[at + 1]) else " "
    return joints


def _cuts_a_word(line: str, following: str) -> bool:
    """Return whether a line ends behind the hyphen inside a word, which the next one goes on with.

    >>> [_cuts_a_word(line, "made in 1990") for line in ("self-", "self -", "1989-", "self\u00ad")]
    [True, False, False, True]
    """
    if line.endswith("\u00ad"):
        return True
    before, after = line[-2:-1], following[0]
    inside = (before.isalpha() and after.islower()) or (before.isdigit() and after.isdigit())
    return line[-1] in "-\u2010" and inside and following.split(" ", 1)[0] not in _BETWEEN


def _runs(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield number of the first line and the lines of each stretch without blank lines."""
    first = 0
    for at, line in enumerate([*lines, ""]):
        if not line.strip():
            if at - first > 1:
                yield first, lines[first:at]
            first = at + 1


def _full_lines(run: list[str], width: int) -> list[int]:
    """Return which lines would have been too long with the first word of the next one."""
    full = []
    for at, (line, following) in enumerate(pairwise(run)):
        first_word = following.split(" ", 1)[0]
        long = len(line) + 1 + len(first_word) > 0.9 * width
        item = _LIST_ITEM.match(following) or _WHOLE_LINE.match(line)
        inside = is_unspaced(line[-1]) and is_unspaced(following[0])
        if first_word and long and not item and not inside and len(line.split()) >= _FEW:
            full.append(at)
    return full


def _looks_like_code(run: list[str]) -> bool:
    """Whether lines hold many signs that prose has few of, stand in columns, or tell times."""
    text = "".join(run)
    columns = sum(_COLUMNS.search(line) is not None for line in run)
    return (
        sum(map(_CODE.__contains__, text)) > _CODE_SHARE * len(text)
        or 3 * columns > len(run)
        or "-->" in text
    )


def _has_capitals(run: list[str]) -> bool:
    letters = [character for character in "".join(run) if character.isalpha()]
    return 2 * sum(letter.lower() != letter.upper() for letter in letters) > len(letters)


def _opening_letter(line: str) -> str:
    """Return the first letter or digit of a line, behind quotes and brackets; "" of others."""
    return next((character for character in line[:3] if character.isalnum()), "")


def _breaks_anywhere(run: _Run, usual: bool) -> bool:
    """Whether lines break in the middle of sentences, as only prose does.

    Lines that are too short to be wrapped end a paragraph, and lines begin with ever other words. A
    small letter at the beginning of a line speaks for it; a capital after the end of a clause, as
    in verse, and a line that begins with no letter, as in a log, speak against it. What few lines
    cannot say the other lines of the text do, ``usual``.
    """
    short = [line for at, line in enumerate(run.lines[:-1]) if at not in run.full and line.strip()]
    unended = sum(not line.rstrip().endswith(_PARAGRAPH_END) for line in short)
    pairs = [(run.lines[at].rstrip(), run.lines[at + 1]) for at in run.full]
    openings = Counter(after.split(" ", 1)[0] for _, after in pairs)
    commonest = sum(count for _, count in openings.most_common(3))
    repeated = len(pairs) > 4 * _FEW and commonest > 0.7 * len(pairs)
    ended = sum(line.endswith(_CLAUSE_END) for line, _ in pairs)
    if len(pairs) >= _FEW and 2 * ended > len(pairs):  # verse, whatever its lines begin with
        return False
    if repeated or 5 * unended > len(run.lines) - 1:
        return False
    if len(run.full) < _FEW:
        return usual
    against = sum(
        not _opening_letter(after).islower()
        and (line.endswith(_CLAUSE_END) or not _opening_letter(after).isalpha())
        for line, after in pairs
    )
    return run.small >= _SMALL_SHARE * len(pairs) or (usual and 2 * against < len(pairs))


def _without_exception(run: list[str]) -> bool:
    """Whether each line is as long as the next one's first word lets it be, and ends anywhere."""
    ended = sum(line.rstrip().endswith(_CLAUSE_END) for line in run[:-1])
    return 2 * ended < len(run) - 1 and any(
        all(
            measure(line) + 1 + measure(following.split(" ", 1)[0]) > max(map(measure, run))
            for line, following in pairwise(run)
        )
        for measure in (len, _columns)
    )


def _cut_blindly(lines: list[str], width: int) -> bool:
    """Whether lines were cut after so many characters, in the middle of words.

    Lines whose ends were thrown away are all of one length as well. But they begin anew: with a
    capital or a number where a word was cut, and never with a blank.
    """
    pairs = [pair for _, run in _runs(lines) for pair in pairwise(run)]
    same = sum(len(line) == width for line, _ in pairs)
    justified = sum("  " in line.strip() for line, _ in pairs)
    anew = sum(
        line[-1].islower() and (after[0].isupper() or after[0].isdigit()) for line, after in pairs
    )
    blank_ends = sum(line.endswith(" ") for line, _ in pairs)
    blank_beginnings = sum(after.startswith(" ") for _, after in pairs)
    thrown_away = 20 * anew > len(pairs) or (blank_ends > _FEW and not blank_beginnings)
    blindly = same > _FEW and same >= 0.9 * len(pairs) and 3 * justified < len(pairs)
    return blindly and not thrown_away


# --- scripts without blanks ---------------------------------------------------------------------


def _joints_of_wide_lines(lines: list[str]) -> list[str]:
    """Return what stands between each two lines of a text whose scripts write no blanks.

    Chinese and Japanese lines are all of one length but a character or two. Those of Thai and its
    neighbours end where a phrase or a word does, nobody knows which, unless all have one length.
    """
    spare = 0 if _is_south_east_asian(lines) else _WIDE_SPARE
    inner = [line for _, run in _runs(lines) for line in run[:-1]]
    for measure in (len, _columns):
        lengths = sorted(map(measure, inner))
        width = lengths[-1 - len(lengths) // 10] if lengths else 0
        full = [abs(measure(line) - width) <= spare for line in inner]
        if _wrapped_wide(inner, full) and width in WIDE_WRAP_WIDTHS:
            break
    else:
        return ["\n"] * (len(lines) - 1)
    return [
        _wide_joint(line, following) if abs(measure(line) - width) <= spare else "\n"
        for line, following in pairwise(lines)
    ]


def _wrapped_wide(inner: Sequence[str], full: Sequence[bool]) -> bool:
    """Whether lines are full but where a sentence ends, and full ones end anywhere."""
    ended = [line.rstrip().endswith(_ENDINGS_OF_CJK) for line in inner]
    number = sum(full)
    exceptions = sum(not f and not e for f, e in zip(full, ended, strict=True))
    stopped = sum(
        f and line.rstrip().endswith(_CLAUSE_END) for f, line in zip(full, inner, strict=True)
    )
    return number >= _FEW and 10 * exceptions <= len(inner) and 2 * stopped <= number


def _wide_joint(line: str, following: str) -> str:
    """Return what stands for the newline after a full line: nothing, or the newline itself."""
    if not following.strip() or _LIST_ITEM.match(following):
        return "\n"
    # Between two words with blanks around them either a blank was lost or a word was cut.
    unsure = line[-1].isalnum() and following[0].isalnum()
    return "\n" if unsure and not (is_unspaced(line[-1]) or is_unspaced(following[0])) else ""


def _is_south_east_asian(lines: Sequence[str]) -> bool:
    letters = [c for line in lines for c in line if is_unspaced(c)]
    return 2 * sum(letter < "\u2e80" for letter in letters) > len(letters)


def _columns(line: str) -> int:
    """Return how many columns of a terminal a line takes.

    >>> _columns("日本 a\u0301")
    6
    """
    return sum(
        0 if unicodedata.category(c)[0] == "M" else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in line
    )
