"""Text that a page will show, read while the page above it is made.

In go a bundle and windows of its text; they are read in a thread of its own, for most of which
Python is free, into the memory where ``Bundle.windows`` finds them. One thread serves all readers:
who cannot wait for it reads for himself.
"""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from tfactors.bundle import Bundle

_READER = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")


def begin_reading(bundle: Bundle, windows: Iterable[int]) -> "Future[None]":
    """Begin to read these windows."""
    return _READER.submit(bundle.warm_windows, list(windows))


def finish_reading(begun: "Future[None]") -> None:
    """Wait for what has begun; what has not is not read any more, so that nothing is read twice.

    What went wrong is not told here: who asks for the windows meets it again.
    """
    if not begun.cancel():
        begun.exception()
