"""Compiled code around Avro bodies: Confluent's prefix in front, the record's origin behind."""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_schemas.columnar.compiling import compiled
from inferwatch_schemas.columnar.unaligned import copy_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What a value without a schema id is instead.
TOMBSTONE: Final = -1
EMPTY: Final = -2
SHORT: Final = -3
WRONG_MAGIC: Final = -4
OVERSIZED: Final = -5
CORRUPT: Final = -6

PREFIX_BYTES: Final = 5


@compiled
def schema_ids(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    max_bytes: int,
    ids: NDArray[np.int64],
) -> None:
    """Schema id of each value into ids, or a negative code for what is no Confluent value."""
    for i in range(len(starts)):
        start = starts[i]
        size = ends[i] - start
        if ends[i] < 0:
            ids[i] = TOMBSTONE
        elif size == 0:
            ids[i] = EMPTY
        elif size > max_bytes:
            ids[i] = OVERSIZED
        elif data[start] != 0:
            ids[i] = WRONG_MAGIC
        elif size < PREFIX_BYTES:
            ids[i] = SHORT
        else:
            ids[i] = (
                (np.int64(data[start + 1]) << 24)
                | (np.int64(data[start + 2]) << 16)
                | (np.int64(data[start + 3]) << 8)
                | np.int64(data[start + 4])
            )


@compiled
def write_varint(out: NDArray[np.uint8], pos: int, value: int) -> int:
    """Write a zig-zag varint; the position after it."""
    rest = (np.uint64(value) << np.uint64(1)) ^ np.uint64(value >> 63)
    while rest > np.uint64(0x7F):
        out[pos] = np.uint8((rest & np.uint64(0x7F)) | np.uint64(0x80))
        rest >>= np.uint64(7)
        pos += 1
    out[pos] = np.uint8(rest)
    return pos + 1


@compiled
def append_origin(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    offsets: NDArray[np.int64],
    partition: int,
    out: NDArray[np.uint8],
) -> int:
    """Copy Avro bodies to out, each followed by topic symbol 0, partition and offset.

    Returns how many bytes were written; out must have room for 21 bytes a record more than the
    bodies take.
    """
    pos = 0
    for row in range(len(begins)):
        size = ends[row] - begins[row]
        copy_bytes(out, pos, data, begins[row], size)
        pos += size
        out[pos] = 0
        pos = write_varint(out, pos + 1, partition)
        pos = write_varint(out, pos, offsets[row])
    return pos
