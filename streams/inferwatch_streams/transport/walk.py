"""Compiled walk over the records of decompressed record batches.

Kafka protocol guide, "Record": length, attributes, timestamp delta, offset delta, key, value,
headers; all numbers are zig-zag varints. Only keys are stepped over; headers are left unread.
"""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917, PLR0911, C901

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_schemas.columnar.compiling import compiled
from inferwatch_schemas.columnar.kernel import read_varint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Columns of the table of batches.
BEGIN, END, BASE_OFFSET, NEXT_OFFSET, TIMESTAMP, APPEND_TIME, COUNT = range(7)
BATCH_WIDTH: Final = 7
# A record takes at least seven bytes: its length and six more.
RECORD_BYTES: Final = 7
# No producer puts more into a batch: a megabyte of the shortest records is half as many. Taken
# apart by aiokafka, so many take seconds and hundreds of megabytes.
MAX_RECORDS: Final = 1 << 18


@compiled
def walk_batches(
    data: NDArray[np.uint8],
    batches: NDArray[np.int64],
    first_offset: int,
    offsets: NDArray[np.int64],
    timestamps: NDArray[np.int64],
    record_starts: NDArray[np.int64],
    value_starts: NDArray[np.int64],
    value_ends: NDArray[np.int64],
) -> int:
    """Locate every record of the batches whose offset is at least first_offset.

    Args:
        data: Records of all batches, decompressed.
        batches: One row a batch: begin and end in data, base and next offset, timestamp, whether
            that is the append time of every record, number of records.
        first_offset: Records below it are left out: a fetch returns whole batches.
        offsets: Filled from the front, as are the following.
        timestamps: Milliseconds since 1970.
        record_starts: After the record's length.
        value_starts: First byte of the value.
        value_ends: After its last byte; -1 for a null value.

    Returns:
        The number of records found, or minus one minus the index of a batch that does not hold
        what it says.
    """
    found = 0
    for batch in range(len(batches)):
        pos = batches[batch, BEGIN]
        end = batches[batch, END]
        base = batches[batch, BASE_OFFSET]
        last = base - 1
        for _ in range(batches[batch, COUNT]):
            length, pos = read_varint(data, pos, end)
            if pos < 0 or length < 1 or length > end - pos:
                return -1 - batch
            start = pos
            stop = pos + length
            delta, pos = read_varint(data, pos + 1, stop)
            if pos < 0:
                return -1 - batch
            offset_delta, pos = read_varint(data, pos, stop)
            if pos < 0:
                return -1 - batch
            key_length, pos = read_varint(data, pos, stop)
            if pos < 0 or key_length > stop - pos:
                return -1 - batch
            if key_length > 0:
                pos += key_length
            value_length, pos = read_varint(data, pos, stop)
            if pos < 0 or value_length > stop - pos:
                return -1 - batch
            offset = base + offset_delta
            # Offsets rise, and stay between their batch's own and where the next one begins.
            if offset <= last or offset >= batches[batch, NEXT_OFFSET]:
                return -1 - batch
            last = offset
            if offset >= first_offset:
                offsets[found] = offset
                record_starts[found] = start
                value_starts[found] = pos
                value_ends[found] = pos + value_length if value_length >= 0 else -1
                timestamps[found] = batches[batch, TIMESTAMP]
                if batches[batch, APPEND_TIME] == 0:
                    timestamps[found] += delta
                found += 1
            pos = stop
        if pos != end:
            return -1 - batch
        first_offset = max(first_offset, batches[batch, NEXT_OFFSET])
    return found
