"""Turns: a crowd's pages are made a few at a time, and nobody is held up by a page that hangs."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfactors.app.frame import server


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 0.05)


def most_at_once(pages: int, threads: int, seconds: float) -> int:
    """How many pages were made at once, of so many that each take so long."""
    running, most, lock = 0, 0, threading.Lock()

    def page(_: int) -> None:
        nonlocal running, most
        with server.page_turn():
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(seconds)
            with lock:
                running -= 1

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(page, range(pages)))
    return most


def test_no_more_pages_are_made_at_once_than_there_are_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 60)
    assert most_at_once(pages=30, threads=10, seconds=0.005) == server._AT_ONCE


def test_a_crowd_that_waits_longer_than_one_page_may_take_is_still_let_in_by_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 1.0)
    assert most_at_once(pages=60, threads=60, seconds=0.05) == server._AT_ONCE


def test_a_page_that_hangs_or_asks_the_model_holds_up_nobody() -> None:
    with ThreadPoolExecutor(4) as threads:
        done = threading.Event()

        def hangs() -> None:
            with server.page_turn():
                done.wait(60)

        hanging = [threads.submit(hangs) for _ in range(server._AT_ONCE)]

        def page() -> str:
            with server.page_turn():
                return "made"

        assert threads.submit(page).result(60) == "made"
        done.set()
        [one.result(60) for one in hanging]


def test_a_turn_is_given_back_once_even_when_the_page_fails() -> None:
    def page() -> None:
        with server.page_turn():
            server.give_turn_back()
            server.give_turn_back()
            raise ZeroDivisionError

    with ThreadPoolExecutor(1) as threads:
        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                threads.submit(page).result(60)
    assert not server._TURNS._held
