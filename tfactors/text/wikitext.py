"""Turns the wikitext of an article into its prose: paragraphs and headings, a line each.

What is not running text goes: templates, tables, references, images with their captions, lists of
names and works, and whole sections such as *See also*. A template that stands for words in a
sentence is written out (`{{convert|5|km|mi}}` becomes "5 km"); a sentence that a formula leaves
with a hole goes too, because a factor for the hole would be learnt from it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from itertools import pairwise
from typing import Any

from tfactors.text.sentences import sentence_starts
from tfactors.text.words import word_set

_DROPPED_SECTIONS = re.compile(
    r"(see )?also|external (links?|media)|(further|additional|suggested) (reading|information)"
    r"|references?|(foot)?notes?|explanatory notes|citations?|cited (texts|in .*)|works cited"
    r"|(notes|references|sources|citations|footnotes)( and | & |, ).*|(image )?credits"
    r"|((primary|secondary) )?sources|bibliograph\w+|literature|publications|(other )?books"
    r"|(selected|published) works|(reference|etymological) (literature|bibliography)"
    r"|(selected|annotated|general|primary|secondary) (bibliography|references|sources).*"
    r"|gallery|galleries|discography|(partial )?filmography.*|editions|awards and nominations|video"
)
_DROPPED_TAGS = word_set(
    "ref references table tr td th caption gallery timeline score imagemap source pre graph hiero "
    "syntaxhighlight templatestyles"
)
_FORMULA_TAGS = frozenset(["math", "chem", "ce"])
# Links into these name spaces, and to other languages, are no words of the text.
_NAMESPACE = re.compile(r"(file|image|media|category|[a-z]{2,3}|[a-z]{2,3}-[a-z-]+|simple):", re.I)
_LIST_ITEM = "\x01"
_HOLE = "\ufffc"

_UNIT_NAMES = """
mi: miles, km: kilometres, m: metres, ft: feet, in: inches, yd: yards, cm: centimetres,
mm: millimetres, nmi: nautical miles, sqmi: square miles, mi2: square miles, sqft: square feet,
km2: square kilometres, sqkm: square kilometres, m2: square metres, ha: hectares, acre: acres,
m3: cubic metres, km3: cubic kilometres, cumi: cubic miles, L: litres, impgal: imperial gallons,
usgal: US gallons, oilbbl: barrels, oilbbl/d: barrels per day, lb: pounds, kg: kilograms, g: grams,
oz: ounces, t: tonnes, ST: short tons, C: °C, F: °F, mph: miles per hour, ft/s: feet per second,
km/h: kilometres per hour, kph: kilometres per hour, /sqmi: per square mile,
/km2: per square kilometre, PD/sqmi: people per square mile, PD/km2: people per square kilometre
"""
_UNITS = dict(pair.split(": ") for pair in re.split(r",\s+", _UNIT_NAMES.strip()))
_RANGE = {"to": " to ", "-": "–", "–": "–", "and": " and ", "or": " or ", "x": " × ", "by": " by "}
_SUPERSCRIPTS = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")


def prose(wikitext: str) -> str:
    """Return the running text of an article, one paragraph or heading a line."""
    lines: list[str] = []
    headings: list[tuple[int, str]] = []  # those above the next paragraph, not written yet
    dropped_level = 0  # of the dropped section that we are in
    for level, title, section in _sections(wikitext):
        if dropped_level and level > dropped_level:
            continue
        heading = _tidy(_visible(title))
        dropped_level = level if _DROPPED_SECTIONS.fullmatch(heading.lower()) else 0
        if dropped_level:
            continue
        headings = [(above, text) for above, text in headings if above < level]
        headings.append((level, heading))
        if paragraphs := list(_paragraphs(_visible(section))):
            lines += [text for _, text in headings if text] + paragraphs
            headings = []
    return "\n".join(lines)


def _sections(wikitext: str) -> Iterator[tuple[int, str, str]]:
    """Yield level, title and wikitext of each section, the lead as one of level 1.

    The sections are parsed one by one, so that a tag that is never closed spoils one of them only.
    """
    wikitext = re.sub(r"<!--.*?-->", "", wikitext, flags=re.S)
    # text, "==", title, text, "==", title, text ...
    parts = ["=", "", *re.split(r"^(={1,6})[ \t]*(.+?)[ \t]*\1[ \t]*$", wikitext, flags=re.M)]
    for marks, title, section in zip(parts[0::3], parts[1::3], parts[2::3], strict=True):
        yield len(marks), title, section


def _visible(wikitext: str) -> str:
    import mwparserfromhell

    return _text(mwparserfromhell.parse(wikitext).nodes)


def _text(nodes: Iterable[Any]) -> str:
    """Return what a reader sees of the nodes, without tables, images, references and templates."""
    out: list[str] = []
    for node in nodes:
        kind = type(node).__name__
        if kind == "Text":
            out.append(str(node.value))
        elif kind == "HTMLEntity":
            out.append(node.normalize())
        elif kind == "Wikilink":
            out.append(_link(node))
        elif kind == "ExternalLink" and node.brackets and node.title is not None:
            out.append(_text(node.title.nodes))
        elif kind == "Template":
            out.append(_template(node))
        elif kind == "Tag":
            at_line_start = not out or out[-1].endswith(("\n", _LIST_ITEM))
            out.append(_tag(node, at_line_start))
    return "".join(out)


def _link(node: Any) -> str:
    title = str(node.title).strip()
    if node.text is None:
        return "" if _NAMESPACE.match(title) else title.removeprefix(":").split("#")[0]
    if _NAMESPACE.match(title):
        return ""
    # [[Mercury (planet)|]] shows "Mercury"
    return _text(node.text.nodes) or re.sub(r"\s*\([^)]*\)$", "", title)


def _tag(node: Any, at_line_start: bool) -> str:
    name = str(node.tag).lower().strip()
    if node.wiki_markup in ("*", "#", ":", ";"):
        return _LIST_ITEM if at_line_start else ": "
    if name in _DROPPED_TAGS:
        return ""
    if name in _FORMULA_TAGS:
        return _HOLE
    if name in ("br", "hr"):
        return " "
    text = _text(node.contents.nodes) if node.contents is not None else ""
    if name == "sup" and re.fullmatch(r"[-+−\d]+", text):
        return text.translate(_SUPERSCRIPTS)
    return f"\n\n{text}\n\n" if name in ("blockquote", "p", "div", "center", "li") else text


def _template(node: Any) -> str:
    """Return the words that a template stands for; most stand for none."""
    name = re.sub(r"[\s_]+", " ", str(node.name)).strip().lower()
    named = {str(p.name).strip(): _text(p.value.nodes).strip() for p in node.params}
    values = [value for key, value in named.items() if key.isdigit()]
    if name in _LITERAL:
        return _LITERAL[name]
    if name in _QUOTES:
        quoted = named.get("text") or named.get("quote") or "".join(values[:1])
        return f"\n\n{quoted}\n\n"
    if name in _FORMULAS or (name == "coord" and named.get("display") != "title"):
        return _HOLE
    write = _WRITTEN.get("lang-" if re.fullmatch(r"lang-[a-z-]+", name) else name)
    if write is None or not values:
        return ""
    if name == "as of" and "lc" in named:
        return "a" + _as_of(values)[1:]
    return write(values)


def _convert(values: list[str]) -> str:
    """`1300|mi|km` -> "1300 miles", `10|to|20|km` -> "10 to 20 kilometres"."""
    quantity = values[0]
    rest = values[1:]
    while len(rest) >= 3 and (between := _RANGE.get(rest[0].removesuffix("(-)"))):
        quantity += between + rest[1]
        rest = rest[2:]
    unit = rest[0] if rest else ""
    if rest[2:3] == ["in"]:  # 6 ft 4 in
        return f"{quantity} feet {rest[1]} inches"
    if million := re.fullmatch(r"e([369])(.+)", unit):
        quantity += {"3": " thousand", "6": " million", "9": " billion"}[million[1]]
        unit = million[2]
    return f"{quantity} {_UNITS.get(unit, unit)}".strip()


def _as_of(values: list[str]) -> str:
    months = "January February March April May June July August September October November December"
    month = values[1] if len(values) > 1 else ""
    if month.isdigit() and 1 <= int(month) <= 12:
        month = months.split()[int(month) - 1]
    return f"As of {month + ' ' if month else ''}{values[0]}"


def _fraction(values: list[str]) -> str:
    return f"{values[0]}/{values[1]}" if len(values) > 1 else f"1/{values[0]}"


_LITERAL = {
    **dict.fromkeys(["nbsp", "spaces", "thinsp"], " "),
    **dict.fromkeys(["snd", "snds", "spnd", "spaced ndash", "dash"], " – "),
    **dict.fromkeys(["ndash", "en dash"], "–"),
    **dict.fromkeys(["mdash", "mdashb", "em dash"], "—"),
    **{"'": "'", "' \"": "' \"", "\" '": "\" '", "'s": "'s", "!": "|", "eqm": '"'},
}
_QUOTES = frozenset(["quote", "quotation", "bquote", "cquote", "blockquote", "block quote"])
_FORMULAS = word_set(
    "math mvar val e nuclide nuclide2 su sqrt overline chem2 bra-ket railgauge age inflation "
    "currentyear formatnum us$"
) | {"pop density", "format price", "physics particle", "subatomic particle"}
_SHOWN = word_set(
    "lang- nihongo nowrap nobr small smaller big large larger sc smallcaps vanchor tooltip "
    "abbr flag flagu flagcountry vr angbr zh sub noitalic nobold linktext ipa music nq "
    "oldstyledate script/arabic"
) | {"visible anchor", "not a typo", "angle bracket"}
_SHOWN_LAST = word_set("lang transl script rtl-lang unicode polytonic resize ill")
_WRITTEN: dict[str, Callable[[list[str]], str]] = {
    **dict.fromkeys(_SHOWN, lambda values: values[0]),
    **dict.fromkeys(_SHOWN_LAST, lambda values: values[-1]),
    **dict.fromkeys(["circa", "c."], lambda values: f"c. {values[0]}"),
    **dict.fromkeys(["frac", "sfrac"], _fraction),
    "as of": _as_of,
    "chem": "".join,
    "convert": _convert,
    "hms": lambda values: f"HMS {values[0]}",
    "uss": lambda values: f"USS {values[0]}",
    "sup": lambda values: values[0].translate(_SUPERSCRIPTS),
}


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a section's text.

    A newline ends a paragraph only if a blank line or a list item follows, as in MediaWiki.
    """
    for block in re.split(r"\n\s*\n", text):
        lines: list[str] = []
        for line in block.split("\n"):
            if lines and line.strip() and not _BLOCK_START.match(lines[-1] + "\n" + line):
                lines[-1] += " " + line
            else:
                lines.append(line)
        yield from filter(None, map(_paragraph, lines))


def _paragraph(line: str) -> str:
    """Return a line as clean prose, or nothing if it is a table's, a list of names or a title."""
    text = _tidy(line.replace(_LIST_ITEM, ""))
    if text.startswith(("|", "!", "{", "}", "[[", "]]")):
        return ""
    if _REMAINS.search(text):
        edges = [0, *sentence_starts(text), len(text)]
        sentences = [text[a:b] for a, b in pairwise(edges)]
        text = _tidy("".join(s for s in sentences if not _REMAINS.search(s)))
    words = len(text.split())
    ended = text.rstrip("\"”’')").endswith((".", "!", "?", ":"))
    if line.startswith((_LIST_ITEM, " ")):
        return text if words >= 8 and ended and not _BIBLIOGRAPHIC.search(text) else ""
    # "Andorra has seven parishes:" says nothing once its list is gone
    return text if words >= 20 or (ended and words >= (8 if text[-1] == ":" else 4)) else ""


# A line that starts a list item or, with a space, preformatted text goes on with no other line.
_BLOCK_START = re.compile(rf"[{_LIST_ITEM} ].*|.*\n[{_LIST_ITEM} ]", re.S)
_REMAINS = re.compile(rf"[|{_HOLE}]|\[\[|\]\]|\{{\{{|\}}\}}|<ref")
_BIBLIOGRAPHIC = re.compile(
    r"ISBN|ISSN|OCLC|\bdoi\b|\bPress\b|\bpp?\. ?\d|\beds?\.|\(\d{4}\)\. |, \d{4}\.$"
    r"|: [A-Z][\w. &]+, \d{4}"
)

_TIDY = [
    # what the parser could not make sense of
    (re.compile(r"<ref[^<>]*>.*?</ref>|</?[a-z]+[^<>]*>", re.S), ""),
    (re.compile(r"__[A-Z]+__|'{2,}|\[\d*\]"), ""),
    (re.compile(r"[\u200b\ufeff\u200e\u200f\xad]"), ""),
    (re.compile(r"\s+"), " "),
    # what references and templates leave behind inside parentheses, and empty ones
    (re.compile(r"([(\[]) *(?:[,;:/–—] *|(?:or|and|also|in|from)(?= *[,;)\]]))+"), r"\1"),
    (re.compile(r"(?: *[,;:/])+ *([)\]])"), r"\1"),
    (re.compile(r"\( *"), "("),
    (re.compile(r" *\)"), ")"),
    (re.compile(r" *(\(\)|\[\]|“”)"), ""),
    (re.compile(r" +([,;:.!?](?=\s|$))"), r"\1"),
    (re.compile(r",(?: *,)+"), ","),
    (re.compile(r"([.;:]) *,|,(?=\.)|(?<=[A-Za-z]\.)\.(?!\.)"), r"\1"),
    (re.compile(r"(?<=[a-z]{3}[.?!])(?=[A-Z][a-z]+ )"), " "),
]


def _tidy(text: str) -> str:
    """Return the text without stray markup and what dropped templates leave behind."""
    text = unescape(text)
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    return text.strip()
