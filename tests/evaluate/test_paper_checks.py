"""The paper's checks find factors by themselves, and judge them on what did not choose them."""

import re

import pytest
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle
from tfactors.evaluate import paper_checks
from tfactors.evaluate.paper_checks import PATTERNS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return Bundle.open(write_synthetic_bundle(tmp_path_factory.mktemp("bundle")))


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("unit in parentheses", "a niche 4 m (13 ft) wide", "(13 ft)"),
        ("unit in parentheses", "a law (13 years old)", None),
        ("span of years", "from 1914–18 and in 1920", "1914–18"),
        ("span of years", "12-18 of them", None),
        ("possessive 's", "the king’s horse", "king’s"),
        ("city, state", "born in St. Paul, Minnesota, and", "St. Paul, Minnesota"),
        ("city, state", "in Paris, France", None),
    ],
)
def test_a_pattern_matches_what_it_is_named_for(pattern, text, found):
    match = re.search(PATTERNS[pattern], text)
    assert (match.group() if match else None) == found


def test_every_token_that_a_match_touches_is_marked_and_no_other():
    tokens = ["The", " king", "’", "s", " horse"]
    marked = paper_checks.tokens_of(PATTERNS["possessive 's"], tokens)
    assert marked.tolist() == [False, True, True, True, False]


def test_distinct_words_are_counted_upper_and_lower_case_together(bundle):
    examples = paper_checks._examples(bundle)
    table, _ = paper_checks._distinct_words(bundle, examples)
    most = bundle.manifest["importance"]["examples"]
    lists = [bundle.examples(f, 0)["word"].str.casefold() for f in range(bundle.n_factors)]
    whole = sorted(words.nunique() for words in lists if len(words) == most)
    rows = {row[0]: row for row in table.rows}
    if whole:
        assert rows[0][1] == len(whole)
        assert whole[0] <= rows[0][2] <= whole[-1]
    else:
        assert 0 not in rows


def test_a_pattern_that_no_factor_is_about_is_said_to_have_none(bundle, monkeypatch):
    monkeypatch.setattr(paper_checks, "PATTERNS", {"river": r"\briver\b", "none": r"zzzz"})
    table, findings = paper_checks._patterns(bundle, paper_checks._examples(bundle))
    best = {
        name: max(row[3] or 0 for row in table.rows if row[0] == name) for name in ("river", "none")
    }
    assert best["river"] > 0.5
    assert best["none"] == 0
    assert "no factor of this bundle" in findings[1]
    assert "no factor of this bundle" not in findings[0]


def test_every_number_of_the_section_has_its_definition(bundle):
    examples = paper_checks._examples(bundle)
    for table, _ in (
        paper_checks._distinct_words(bundle, examples),
        paper_checks._patterns(bundle, examples),
    ):
        assert table.sample
        assert all(column.meaning or column.form == "text" for column in table.columns)
