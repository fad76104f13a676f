"""Record batches for the producer: records laid out, compressed and checksummed at once.

Kafka protocol guide, "Record Batch" and "Record" (magic 2). ``aiokafka``'s own builder makes
several Python objects a record; this one takes the records of many rows in one compiled pass.
"""

# Compiled code takes its arrays one by one: numba gives nothing better.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np
from aiokafka.record.util import calc_crc32c

from inferwatch_schemas.columnar.compiling import compiled
from inferwatch_streams.rows import cells
from inferwatch_streams.rows.cells import SPARE, put_bytes, put_varint
from inferwatch_streams.transport.inflate import ZSTD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.rows.cells import Cells
    from inferwatch_streams.rows.row_format import Records

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
CRC_COVERS_FROM: Final = 21
CRC_AT: Final = 17
CRC: Final = struct.Struct(">I")
LOG_OVERHEAD: Final = 12
MAGIC: Final = 2
NOBODY: Final = -1
#: Bytes of records before compression at which a batch is full.
FULL_BYTES: Final = 1 << 20
# Length, attributes, time and offset in front of a record's key.
MAX_HEAD: Final = 5 + 1 + 1 + 5
# The fastest: rows of one batch are alike, and more effort saves little.
ZSTD_LEVEL: Final = 1
_WORD: Final = np.uint64(0xFFFFFFFF)
_SEED: Final = np.uint64(0x9747B28C)
_M: Final = np.uint64(0x5BD1E995)


class OutgoingBatch:
    """A batch under way, as ``aiokafka`` sends one: its ``BatchBuilder``, filled by rows."""

    def __init__(self, now_ms: int, spare: list[NDArray[np.uint8]]) -> None:
        """Begin a batch.

        Args:
            now_ms: Its time, in milliseconds since 1970.
            spare: Buffers that nobody uses: one is taken, and given back when the batch is built.
        """
        self._now_ms = now_ms
        self._spare = spare
        self._records = spare.pop() if spare else np.empty(FULL_BYTES, np.uint8)
        self._size = 0
        self._count = 0
        self._built: bytes | None = None

    def take(self, tails: Cells, rows: NDArray[np.int64]) -> int:
        """Add records until the batch is full; an empty one takes a record of any size.

        Args:
            tails: What follows the offset in each record, as ``tails_of`` gives it.
            rows: Which of them to add, at least one.

        Returns:
            How many were added.
        """
        if not self._count:
            least = int(tails.lengths[rows[0]]) + MAX_HEAD + SPARE
            if least > len(self._records):
                self._records = np.empty(least, np.uint8)
        sizes = np.array([self._count, self._size], np.int64)
        put_records(tails.data, tails.starts, tails.lengths, rows, self._records, sizes)
        taken = int(sizes[0]) - self._count
        self._count, self._size = sizes.tolist()
        return taken

    def record_count(self) -> int:
        """Asked by ``aiokafka``, which sends no empty batch."""
        return self._count

    def closed(self) -> bool:
        """Asked by ``aiokafka``, which lets no closed batch linger."""
        return True

    def _build(self) -> bytes:
        """Asked by ``aiokafka``, once or more: the batch as it is sent."""
        if self._built is None:
            import zstandard  # noqa: PLC0415  # the transport tells, in a sentence, of its absence

            library = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
            raw = library.compress(self._records.data[: self._size])
            if len(self._records) == FULL_BYTES:
                self._spare.append(self._records)
            self._records = np.empty(0, np.uint8)
            batch = bytearray(
                HEADER.pack(
                    0, HEADER.size - LOG_OVERHEAD + len(raw), NOBODY, MAGIC, 0, ZSTD,
                    self._count - 1, self._now_ms, self._now_ms, NOBODY, NOBODY, NOBODY,
                    self._count,
                )
            ) + raw  # fmt: skip
            CRC.pack_into(batch, CRC_AT, calc_crc32c(memoryview(batch)[CRC_COVERS_FROM:]))
            self._built = bytes(batch)
        return self._built


def tails_of(records: Records) -> Cells:
    """What follows the offset in each record: key, value and headers, with their lengths."""
    keys, values = records.keys.take(records.key_rows), records.values
    return cells.join(
        [cells.longs(keys.lengths), keys, cells.longs(values.lengths), values, records.headers]
    )


def partitions_of(keys: Cells, partitions: int) -> NDArray[np.int64]:
    """Partition of each key, as the Java client's default partitioner chooses (murmur2)."""
    chosen = np.empty(len(keys), np.int64)
    choose_partitions(keys.data, keys.starts, keys.lengths, partitions, chosen)
    return chosen


@compiled
def choose_partitions(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    partitions: int,
    chosen: NDArray[np.int64],
) -> None:
    """See ``partitions_of``. 32 bits are kept in 64, for numba has no product of 32."""
    for row in range(len(starts)):
        at, length = starts[row], lengths[row]
        state = _SEED ^ np.uint64(length)
        stop = at + length - length % 4
        while at < stop:
            word = np.uint64(data[at]) | np.uint64(data[at + 1]) << np.uint64(8)
            word |= np.uint64(data[at + 2]) << np.uint64(16)
            word |= np.uint64(data[at + 3]) << np.uint64(24)
            word = (word * _M) & _WORD
            word ^= word >> np.uint64(24)
            word = (word * _M) & _WORD
            state = ((state * _M) & _WORD) ^ word
            at += 4
        rest = length % 4
        if rest:
            word = np.uint64(0)
            for k in range(rest - 1, -1, -1):
                word = (word << np.uint64(8)) | np.uint64(data[at + k])
            state = ((state ^ word) * _M) & _WORD
        state ^= state >> np.uint64(13)
        state = (state * _M) & _WORD
        state ^= state >> np.uint64(15)
        chosen[row] = np.int64(state & np.uint64(0x7FFFFFFF)) % partitions


@compiled
def put_records(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    rows: NDArray[np.int64],
    out: NDArray[np.uint8],
    sizes: NDArray[np.int64],
) -> None:
    """Write records until the next does not fit; sizes are records and bytes, both updated."""
    count, at = sizes[0], sizes[1]
    for row in rows:
        length = lengths[row]
        if at + length + MAX_HEAD + SPARE > len(out):
            break
        offset_bytes = 1
        rest = count >> 6
        while rest:
            offset_bytes += 1
            rest >>= 7
        at = put_varint(out, at, 2 + offset_bytes + length)
        # No attributes; the time is the batch's.
        out[at] = 0
        out[at + 1] = 0
        at = put_varint(out, at + 2, count)
        at = put_bytes(out, at, data, starts[row], length)
        count += 1
    sizes[0] = count
    sizes[1] = at
