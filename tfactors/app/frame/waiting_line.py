"""The line in which readers wait for the model, which answers one of them at a time.

Whoever comes first is asked first. A question that takes long steps aside after each part of its
work, so that the short ones behind it do not wait for its end. The line is bounded, and so is the
time in it: who comes when it is full, or waits in vain, is told so.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tfactors.errors import InputError

MOST_WAITING = 20
PATIENCE = 90  # seconds that a reader waits for the others
_LOOK = 1.0  # seconds after which a reader who waits is told how it stands

Say = Callable[[str], object]


class BusyError(InputError):
    """Too many other readers ask, or one of them for too long."""


class WaitingLine:
    """Readers in the order in which they came; the first of them has the turn."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: deque[object] = deque()

    @contextmanager
    def turn(self, say: Say) -> Iterator[None]:
        """Wait for a turn and hold it; ``say`` tells the reader who comes before.

        Raises
        ------
        BusyError
            The line is full, or did not move on for a minute and a half.
        """
        place = object()
        with self._changed:
            if len(self._line) > MOST_WAITING:
                raise BusyError(
                    f"The model is busy: {MOST_WAITING} other readers wait for it, which is the "
                    "most; try again in a minute."
                )
            self._line.append(place)
        try:
            self._wait(place, say)
            yield
        finally:
            with self._changed:
                self._line.remove(place)
                self._changed.notify_all()

    def step_aside(self, say: Say) -> None:
        """Let those who wait go first, and wait for the next turn; for who has the turn now."""
        with self._changed:
            if len(self._line) == 1:
                return
            self._line.rotate(-1)
            place = self._line[-1]
            self._changed.notify_all()
        self._wait(place, say)

    def _wait(self, place: object, say: Say) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with self._changed:
                if self._changed.wait_for(lambda: self._line[0] is place, timeout=_LOOK):
                    return
                before = self._line.index(place)
            others = (
                " with another reader's question; yours is next."
                if before == 1
                else f", and {before} questions come before yours."
            )
            say(f"The model is busy{others}")
        raise BusyError("The model is busy with other readers' questions; try again in a minute.")
