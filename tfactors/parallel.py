"""Work side by side on all cores, and the same result whatever their number.

Two ways are enough. `in_parallel` shares the blocks of one array out among threads. `ahead` runs
whole batches, each on one thread, and hands the results over in order while the next ones are
under way: a batch of a model's forward pass and of sparse coding on one thread each is faster than
both on all cores in turn, and no sum depends on how many cores there are.

NumPy and PyTorch have threads of their own, which would fight over the cores: both are held to one
meanwhile.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Return the cores that this process may use, at most OMP_NUM_THREADS where that is set."""
    affinity = getattr(os, "sched_getaffinity", None)
    free = len(affinity(0)) if affinity else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(free, int(asked)) if asked.isdigit() and int(asked) else free


def core_seconds() -> float:
    """Return the processor time of this process over the cores it may use, in seconds.

    Between two calls that is what the clock says of work that keeps all cores busy and has them to
    itself; methods that get the same of it had the same means, whatever else the machine did.
    """
    return time.process_time() / cores()


def in_parallel(parts: Sequence[int], work: Callable[[Iterator[int]], None], threads: int) -> None:
    """Run work on so many threads; each takes part after part until none is left.

    Parameters
    ----------
    parts : sequence of int
        The parts of the work.
    work : callable
        Gets an iterator over parts, and does each.
    threads : int
        Threads at most.
    """
    queue: SimpleQueue[int] = SimpleQueue()
    for part in parts:
        queue.put(part)

    def taken() -> Iterator[int]:
        with suppress(Empty):
            while True:
                yield queue.get_nowait()

    threads = min(threads, len(parts))
    if threads <= 1:
        work(taken())
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, taken()) for _ in range(threads)]:
            done.result()


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Generator[tuple[Item, Result], None, None]:
    """Yield (item, work(item)) in the order of the items, with the next ones under way.

    At most two items a thread are held at a time. The items are drawn by the caller's thread. What
    `work` raises is raised here. Leaving the loop early, by an error or Ctrl-C, waits only for the
    items that are being worked on.

    Parameters
    ----------
    work : callable
        Turns an item into its result.
    items : iterable
        What is worked on.
    threads : int, optional
        All cores by default.
    """
    threads = threads or cores()
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(threads, initializer=_one_torch_thread)
    with one_blas_thread(), _torch_threads_restored():
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) == 2 * threads:
                    first, result = waiting.popleft()
                    yield first, result.result()
            while waiting:
                first, result = waiting.popleft()
                yield first, result.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_torch_thread() -> None:
    """Keep PyTorch's operations on the calling thread; it counts threads for each one apart."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@contextmanager
def _torch_threads_restored() -> Iterator[None]:
    """Undo what `_one_torch_thread` leaves behind: the number that new threads start with."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(threads)


_blas_lock = threading.Lock()
_blas_users: list[Any] = []  # the limit in force, one entry a call that needs it


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread a product while blocks run side by side, also when several callers overlap."""
    with _blas_lock:
        limit = _blas_users[0] if _blas_users else _blas().limit(limits=1)
        _blas_users.append(limit)
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users.pop()
            if not _blas_users:
                limit.restore_original_limits()
