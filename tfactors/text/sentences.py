"""Turns the tokens of a window into the bounds of the sentence or the word around one of them.

A sentence ends at . ! ? or … (with the quotes and brackets that close after it) if white space
and then a capital, a digit or an opening quote follow, at 。！？ and their like in other scripts
(۔ ؟ । ။ ። ។), and at every newline, because a newline ends a paragraph, a heading or a list item.
The full stop of an abbreviation, an initial or a list number ends none. The rule is our own, small
and deterministic, so that the share of an activation that a sentence retains means the same
everywhere.
"""

import bisect
import re
from collections.abc import Sequence
from itertools import accumulate

from tfactors.text.words import word_set

# A full stop after these never ends a sentence ...
_TITLES = word_set(
    "mr mrs ms messrs mme dr prof rev hon gen col capt cpt lt sgt maj adm cmdr gov sen rep reps "
    "pres st mt ft vs cf e.g i.e viz ca approx esp incl"
)
# ... after these not before a number ...
_NUMBERED = word_set(
    "no nos p pp ch sec art fig figs vol vols jan feb mar apr jun jul aug sep sept oct nov dec"
)
# ... and after these, after initials (J. R. R.) and after initialisms (U.S., a.m.) only before a
# word that begins sentences more often than names.
_SOMETIMES = word_set("al inc ltd co corp bros jr sr esq")
_SENTENCE_OPENERS = word_set(
    "a after all also although an among and another as at because before both but by despite "
    "did do does during each even every few finally first for from furthermore had has have he "
    "her here his how however i if in instead it its just later let many meanwhile moreover "
    "most my neither nevertheless no nor not now of on once one only or other our over perhaps "
    "second she since so some soon still such that the their then there therefore these they "
    "this those though through thus to today two under unlike until upon we what when where "
    "whether which while who why with within without yet you your"
)
_INITIALISM = re.compile(r"(?:[^\W\d]\.)+[^\W\d]|Ph\.D")
_LIST_NUMBER = re.compile(r"\(?(\d{1,2}|[IVX]+|[A-Za-z])")
_STOP = re.compile(
    r"""(?P<stop>[.!?…]+)["'”’»)\]]*(?P<gap>\s)(?=(?P<opening>["'“‘«(\[—–-]*)(?P<next>\w+))"""
    r"""|[。！？｡۔؟।॥။។።]+[”’»」』）]*(?P<ideographic>)"""
    r"""|(?P<newline>\n)"""
)
_WORD_BEFORE = re.compile(r"[\w.'’-]*$")


def word_bounds(word_starts: Sequence[bool], position: int) -> tuple[int, int]:
    """Return [start, stop) of the whole word around a position, in tokens of the window.

    >>> word_bounds([True, False, True], 1)
    (0, 2)
    """
    start, stop = position, position + 1
    while start > 0 and not word_starts[start]:
        start -= 1
    while stop < len(word_starts) and not word_starts[stop]:
        stop += 1
    return start, stop


def sentence_bounds(tokens: Sequence[str], position: int) -> tuple[int, int]:
    """Return [start, stop) of the sentence around a position, in tokens of the window.

    The first and the last sentence of a window may be cut by the window's edge.

    Parameters
    ----------
    tokens : (t,) strings
        Slices of the text as in `tfactors.text.windows.Window`.
    position : int
        0 … t − 1.

    Raises
    ------
    IndexError
        The position is outside the window.

    Examples
    --------
    >>> sentence_bounds(["Mr", ".", " Fox", " ran", ".", " He", " hid", "."], 2)
    (0, 5)
    """
    if not 0 <= position < len(tokens):
        raise IndexError(f"position {position} is outside the window of {len(tokens)} tokens")
    edges = [0, *accumulate(map(len, tokens))]
    begins = [0]
    for character in sentence_starts("".join(tokens)):
        # The last token that starts at or before the character; tokens of no characters belong to
        # what precedes them.
        token = bisect.bisect_right(edges, character) - 1
        token += edges[token] < character
        if begins[-1] < token < len(tokens):
            begins.append(token)
    sentence = bisect.bisect_right(begins, position)
    return begins[sentence - 1], begins[sentence] if sentence < len(begins) else len(tokens)


def sentence_starts(text: str) -> list[int]:
    """Return where in a text a new sentence begins, its first one aside, in characters.

    The white space between two sentences belongs to the second.
    """
    starts = [0]
    for match in _STOP.finditer(text):
        if match["ideographic"] is not None:
            starts.append(match.end())
        elif match["newline"] is not None:
            starts.append(match.start())
        elif match["gap"] == "\n" or _ends_sentence(match, text, starts[-1]):
            starts.append(match.start("gap"))
    return [start for start in starts[1:] if start < len(text)]


def _ends_sentence(match: re.Match[str], text: str, sentence_start: int) -> bool:
    """Whether a stop, matched in a text, ends the sentence that begins there."""
    following = match["next"]
    if following[0].islower() and not set(match["opening"]) & set('"“«'):
        return False
    if match["stop"] != ".":
        return True
    before = text[max(sentence_start, match.start() - 40) : match.start()]
    last_word = _WORD_BEFORE.search(before)
    word = last_word[0].strip(".'’-") if last_word else ""
    abbreviation = word.lower()
    sentence = text[sentence_start : match.start()].strip()
    if abbreviation in _TITLES or _LIST_NUMBER.fullmatch(sentence):
        return False
    initial = len(word) == 1 and word.isalpha()
    if abbreviation in _NUMBERED and not (initial and word.isupper()):
        return not following[0].isdigit()
    if word == "I":  # a numeral or the pronoun, unless more initials follow
        return len(following) > 1
    if initial and before.endswith("°" + word):
        return True
    if initial or abbreviation in _SOMETIMES or _INITIALISM.fullmatch(word):
        return following.lower() in _SENTENCE_OPENERS
    return True
