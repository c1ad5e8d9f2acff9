"""The line for the model: in the order in which readers came, bounded, and told."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tfactors.app.frame import waiting_line
from tfactors.app.frame.waiting_line import BusyError, WaitingLine


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_line, "_LOOK", 0.01)


class Readers:
    """Readers in threads of their own, who ask one line and note who was answered, and how."""

    def __init__(self) -> None:
        self.line = WaitingLine()
        self.answered: list[str] = []
        self.said: dict[str, list[str]] = {}
        self.threads = ThreadPoolExecutor(8)

    def ask(self, name: str) -> "Future[None]":
        """Let a reader come and wait until the line has told them so."""
        waits = threading.Event()
        said = self.said.setdefault(name, [])

        def say(words: str) -> None:
            said.append(words)
            waits.set()

        def question() -> None:
            with self.line.turn(say):
                self.answered.append(name)

        future = self.threads.submit(question)
        assert waits.wait(60)
        return future


@contextmanager
def held(line: WaitingLine) -> Iterator[Callable[[], None]]:
    """The turn, held by a long question; yields what lets others go first."""
    with line.turn(lambda words: None):
        yield lambda: line.step_aside(lambda words: None)


def test_who_comes_first_is_answered_first_and_is_told_how_many_come_before() -> None:
    readers = Readers()
    with held(readers.line):
        futures = [readers.ask(name) for name in "abc"]
        assert readers.answered == []
    [future.result(60) for future in futures]
    assert readers.answered == ["a", "b", "c"]
    assert readers.said["a"][0].startswith("The model is busy with another reader's question")
    assert readers.said["c"][0].startswith("The model is busy, and 3 questions come before yours")


def test_a_long_question_lets_those_who_wait_go_first() -> None:
    readers = Readers()
    with held(readers.line) as step_aside:
        step_aside()  # nobody waits: nothing happens
        futures = [readers.ask(name) for name in "ab"]
        step_aside()
        assert readers.answered == ["a", "b"]
    [future.result(60) for future in futures]


def test_a_full_line_refuses_the_next_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_line, "MOST_WAITING", 2)
    readers = Readers()
    with held(readers.line):
        futures = [readers.ask(name) for name in "ab"]
        with (
            pytest.raises(BusyError, match="2 other readers wait for it, which is the most"),
            held(readers.line),
        ):
            pass
    [future.result(60) for future in futures]
    with held(readers.line):
        assert readers.answered == ["a", "b"]


def test_who_waits_in_vain_or_leaves_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = Readers()

    def leave(words: str) -> None:
        raise ZeroDivisionError

    with held(readers.line):
        with pytest.raises(ZeroDivisionError), readers.line.turn(leave):
            pass
        future = readers.ask("a")
        monkeypatch.setattr(waiting_line, "PATIENCE", 0.02)
        with pytest.raises(BusyError, match="try again in a minute"), held(readers.line):
            pass
    future.result(60)
    assert readers.answered == ["a"]
