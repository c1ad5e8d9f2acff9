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
