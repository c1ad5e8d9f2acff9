"""The model that all sessions share: what it remembers, whoever asks at the same time."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tfactors.app.parts.live_model import LiveModel


@dataclass(frozen=True)
class Question:
    """Something that a reader asks."""

    number: int


@pytest.fixture
def _hurried_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_hurried_threads")
def test_readers_who_are_answered_at_once_are_remembered_and_only_the_last_of_them() -> None:
    live = LiveModel()

    def ask(reader: int) -> None:
        for number in range(300):
            live.remember(Question(1000 * reader + number), "answer", 12)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    assert len(live.answers) == 12


def test_answers_of_a_size_are_forgotten_by_what_they_take_and_the_last_is_kept() -> None:
    live = LiveModel()
    for number in range(100):
        live.remember(Question(number), "a sentence", 1000, 25)
    assert [question.number for question in live.answers] == list(range(60, 100))
    live.remember(Question(100), "a long text", 1000, 990)
    assert [question.number for question in live.answers] == [100]
    live.remember(Question(101), "a longer one", 1000, 2000)
    live.remember(Question(101), "the same again", 1000, 2000)
    assert live.answers == {Question(101): "the same again"}
    live.remember(Question(102), "a sentence", 1000, 25)
    assert list(live.answers) == [Question(102)]
