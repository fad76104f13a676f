"""Slots of rows: what a dictionary would give, over any number of chunks."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.blocks.segments import distinct
from inferwatch_streams.blocks.slots import Slots

PAIRS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 2**31, 2**40]),
        st.sampled_from([0, 1, -1, 175_000_000, 2**62, -(2**63)]),
    ),
    max_size=80,
)


def assign(slots: Slots, pairs: list[tuple[int, int]]) -> list[int]:
    """Slots of rows, given by group and window."""
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    return slots.assign(columns[:, 0].copy(), columns[:, 1].copy()).tolist()


@settings(max_examples=150, deadline=None)
@given(PAIRS, st.lists(st.integers(0, 80), max_size=4))
def test_slots_are_numbers_in_order_of_appearance(
    pairs: list[tuple[int, int]], cuts: list[int]
) -> None:
    """Cut into chunks or not, rows get the slots that a dictionary would give them."""
    slots, expected = Slots(), dict[tuple[int, int], int]()
    found: list[int] = []
    for begin, end in pairwise([0, *sorted(cuts), len(pairs)]):
        found += assign(slots, pairs[begin:end])
    assert found == [expected.setdefault(pair, len(expected)) for pair in pairs]
    assert len(slots) == len(expected)
    every = np.arange(len(slots))
    shown = zip(slots.groups(every).tolist(), slots.windows(every).tolist(), strict=True)
    assert list(shown) == list(expected)


@pytest.mark.parametrize("count", [63, 64, 65, 127, 128, 129, 40_000])
def test_the_table_grows_and_forgets_nothing(count: int) -> None:
    """One more row than the table takes makes room, and all are found again."""
    slots = Slots()
    pairs = [(number % 7, number) for number in range(count)]
    assert assign(slots, pairs) == list(range(count))
    assert assign(slots, pairs[::-1]) == list(range(count))[::-1]


@given(st.lists(st.integers(0, 49)))
def test_distinct_numbers_and_their_places(numbers: list[int]) -> None:
    """Each number once, ascending; the places lead back to the numbers given."""
    found, places = distinct(np.array(numbers, np.int64), 50)
    assert found.tolist() == sorted(set(numbers))
    assert found[places].tolist() == numbers
