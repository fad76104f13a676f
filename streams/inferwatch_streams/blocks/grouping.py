"""Numbering groups: equal dimensions and tag get the same slot, slots in order of appearance.

An open-addressing hash table with linear probing over plain arrays, so that compiled code can
walk a chunk in one go. Equality is decided on the bytes, never on the hash alone.
"""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917, PLR2004, C901, PLR0912

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled, inlined
from inferwatch_schemas.columnar.unaligned import load_u64

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMPTY: Final = -1
# Bytes of the length in front of each text of a key.
LENGTH_BYTES: Final = 4
# Columns of what is known of a slot; a fourth makes two of them a line of the cache.
HASH, TAG, KEY = 0, 1, 2
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)


@inlined
def mixed(value: np.uint64) -> np.uint64:
    """One round of splitmix64's finalizer (Steele, Lea, Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * _MIX
    return value ^ (value >> np.uint64(27))


@inlined
def _hash_text(data: NDArray[np.uint8], start: int, length: int, state: np.uint64) -> np.uint64:
    state = (state ^ np.uint64(length)) * _GOLDEN
    at = start
    stop = start + length
    while stop - at >= 8:
        state = mixed(state ^ load_u64(data, at))
        at += 8
    rest = np.uint64(0)
    while at < stop:
        rest = (rest << np.uint64(8)) | np.uint64(data[at])
        at += 1
    return mixed(state ^ rest)


@inlined
def _same_text(
    one: NDArray[np.uint8], at: int, other: NDArray[np.uint8], start: int, length: int
) -> bool:
    k = 0
    while k + 8 <= length:
        if load_u64(one, at + k) != load_u64(other, start + k):
            return False
        k += 8
    while k < length:
        if one[at + k] != other[start + k]:
            return False
        k += 1
    return True


@compiled
def assign_slots(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    tags: NDArray[np.int64],
    table: NDArray[np.int32],
    known: NDArray[np.int64],
    arena: NDArray[np.uint8],
    used: NDArray[np.int64],
    slots: NDArray[np.int32],
    first: int,
) -> int:
    """Slots of rows first and following; stops early where the table or the arena is full.

    Args:
        data: Bytes that starts and lengths point into.
        starts: Shape (dimensions, rows).
        lengths: As starts; a negative length is the empty text.
        tags: Whole number that tells rows of equal dimensions apart.
        table: Slot at each place, or EMPTY; its length is a power of two.
        known: Of each slot its hash, its tag and where its key begins in the arena: beside each
            other, because a slot that is looked at is seldom in the cache.
        arena: Keys: for each text its length in four bytes, then its bytes.
        used: Number of slots, and of arena bytes, in use; updated.
        slots: Filled with the slot of each row.
        first: Row to begin with.

    Returns:
        The row after the last one done.
    """
    dimensions, rows = len(starts), len(tags)
    mask = np.uint64(len(table) - 1)
    for row in range(first, rows):
        code = np.uint64(tags[row]) * _GOLDEN
        size = 0
        for d in range(dimensions):
            length = max(lengths[d, row], 0)
            size += length + LENGTH_BYTES
            code = _hash_text(data, starts[d, row], length, code)
        place = mixed(code) & mask
        slot = np.int64(EMPTY)
        while table[np.int64(place)] != EMPTY:
            candidate = np.int64(table[np.int64(place)])
            if known[candidate, HASH] == np.int64(code) and known[candidate, TAG] == tags[row]:
                at = known[candidate, KEY]
                same = True
                for d in range(dimensions):
                    length = max(lengths[d, row], 0)
                    stored = (
                        np.int64(arena[at])
                        | np.int64(arena[at + 1]) << 8
                        | np.int64(arena[at + 2]) << 16
                        | np.int64(arena[at + 3]) << 24
                    )
                    at += LENGTH_BYTES
                    if stored != length:
                        same = False
                        break
                    same = _same_text(arena, at, data, starts[d, row], length)
                    if not same:
                        break
                    at += length
                if same:
                    slot = candidate
                    break
            place = (place + np.uint64(1)) & mask
        if slot == EMPTY:
            slot = used[0]
            # Half full at most, or probing gets long.
            if 2 * (slot + 1) > len(table) or used[1] + size > len(arena):
                return row
            table[np.int64(place)] = slot
            known[slot, HASH] = np.int64(code)
            known[slot, TAG] = tags[row]
            known[slot, KEY] = used[1]
            at = used[1]
            for d in range(dimensions):
                length = max(lengths[d, row], 0)
                for k in range(LENGTH_BYTES):
                    arena[at + k] = np.uint8((length >> (8 * k)) & 0xFF)
                at += LENGTH_BYTES
                for k in range(length):
                    arena[at + k] = data[starts[d, row] + k]
                at += length
            used[0] = slot + 1
            used[1] = at
        slots[row] = slot
    return rows


@compiled
def place_again(table: NDArray[np.int32], known: NDArray[np.int64], slots: int) -> None:
    """Put slots into a larger, empty table."""
    mask = np.uint64(len(table) - 1)
    for slot in range(slots):
        place = mixed(np.uint64(known[slot, HASH])) & mask
        while table[np.int64(place)] != EMPTY:
            place = (place + np.uint64(1)) & mask
        table[np.int64(place)] = slot


class Groups:
    """Slots of one set of groups, growing as needed."""

    def __init__(self) -> None:
        self._table = np.full(128, EMPTY, np.int32)
        self._known = np.empty((64, 4), np.int64)
        self._arena = np.empty(4096, np.uint8)
        self._used = np.zeros(2, np.int64)

    def __len__(self) -> int:
        return int(self._used[0])

    def assign(
        self,
        data: NDArray[np.uint8],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        tags: NDArray[np.int64],
    ) -> NDArray[np.int32]:
        """Slot of each row, new ones numbered on; see ``assign_slots``."""
        slots = np.empty(len(tags), np.int32)
        done = 0
        while True:
            done = assign_slots(
                data, starts, lengths, tags, self._table, self._known, self._arena, self._used,
                slots, done,
            )  # fmt: skip
            if done == len(tags):
                return slots
            needed = int(np.maximum(lengths[:, done], 0).sum()) + LENGTH_BYTES * len(starts)
            self._grow(needed)

    def _grow(self, needed: int) -> None:
        """Make room for one more slot with a key of so many bytes, and for as much again."""
        slots = len(self)
        if 2 * (slots + 1) > len(self._table):
            self._table = np.full(2 * len(self._table), EMPTY, np.int32)
            known, self._known = self._known, np.empty((2 * len(self._known), 4), np.int64)
            self._known[:slots] = known[:slots]
            place_again(self._table, self._known, slots)
        if int(self._used[1]) + needed > len(self._arena):
            larger = np.empty(2 * (len(self._arena) + needed), np.uint8)
            larger[: len(self._arena)] = self._arena
            self._arena = larger

    @property
    def tags(self) -> NDArray[np.int64]:
        """Tag of every slot."""
        return self._known[: len(self), TAG]

    def texts(
        self, slots: NDArray[np.int64], dimensions: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Keys of slots: bytes, and where each text begins in them and how long it is.

        The two latter have the shape (dimensions, slots).
        """
        starts = np.empty((dimensions, len(slots)), np.int64)
        lengths = np.empty((dimensions, len(slots)), np.int64)
        find_texts(self._arena, self._known, slots, starts, lengths)
        return self._arena, starts, lengths


@compiled
def find_texts(
    arena: NDArray[np.uint8],
    known: NDArray[np.int64],
    slots: NDArray[np.int64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    """See ``Groups.texts``."""
    for row in range(len(slots)):
        at = known[slots[row], KEY]
        for d in range(len(starts)):
            length = (
                np.int64(arena[at])
                | np.int64(arena[at + 1]) << 8
                | np.int64(arena[at + 2]) << 16
                | np.int64(arena[at + 3]) << 24
            )
            at += LENGTH_BYTES
            starts[d, row] = at
            lengths[d, row] = length
            at += length
