"""One compiled pass over a response: headers, checksums, decompression of its record batches.

Kafka protocol guide, "Record Batch" (magic 2). It takes what nearly all batches are; whatever else
it meets, it stops at: a codec other than zstd is Python's to inflate, and an odd batch (older
formats, transactions, what does not hold what it says) sends the whole response the slow way, in
which each batch is an object. Both ways make the same of every batch.
"""

# Compiled code takes its arrays one by one, and positions of a format are what they are.
# ruff: noqa: PLR0911, PLR0912, PLR0913, PLR0917, PLR2004, C901

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from inferwatch_schemas.columnar.compiling import compiled, inlined
from inferwatch_schemas.columnar.unaligned import copy_bytes
from inferwatch_streams.transport.big_endian import big_endian
from inferwatch_streams.transport.checksum import crc32c
from inferwatch_streams.transport.frame import inflate_frame
from inferwatch_streams.transport.record_batch import MAX_OFFSET
from inferwatch_streams.transport.walk import (
    APPEND_TIME,
    BASE_OFFSET,
    BEGIN,
    COUNT,
    END,
    MAX_RECORDS,
    NEXT_OFFSET,
    RECORD_BYTES,
    TIMESTAMP,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What the pass came to: the end of the response, enough for a chunk, a batch whose records are
# Python's to inflate, or one that is odd.
AT_END, FULL, INFLATE, ODD = range(4)
# Where it stands: position in the response, rows of the table, bytes of scratch memory that are
# used, bytes that the chunk counts, offset after the last batch; and of the batch in hand its
# codec, where its records begin and end in the response, and how many bytes Python inflated them
# to, which lie behind what is used (-1 where it did not).
POSITION, ROWS, USED, SIZE, NEXT, CODEC, FROM, TO, INFLATED = range(9)
STATE_WIDTH: Final = 9

HEADER_BYTES: Final = 61
LOG_OVERHEAD: Final = 12
CRC_COVERS_FROM: Final = 21
NO_CODEC: Final = 0
ZSTD: Final = 4
CODEC_MASK: Final = 0x07
APPEND_TIME_MASK: Final = 0x08
# Transactional, control, and bits of no meaning yet.
ODD_MASK: Final = 0xFFFF & ~(CODEC_MASK | APPEND_TIME_MASK)


@compiled
def sweep(
    data: NDArray[np.uint8],
    address: int,
    zstd: tuple[int, int, int],
    memory: NDArray[np.uint8],
    room: tuple[int, int, int],
    state: NDArray[np.int64],
    batches: NDArray[np.int64],
) -> int:
    """Go on over the batches of a response, from where the state stands.

    Args:
        data: The response.
        address: Of its first byte.
        zstd: ``Zstd.context``, ``.decompress`` and ``.frame_size``; zeros where there is none.
        memory: Scratch memory, filled from the front with records.
        room: Address of the memory's first byte, bytes that a batch may inflate to, and the size
            at which a chunk is full.
        state: Where it stands; written to.
        batches: The table of batches, as ``walk_batches`` takes it, with places in memory.

    Returns:
        AT_END, FULL, INFLATE or ODD.
    """
    memory_address, most, full = room
    if state[INFLATED] >= 0:
        if not _taken(state, batches, state[INFLATED], state[INFLATED]):
            return ODD
        state[INFLATED] = -1
    while True:
        if state[SIZE] >= full:
            return FULL
        pos = state[POSITION]
        left = len(data) - pos
        if left < LOG_OVERHEAD:
            return AT_END
        size = LOG_OVERHEAD + big_endian(data, pos + 8, 4)
        if size - LOG_OVERHEAD >= 1 << 31:
            return ODD
        if size > left:
            return AT_END
        if size < HEADER_BYTES or data[pos + 16] != 2:
            return ODD
        base = big_endian(data, pos, 8)
        attributes = big_endian(data, pos + 21, 2)
        last = big_endian(data, pos + 23, 4)
        count = big_endian(data, pos + 57, 4)
        if not 0 <= base < MAX_OFFSET or last >= 1 << 31 or count > MAX_RECORDS:
            return ODD
        if attributes & ODD_MASK:
            return ODD
        if crc32c(data, pos + CRC_COVERS_FROM, pos + size) != big_endian(data, pos + 17, 4):
            return ODD
        if base + last + 1 <= state[NEXT]:
            # Before what was asked for: a fetch returns whole batches.
            state[POSITION] += size
            continue
        row = state[ROWS]
        appended = int(attributes & APPEND_TIME_MASK != 0)
        batches[row, BASE_OFFSET] = base
        batches[row, NEXT_OFFSET] = base + last + 1
        batches[row, TIMESTAMP] = big_endian(data, pos + (35 if appended else 27), 8)
        batches[row, APPEND_TIME] = appended
        batches[row, COUNT] = count
        state[CODEC] = attributes & CODEC_MASK
        state[FROM] = pos + HEADER_BYTES
        state[TO] = pos + size
        packed = size - HEADER_BYTES
        at = state[USED]
        if state[CODEC] == NO_CODEC:
            if packed > len(memory) - at:
                return ODD
            copy_bytes(memory, at, data, state[FROM], packed)
            if not _taken(state, batches, packed, 0):
                return ODD
            continue
        inflated = -1
        if state[CODEC] == ZSTD:
            space = min(most, len(memory) - at)
            inflated = inflate_frame(
                data, address, state[FROM], packed, zstd, memory_address + at, space
            )
        if inflated < 0:
            return INFLATE
        if not _taken(state, batches, inflated, inflated):
            return ODD


@inlined
def _taken(state: NDArray[np.int64], batches: NDArray[np.int64], records: int, extra: int) -> bool:
    """Note the batch of the next row as at hand, its records being the next bytes of memory.

    Returns:
        Whether it may have as many records as it says.
    """
    row = state[ROWS]
    if batches[row, COUNT] * RECORD_BYTES > records:
        return False
    size = state[TO] - state[POSITION]
    batches[row, BEGIN] = state[USED]
    batches[row, END] = state[USED] + records
    state[POSITION] += size
    state[ROWS] += 1
    state[USED] += records
    state[SIZE] += size + extra
    state[NEXT] = batches[row, NEXT_OFFSET]
    return True
