"""The documents keep their own rules: short decisions, and an architecture that is the tree's."""

import re
from pathlib import Path

import pytest
from test_layers import CORE, MAY_IMPORT

DOCS = Path(__file__).parents[2] / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("2*.md"))
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
FRAME = MAY_IMPORT["app/frame"]


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_dated_short_and_says_question_and_choice(path):
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}-[a-z0-9-]+", path.stem)
    assert text.startswith("# ")
    assert len(text.splitlines()) <= 20
    assert "**Question.**" in text
    assert "**Choice.**" in text


def test_the_table_of_the_architecture_is_the_one_that_is_checked():
    rows = re.findall(r"^\| `([\w/]+)` \| [^|]+ \| ([^|]*)\|$", ARCHITECTURE, re.MULTILINE)
    words = {
        "the core": CORE,
        "what frame may": FRAME,
        "what parts may": MAY_IMPORT["app/parts"],
    }
    said = {}
    for package, cell in rows:
        said[package] = set(re.findall(r"`([\w/]+)`", cell))
        for name, packages in words.items():
            said[package] |= packages if name in cell else set()
    assert said == {package: set(may) for package, may in MAY_IMPORT.items()}


def test_the_picture_of_the_architecture_shows_every_package():
    picture = (DOCS / "pictures/architecture.svg").read_text(encoding="utf-8")
    for package in MAY_IMPORT:
        assert package.split("/")[-1] in picture, package


def test_every_file_that_the_five_questions_name_is_there():
    section = ARCHITECTURE.partition("## Five questions")[2].partition("\n## ")[0]
    for path in re.findall(r"`(\w+/[\w/]+\.py)`", section):
        assert (DOCS.parent / "tfactors" / path).is_file(), path


def test_every_kind_of_what_people_bring_is_held_by_a_test_that_there_is():
    page = (DOCS / "why/what_people_bring.md").read_text("utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page)
    assert len(named) > 40
    for file, test in named:
        code = (DOCS.parent / "tests" / file).read_text("utf-8")
        assert f"def {test}(" in code, f"{file}::{test}"
    rows = [row for row in page.splitlines() if row.startswith("| ") and "---" not in row]
    unheld = [row for row in rows if "::" not in row and "held by" not in row]
    assert not unheld
