"""The index arithmetic of lists laid end to end, against lists in Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfactors import ragged

LISTS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 5)), max_size=8)


@given(LISTS)
def test_spans_are_the_ranges_one_after_another(lists):
    starts, sizes = np.array(lists, np.int64).reshape(-1, 2).T
    expected = [i for start, size in lists for i in range(start, start + size)]
    assert ragged.spans(starts, sizes).tolist() == expected


@given(LISTS)
def test_offsets_and_owners_find_the_entries_of_a_list_again(lists):
    sizes = [size for _, size in lists]
    edges, owners = ragged.offsets(sizes), ragged.owners(sizes)
    assert edges[-1] == len(owners) == sum(sizes)
    for number, size in enumerate(sizes):
        assert (owners[edges[number] : edges[number + 1]] == number).all()
        assert edges[number + 1] - edges[number] == size


def test_no_lists_have_no_entries():
    assert ragged.offsets([]).tolist() == [0]
    assert ragged.owners([]).tolist() == ragged.spans(0, []).tolist() == []
