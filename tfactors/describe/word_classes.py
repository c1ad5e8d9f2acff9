"""Turns a word into its class: what a reader calls the words that may fill a place in a pattern.

Closed classes are lists of ours, each word in one of them; the other words are told by their shape:
a number, a mark, an ending. No tagger is asked, so a class is what anyone can check by eye:

    article, this/that, possessive, pronoun, who/which, be, have, do, modal, preposition, “to”,
    and/or, but, conjunction, negation, quantity, number word, ordinal, month, weekday, adverb;
    year, number, the marks one by one; word-ing, word-ed, word-ly, word-tion, word-s, word.

“Name”, a capital inside a sentence, is not the word's alone and is added by
:mod:`tfactors.describe.text_words`.
"""

from __future__ import annotations

import re

from tfactors.text.words import word_set

CLOSED = {
    "article": word_set("a an the"),
    "this/that": word_set("this that these those such"),
    "possessive": word_set("my your his her its our their whose"),
    "pronoun": word_set(
        "i you he she it we they me him us them myself yourself himself herself itself ourselves "
        "yourselves themselves oneself somebody someone something anybody anyone anything "
        "everybody everyone everything nobody nothing"
    ),
    "who/which": word_set("who whom which what when where why how whoever whatever whichever"),
    "be": word_set("be am is are was were been being"),
    "have": word_set("have has had having"),
    "do": word_set("do does did doing done"),
    "modal": word_set("can could may might must shall should will would cannot"),
    "preposition": word_set(
        "of in on at by for with from into about against among amongst between through during "
        "before after above below under over upon within without toward towards across behind "
        "beside besides beyond near off onto out outside inside per since throughout until till "
        "up down via along around despite concerning regarding except like unlike"
    ),
    "to": word_set("to"),
    "and/or": word_set("and or & nor"),
    "but": word_set("but yet however"),
    "conjunction": word_set(
        "if because although though while whereas as than whether unless so once whenever wherever "
        "therefore thus hence"
    ),
    "negation": word_set("not no never n't none neither without"),
    "quantity": word_set(
        "all any some each every both either many much more most few fewer less least several own "
        "other others another enough half"
    ),
    "number word": word_set(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
        "hundred hundreds thousand thousands million millions billion billions trillion dozen zero"
    ),
    "ordinal": word_set(
        "first second third fourth fifth sixth seventh eighth ninth tenth last next 1st 2nd 3rd"
    ),
    "month": word_set(
        "january february march april june july august september october november december"
    ),
    "weekday": word_set("monday tuesday wednesday thursday friday saturday sunday"),
    "adverb": word_set(
        "also very too just only even still already again ever always often now then here there "
        "rather quite almost perhaps well soon later today"
    ),
}
_CLASS_OF: dict[str, str] = {}
for _name, _words in CLOSED.items():
    for _word in _words:
        _CLASS_OF.setdefault(_word, _name)

# Marks that are the same to a reader; any other mark is a class of its own.
_MARKS = {
    **dict.fromkeys("\"“”„«»'‘’`「」『』", "quote"),
    **dict.fromkeys("()[]{}（）【】〔〕〈〉《》", "bracket"),
    **dict.fromkeys("-–—‐", "dash"),
    **dict.fromkeys(".!?…。．｡！？؟۔।॥።။།។", "stop"),
    **dict.fromkeys(":;：；؛", "colon"),
    **dict.fromkeys(",，、､،", "comma"),
}
_YEAR = re.compile("1[0-9]{3}s?|20[0-9]{2}s?")
_ENDINGS = ("ing", "ed", "ly", "tion", "s")
_ENDED_WORD = 4  # letters that such a word has at least
_NO_PLURAL = ("ss", "us", "is")
NAME = "Name"


def word_class(word: str) -> str:
    """Return the class of a word, whatever its capitals.

    >>> [word_class(word) for word in ("The", "taken", "making", "1805", "27", "“", "May")]
    ['article', 'word', 'word-ing', 'year', 'number', 'quote', 'modal']
    """
    folded = word.casefold()
    if (closed := _CLASS_OF.get(folded)) is not None:
        return closed
    if _YEAR.fullmatch(folded):
        return "year"
    if any(character.isdigit() for character in folded):
        return "number"
    if not any(character.isalpha() for character in folded):
        return _MARKS.get(folded[:1], "mark")
    for ending in _ENDINGS:
        long = len(folded) > max(_ENDED_WORD, len(ending) + 1)
        plural = ending != "s" or not folded.endswith(_NO_PLURAL)
        if long and plural and folded.endswith(ending):
            return f"word-{ending}"
    return "word"


def is_content(name: str) -> bool:
    """Whether words of a class say what a text is about: no closed class, number or mark."""
    return name == NAME or name.startswith("word")
