"""Pages, pictures and lists of the website of 2021: what they show, or one line."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from fuzzing import answer, bounded, fuzzed, mutated
from hypothesis import given
from hypothesis import strategies as some
from tiny_site import SENTENCES, WINDOW, draw_curve, write_coloured_page, write_plain_page

from tfactors.interchange.website_2021.curves import read_curve
from tfactors.interchange.website_2021.folder import FACTORS, read_levels
from tfactors.interchange.website_2021.pages import read_page


def _page(write, *given) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "page"), *given)
        return Path(folder, "page").read_bytes()


def _picture() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        draw_curve(Path(folder, "curve.png"), np.array([1.0, 2, 3, 6, 9, 4]))
        return Path(folder, "curve.png").read_bytes()


PLAIN = _page(write_plain_page, list(SENTENCES))
COLOURED = _page(write_coloured_page, [WINDOW, WINDOW])
LISTS = 'var low_level = [0, 7];\n// const high_level = [1]\nconst high_level = ["500", "528",]\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@fuzzed(3)
@given(mutated(PLAIN) | mutated(COLOURED))
def test_a_page_that_is_nearly_right(content: bytes) -> None:
    examples, problems = answer(read_page, content.decode("utf-8", "replace")) or ([], [])
    for example in examples:
        assert 0 <= example.position < len(example.tokens) == len(example.word_starts)
        assert example.weights is None or len(example.weights) == len(example.tokens)
        assert all(-1 <= weight <= 1 for weight in example.weights or ())
    assert all(len(problem.splitlines()) == 1 for problem in problems)


@fuzzed()
@given(mutated(_picture()))
def test_a_picture_that_is_nearly_right(folder: Path, content: bytes) -> None:
    (folder / "d_0.png").write_bytes(content)
    curve = answer(read_curve, folder / "d_0.png")
    if curve is not None:
        assert curve.shape == (6,)
        assert np.isfinite(curve).all()
        assert curve.min() >= 0
        assert curve.max() <= 1


@fuzzed()
@given(mutated(LISTS.encode()), some.sampled_from(("low", "high")))
def test_lists_that_are_nearly_right(folder: Path, content: bytes, level: str) -> None:
    (folder / f"{level}_level.js").write_bytes(content)
    with bounded():
        listed, problems = read_levels(folder)
    assert all(0 <= number < FACTORS for numbers in listed.values() for number in numbers)
    assert all(len(problem.splitlines()) == 1 for problem in problems)
