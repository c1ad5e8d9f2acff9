"""Batches side by side: in order, bounded, and leaving no trace in the process."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tfactors.parallel import ahead, in_parallel

pytestmark = pytest.mark.model


def test_results_come_in_the_order_of_the_items_whatever_finishes_first():
    gate = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert gate.wait(10)  # the second item opens it: both are under way
        else:
            gate.set()
        return item * item

    assert list(ahead(work, range(5), threads=2)) == [(i, i * i) for i in range(5)]


def test_items_are_drawn_as_they_are_needed_and_not_all_at_once():
    drawn = []

    def items():
        for item in range(100):
            drawn.append(item)
            yield item

    results = ahead(lambda item: item, items(), threads=2)
    for _ in range(10):
        next(results)
    assert len(drawn) <= 10 + 2 * 2
    results.close()


def test_an_error_in_a_batch_is_raised_where_its_result_was_due():
    def work(item: int) -> int:
        return 6 // (3 - item)

    results = ahead(work, range(5), threads=2)
    assert [next(results)[1] for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_loop_that_is_left_early_starts_nothing_more():
    started = []
    results = ahead(started.append, range(100), threads=1)
    next(results)
    results.close()
    number = len(started)
    assert number <= 2
    assert threading.active_count() < 50
    assert len(started) == number


@pytest.fixture
def three_threads() -> Iterator[None]:
    """PyTorch on three threads, where one would look like what `ahead` sets."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_torch_and_numpy_have_their_threads_back_afterwards():
    from threadpoolctl import threadpool_info

    def blas() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = torch.get_num_threads(), blas()
    assert before[0] == 3
    inside = [threads for _, threads in ahead(lambda _: torch.get_num_threads(), range(3))]
    assert inside == [1, 1, 1]
    assert (torch.get_num_threads(), blas()) == before
    fresh = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [before[0]]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_part_is_worked_on_once(threads):
    count = np.zeros(17, int)

    def work(parts):
        for part in parts:
            count[part] += 1

    in_parallel(range(17), work, threads)
    assert (count == 1).all()
