"""Pages are made in turns, a few at a time, so that a crowd does not make everybody wait for all.

Python runs one thread at a time. Where 20 readers click at once and 20 threads share it, all of
their pages are ready at the end; made one after the other the first is ready at once, and the one
in the middle after half of the time. A turn is given back before the model is asked, which takes
longer, and nobody waits for one longer than four seconds: a page that hangs holds up nobody.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_AT_ONCE = 2  # while one reads a file another computes
_PATIENCE = 4.0  # seconds

_TURNS = threading.BoundedSemaphore(_AT_ONCE)
_HELD: ContextVar[bool] = ContextVar("turn_held", default=False)


@contextmanager
def turn() -> Iterator[None]:
    """Make a page in turn with those of other readers."""
    _HELD.set(_TURNS.acquire(timeout=_PATIENCE))
    try:
        yield
    finally:
        give_back()


def give_back() -> None:
    """Let others go on; for what takes long."""
    if _HELD.get():
        _HELD.set(False)
        _TURNS.release()
