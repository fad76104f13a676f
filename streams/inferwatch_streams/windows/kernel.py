"""The compiled loops of the store: placing rows, and adding them up by group."""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled, inlined
from inferwatch_streams.windows.layout import Merge

if TYPE_CHECKING:
    from numpy.typing import NDArray

FREE: Final = -1
LOST: Final = -1
_LEAST: Final = int(Merge.LEAST)
_GREATEST: Final = int(Merge.GREATEST)
# Multipliers of Knuth's and of the golden ratio in 64 bits.
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_STEP: Final = np.uint64(0xD1342543DE82EF95)
_SHIFT: Final = np.uint64(29)


@inlined
def hash_of(keys: NDArray[np.int64], row: int) -> int:
    """A hash of a row's key, not negative."""
    state = np.uint64(0)
    for k in range(keys.shape[1]):
        state = (state ^ np.uint64(keys[row, k])) * _SPREAD
        state ^= state >> _SHIFT
        state *= _STEP
    return np.int64(state >> np.uint64(1))  # type: ignore[return-value]  # numba knows no other


@inlined
def find(
    index: NDArray[np.int32], held: NDArray[np.int64], keys: NDArray[np.int64], row: int
) -> int:
    """Where the index has the row's key, or where it is free for it."""
    mask = len(index) - 1
    at = hash_of(keys, row) & mask
    while index[at] != FREE:
        place = index[at]
        same = 0
        while same < keys.shape[1] and held[place, same] == keys[row, same]:
            same += 1
        if same == keys.shape[1]:
            break
        at = (at + 1) & mask
    return at


@compiled
def index_rows(index: NDArray[np.int32], held: NDArray[np.int64], count: int) -> None:
    """Fill an index that is all free with the first rows held; no two are of one key."""
    for row in range(count):
        index[find(index, held, held, row)] = row


@compiled
def place_rows(
    index: NDArray[np.int32],
    held: NDArray[np.int64],
    ranks: NDArray[np.int64],
    count: int,
    keys: NDArray[np.int64],
    new_ranks: NDArray[np.int64],
    places: NDArray[np.int64],
) -> int:
    """Give each new row its place among those held, unless a better one of its key has it.

    Args:
        index: Open addressing, less than full: the place of each key.
        held: Keys of the rows held, with room for the new ones.
        ranks: Version and first offset of each: the higher version wins, then the lower offset;
            rows of the same are the same, and the one held stays.
        count: How many rows are held.
        keys: Keys of the new rows.
        new_ranks: Their versions and first offsets.
        places: Filled with the place of each, or LOST.

    Returns:
        How many are held then.
    """
    for row in range(len(keys)):
        at = find(index, held, keys, row)
        place = index[at]
        if place == FREE:
            place = count
            count += 1
            index[at] = place
            for k in range(keys.shape[1]):
                held[place, k] = keys[row, k]
        elif new_ranks[row, 0] < ranks[place, 0] or (
            new_ranks[row, 0] == ranks[place, 0] and new_ranks[row, 1] >= ranks[place, 1]
        ):
            places[row] = LOST
            continue
        ranks[place, 0] = new_ranks[row, 0]
        ranks[place, 1] = new_ranks[row, 1]
        places[row] = place
    return count


@compiled
def add_values(
    groups: NDArray[np.int32],
    windows: NDArray[np.int64],
    first: int,
    end: int,
    values: NDArray[np.float64],
    merges: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Merge the values of each row whose window is from first up to end into its group's.

    NaN stands for none.
    """
    for row in range(len(groups)):
        if windows[row] < first or windows[row] >= end:
            continue
        group = groups[row]
        for k in range(values.shape[1]):
            value = values[row, k]
            if merges[k] == _LEAST:
                # Written so that NaN on either side gives way.
                if not sums[group, k] <= value and value == value:  # noqa: PLR0124  # not NaN
                    sums[group, k] = value
            elif merges[k] == _GREATEST:
                if not sums[group, k] >= value and value == value:  # noqa: PLR0124  # as above
                    sums[group, k] = value
            else:
                sums[group, k] += value


@compiled
def add_counts(
    groups: NDArray[np.int32],
    windows: NDArray[np.int64],
    first: int,
    end: int,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    labels: NDArray[np.uint16],
    counts: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> None:
    """As ``add_values``, of the counts by label: (groups, labels)."""
    for row in range(len(groups)):
        if windows[row] < first or windows[row] >= end:
            continue
        group = groups[row]
        for k in range(starts[row], ends[row]):
            sums[group, labels[k]] += np.int64(counts[k])


@compiled
def add_one_label(
    groups: NDArray[np.int32],
    windows: NDArray[np.int64],
    first: int,
    end: int,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    labels: NDArray[np.uint16],
    counts: NDArray[np.int64],
    label: int,
    sums: NDArray[np.float64],
) -> None:
    """As ``add_values``, of the count of one label."""
    for row in range(len(groups)):
        if windows[row] < first or windows[row] >= end:
            continue
        for k in range(starts[row], ends[row]):
            if labels[k] == label:
                sums[groups[row]] += np.int64(counts[k])


@compiled
def copy_spans(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    labels: NDArray[np.uint16],
    counts: NDArray[np.int64],
    taken_labels: NDArray[np.uint16],
    taken_counts: NDArray[np.int64],
) -> None:
    """Copy the items between each start and end, one after the other."""
    at = 0
    for row in range(len(starts)):
        for k in range(starts[row], ends[row]):
            taken_labels[at] = labels[k]
            taken_counts[at] = counts[k]
            at += 1


@compiled
def pick_lists(
    sizes: NDArray[np.int64],
    which: int,
    labels: NDArray[np.int64],
    counts: NDArray[np.int64],
    picked_labels: NDArray[np.int64],
    picked_counts: NDArray[np.int64],
) -> None:
    """Copy one of each row's lists, which lie one after the other, row by row.

    Args:
        sizes: Items of each list, (rows, lists).
        which: The list.
        labels: Items of all lists of all rows.
        counts: Likewise.
        picked_labels: Filled, as is the following.
        picked_counts: Likewise.
    """
    begin, at = 0, 0
    for row in range(sizes.shape[0]):
        for each in range(sizes.shape[1]):
            size = sizes[row, each]
            if each == which:
                for k in range(begin, begin + size):
                    picked_labels[at] = labels[k]
                    picked_counts[at] = counts[k]
                    at += 1
            begin += size


@compiled
def read_decimals(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    values: NDArray[np.float64],
) -> None:
    """Whole numbers in two's complement, the highest byte first (Avro 1.12, "Decimal")."""
    for row in range(len(starts)):
        value = 0.0
        for k in range(lengths[row]):
            byte = np.int64(data[starts[row] + k])
            if k == 0 and byte > 127:  # noqa: PLR2004  # the sign
                byte -= 256
            value = value * 256.0 + byte
        values[row] = value
