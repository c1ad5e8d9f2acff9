"""A passage is cut out of its window at whole words."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from tfactors.bundle.passages import cut


@given(
    some.lists(some.booleans(), min_size=1, max_size=40),
    some.integers(0, 39),
    some.one_of(some.none(), some.integers(0, 50)),
)
def test_a_cut_keeps_whole_words_around_the_position(
    starts: list[bool], position: int, count: int | None
) -> None:
    position %= len(starts)
    first, start, stop, last = cut(np.array(starts), position, count)
    assert 0 <= first <= start <= position < stop <= last <= len(starts)
    whole = [True, *starts[1:], True]
    assert all(whole[i] for i in (first, start, stop, last))
    assert not any(whole[start + 1 : stop])
    words_before = sum(whole[first:start])
    assert words_before == (sum(whole[:start]) if count is None else min(count, sum(whole[:start])))
