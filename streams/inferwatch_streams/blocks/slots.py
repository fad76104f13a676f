"""Numbering rows: the same group and window get the same slot, slots in order of appearance.

Groups are few and their texts stay in the cache; rows are many, and a pair of numbers each.
"""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled
from inferwatch_streams.blocks.grouping import EMPTY, mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_SLOTS: Final = 64
GROUP, WINDOW = 0, 1
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_OTHER: Final = np.uint64(0xC2B2AE3D27D4EB4F)


@compiled
def assign_pairs(
    groups: NDArray[np.int64],
    windows: NDArray[np.int64],
    table: NDArray[np.int32],
    pairs: NDArray[np.int64],
    used: int,
    slots: NDArray[np.int32],
    first: int,
) -> tuple[int, int]:
    """Slots of rows first and following; stops early where the table is half full.

    Args:
        groups: Group of each row.
        windows: Window of each row.
        table: Slot at each place, or EMPTY; its length is a power of two.
        pairs: Group and window of each slot.
        used: Number of slots in use.
        slots: Filled with the slot of each row.
        first: Row to begin with.

    Returns:
        The row after the last one done, and the number of slots in use then.
    """
    mask = np.uint64(len(table) - 1)
    for row in range(first, len(groups)):
        group, window = groups[row], windows[row]
        code = np.uint64(group) * _GOLDEN ^ np.uint64(window) * _OTHER
        place = mixed(code) & mask
        while True:
            slot = table[np.int64(place)]
            if slot == EMPTY:
                if 2 * (used + 1) > len(table):
                    return row, used
                slot = np.int32(used)
                table[np.int64(place)] = slot
                pairs[slot, GROUP] = group
                pairs[slot, WINDOW] = window
                used += 1
                break
            if pairs[slot, GROUP] == group and pairs[slot, WINDOW] == window:
                break
            place = (place + np.uint64(1)) & mask
        slots[row] = slot
    return len(groups), used


class Slots:
    """Slots of one set of rows, growing as needed."""

    def __init__(self) -> None:
        self._table = np.full(2 * FIRST_SLOTS, EMPTY, np.int32)
        self._pairs = np.empty((FIRST_SLOTS, 2), np.int64)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def assign(self, groups: NDArray[np.int64], windows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Slot of each row, new ones numbered on."""
        slots = np.empty(len(groups), np.int32)
        done = 0
        while True:
            done, self._used = assign_pairs(
                groups, windows, self._table, self._pairs, self._used, slots, done
            )
            if done == len(groups):
                return slots
            self._grow()

    def _grow(self) -> None:
        known = self._pairs[: self._used]
        self._table = np.full(2 * len(self._table), EMPTY, np.int32)
        self._pairs = np.empty((len(self._table) // 2, 2), np.int64)
        again = np.empty(len(known), np.int32)
        # In their order, so that each gets the slot it had.
        assign_pairs(
            known[:, GROUP].copy(), known[:, WINDOW].copy(), self._table, self._pairs, 0, again, 0
        )

    def groups(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Group of each of the slots."""
        found: NDArray[np.int64] = self._pairs[slots, GROUP]
        return found

    def windows(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Window of each of the slots."""
        found: NDArray[np.int64] = self._pairs[slots, WINDOW]
        return found
