"""Wikitext becomes the prose a reader sees, without a trace of markup."""

import pytest

from tfactors.text.wikitext import prose

LONG = "This is a sentence that stays in the text."


def test_links_bold_and_comments_leave_their_words():
    assert (
        prose(
            "'''Ada''' ''lived'' in [[London|the city]] near [[Oxford]]<!-- hidden -->, as "
            "[http://x.org people] say. See http://y.org for [[Mercury (planet)|]] there."
        )
        == "Ada lived in the city near Oxford, as people say. See for Mercury there."
    )


def test_references_images_with_captions_and_categories_go():
    assert (
        prose(
            "[[File:Cat.jpg|thumb|180px|A [[cat]] on a <b>mat</b><ref>Smith</ref>]]\n"
            f"{LONG}<ref name=a>{{{{cite book|title=X}}}}</ref><ref name=a />\n"
            "[[Category:Cats]]\n[[de:Katze]]\n[[Image:Dog.png|left|A dog that barks at the moon.]]"
        )
        == LONG
    )


def test_tables_infoboxes_galleries_and_navigation_go():
    assert (
        prose(
            "{{Infobox person\n| name = Ada\n| born = [[London]]\n}}\n{{Main|Life of Ada}}\n"
            '{| class="wikitable" style="width:90%"\n|-\n! Year !! Work\n|-\n| 1843 || Notes\n|}\n'
            "<gallery>\nA.jpg|A caption that is a sentence.\n</gallery>\n"
            f"{LONG}\n{{{{Authority control}}}}"
        )
        == LONG
    )


def test_sections_without_prose_go_with_their_headings():
    assert prose(
        f"{LONG}\n== Life ==\n=== Youth ===\n{LONG}\n=== Works ===\n* ''One''\n* Two\n"
        f"== See also ==\n{LONG}\n=== More ===\n{LONG}\n== Death ==\n{LONG}\n"
        f"== Notes and references ==\n{LONG}\n==External links==\n* [http://x.org A link.]"
    ).split("\n") == [LONG, "Life", "Youth", LONG, "Death", LONG]


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("{{convert|1300|mi|km}}", "1300 miles"),
        ("{{convert|10|to|20|km2|sqmi|abbr=on}}", "10 to 20 square kilometres"),
        ("{{convert|60|and(-)|80|kg}}", "60 and 80 kilograms"),
        ("{{convert|6|ft|4|in|cm|0}}", "6 feet 4 inches"),
        ("{{convert|87|e6acre|e6ha}}", "87 million acres"),
        ("{{lang|grc|ἀναρχία}}", "ἀναρχία"),
        ("{{lang-ar|{{large|الجزائر}}}}", "الجزائر"),
        ("{{nowrap|1=E = mc<sup>2</sup>}}", "E = mc²"),
        ("{{chem|H|2|O}}", "H2O"),
        ("{{as of|2014|6|lc=y}}", "as of June 2014"),
        ("{{As of|2014}}", "As of 2014"),
        ("{{frac|3|2}}", "3/2"),
        ("{{HMS|Ajax|22}}", "HMS Ajax"),
        ("a{{ndash}}b{{nbsp}}c&nbsp;d", "a–b c d"),
        ("10<sup>-3</sup> and 19<sup>th</sup> and H<sub>2</sub>O", "10⁻³ and 19th and H2O"),
    ],
)
def test_a_template_that_stands_for_words_is_written_out(wikitext, expected):
    assert prose(f"We read that {wikitext} is right.") == f"We read that {expected} is right."


def test_what_dropped_templates_leave_in_parentheses_goes():
    assert (
        prose(
            "'''Albedo''' ({{IPAc-en|æ|l}}), or ''Alb'' ({{respell|AL|b}}; {{lang|la|albus}}, ) is "
            "bright ( {{flagicon|UK}} ) , they say{{citation needed|date=May 2015}} ."
        )
        == "Albedo, or Alb (albus) is bright, they say."
    )


def test_a_sentence_with_a_hole_where_a_formula_was_goes():
    assert (
        prose("The mean is known. It is <math>\\frac{1}{n}</math> for all. It was used early.")
        == "The mean is known. It was used early."
    )


def test_list_items_stay_only_if_they_are_prose():
    assert prose(
        "* The first law says that a body stays at rest.\n* Newton\n"
        "* Smith, J. (1990). ''The Book of Laws.'' Oxford University Press. ISBN 0-14-022697-4.\n"
        ": An indented quotation that has more than eight words in it.\n# ''Titles'' (1999)"
    ).split("\n") == [
        "The first law says that a body stays at rest.",
        "An indented quotation that has more than eight words in it.",
    ]


def test_lines_of_one_paragraph_are_joined_and_quotations_stand_alone():
    assert prose(
        "The first line goes\non in the second.\n\nThe next paragraph begins."
        "{{quote|text=A word of the poet.|author=A. Poet}}It ends after the quotation."
    ).split("\n") == [
        "The first line goes on in the second.",
        "The next paragraph begins.",
        "A word of the poet.",
        "It ends after the quotation.",
    ]


def test_broken_markup_spoils_no_more_than_its_sentence_or_section():
    text = prose(
        f"{LONG} He has shares.<ref>{{{{cite web|url=|title=Shares [ in }}}}</ref> He sold.\n"
        f"== Next ==\n{LONG} An {{{{unclosed|template is here. {LONG}\n== Last ==\n{LONG}"
    )
    assert not set("{}|<>[]") & set(text)
    assert text.startswith(LONG)
    assert text.endswith(f"Last\n{LONG}")


def test_nothing_becomes_nothing():
    assert prose("") == ""
    assert prose("{{Infobox}}\n== Heading ==\n* a\n* b") == ""
