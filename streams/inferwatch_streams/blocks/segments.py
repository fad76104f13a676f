"""Entries that belong to slots, brought into the order of the rows that show them."""

# Compiled code takes its arrays one by one: numba gives nothing better.

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOT_SHOWN: Final = -1


def segments(
    owners: NDArray[np.int32] | NDArray[np.int64], slots: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort entries by the row that shows them.

    Args:
        owners: Slot of each entry.
        slots: Slots that are shown, ascending: one row each.

    Returns:
        Bounds, so that row k's entries lie from bounds[k] to bounds[k + 1], and which entries
        these are, those of one row in their order of appearance.
    """
    rows = np.full(max(int(slots[-1]), int(owners.max(initial=0))) + 1, NOT_SHOWN, np.int64)
    rows[slots] = np.arange(len(slots))
    places = rows[owners]
    bounds = np.zeros(len(slots) + 1, np.int64)
    count_places(places, bounds)
    np.cumsum(bounds, out=bounds)
    entries = np.empty(int(bounds[-1]), np.int64)
    place_entries(places, bounds[:-1].copy(), entries)
    return bounds, entries


def distinct(numbers: NDArray[np.int64], limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers, each once and ascending, and the place of each of the given ones among them.

    Args:
        numbers: Not negative, and below limit.
        limit: Decides what this costs: it is meant for numbers that fill their range.
    """
    there = np.zeros(limit, np.bool_)
    there[numbers] = True
    found = np.flatnonzero(there)
    places = np.empty(limit, np.int64)
    places[found] = np.arange(len(found))
    return found, places[numbers]


@compiled
def count_places(places: NDArray[np.int64], bounds: NDArray[np.int64]) -> None:
    """Count the entries of each row, at the place after the row's own."""
    for place in places:
        if place != NOT_SHOWN:
            bounds[place + 1] += 1


@compiled
def place_entries(
    places: NDArray[np.int64], free: NDArray[np.int64], entries: NDArray[np.int64]
) -> None:
    """Write the number of each entry to its row's next free place."""
    for entry in range(len(places)):
        place = places[entry]
        if place != NOT_SHOWN:
            entries[free[place]] = entry
            free[place] += 1


@compiled
def sort_texts(
    bounds: NDArray[np.int64],
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    entries: NDArray[np.int64],
) -> None:
    """Sort entries by their texts' bytes, which for UTF-8 is by code points, in each segment.

    Shell 1959, with Ciura's gaps (2001).
    """
    for row in range(len(bounds) - 1):
        first = bounds[row]
        for gap in (701, 301, 132, 57, 23, 10, 4, 1):
            for at in range(first + gap, bounds[row + 1]):
                entry = entries[at]
                k = at
                while k >= first + gap:
                    other = entries[k - gap]
                    shared = min(lengths[entry], lengths[other])
                    same = 0
                    while (
                        same < shared and data[starts[entry] + same] == data[starts[other] + same]
                    ):
                        same += 1
                    if same < shared:
                        less = data[starts[entry] + same] < data[starts[other] + same]
                    else:
                        less = lengths[entry] < lengths[other]
                    if not less:
                        break
                    entries[k] = other
                    k -= gap
                entries[k] = entry
