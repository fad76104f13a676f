"""From the bytes of a fetch response to a chunk: headers, checksums, decompression, records.

Kafka protocol guide, "Record Batch" (magic 2). What the compiled walk does not know - older
formats, a batch that does not hold what its header says - goes record by record through aiokafka;
what that cannot read either becomes one pseudo record with the whole batch, for the dead letters.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import zstandard
from aiokafka import codec
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_streams.errors import MissingCodecError
from inferwatch_streams.transport.walk import BATCH_WIDTH, walk_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
LOG_OVERHEAD: Final = 12  # base offset and length, which the length does not count
MAGIC_AT: Final = 16
CRC_COVERS_FROM: Final = 21
CODEC_MASK: Final = 0x07
APPEND_TIME_MASK: Final = 0x08
TRANSACTIONAL_MASK: Final = 0x10
CONTROL_MASK: Final = 0x20
MAGIC: Final = 2
# A batch is at most max.message.bytes compressed; what inflates beyond this is no honest batch.
MAX_INFLATED_BYTES: Final = 256 * 1024 * 1024
READABLE_ERRORS: Final = (ValueError, IndexError, KafkaError, zstandard.ZstdError, struct.error)


@dataclass(frozen=True, slots=True)
class Batch:
    """Header of one record batch, with its bytes."""

    raw: memoryview
    base_offset: int
    next_offset: int
    magic: int
    crc: int
    attributes: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    count: int

    @property
    def is_control(self) -> bool:
        """Whether it holds markers of transactions, no records of anyone."""
        return bool(self.attributes & CONTROL_MASK)

    @property
    def is_transactional(self) -> bool:
        """Whether it was written within a transaction."""
        return bool(self.attributes & TRANSACTIONAL_MASK)

    def check_crc(self) -> None:
        """Hold the batch's checksum against its bytes.

        Raises:
            CorruptRecordException: They differ: the bytes changed on their way.
        """
        if self.magic >= MAGIC and calc_crc32c(self.raw[CRC_COVERS_FROM:]) != self.crc:
            raise CorruptRecordException(f"CRC of the batch at offset {self.base_offset}")


def split_batches(response: bytes) -> Iterator[Batch]:
    """The batches of a response; the last, when the response cut it off, is left out."""
    view = memoryview(response)
    pos = 0
    while len(view) - pos >= LOG_OVERHEAD:
        base_offset, length = struct.unpack_from(">qi", view, pos)
        stop = pos + LOG_OVERHEAD + length
        if stop > len(view):
            return
        raw = view[pos:stop]
        pos = stop
        magic = raw[MAGIC_AT]
        if magic < MAGIC:
            # An old message set: one message, or a wrapper whose own offset is the last one's.
            yield Batch(raw, base_offset, base_offset + 1, magic, 0, 0, 0, 0, -1, 1)
            continue
        head = HEADER.unpack_from(raw)
        yield Batch(
            raw, base_offset, base_offset + head[6] + 1, magic, head[4], head[5],
            head[7], head[8], head[9], head[12],
        )  # fmt: skip


def _unzstd(data: memoryview) -> bytes:
    # librdkafka writes the size into the frame, the Java client does not.
    size = zstandard.frame_content_size(data)
    if size > MAX_INFLATED_BYTES:
        raise ValueError(f"a zstd frame of {size} bytes")
    if size >= 0:
        return zstandard.ZstdDecompressor().decompress(data)
    out = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    if len(out) > MAX_INFLATED_BYTES:
        raise ValueError(f"a zstd frame of {len(out)} bytes")
    return out


# By the codec's number in the attributes.
INFLATE: Final[dict[int, Callable[[memoryview], bytes | memoryview]]] = {
    0: lambda data: data,
    1: codec.gzip_decode,
    2: lambda data: codec.snappy_decode(data.tobytes()),
    3: lambda data: codec.lz4_decode(data.tobytes()),
    4: _unzstd,
}


def check_codecs() -> None:
    """Make sure that every compression a producer may choose can be read.

    Raises:
        MissingCodecError: Names the library that is missing.
    """
    for name, present in (
        ("gzip", codec.has_gzip),
        ("snappy", codec.has_snappy),
        ("lz4", codec.has_lz4),
    ):
        if not present():
            raise MissingCodecError(
                f"Records compressed with {name} could not be read; run: pip install cramjam"
            )


def make_chunk(topic: str, partition: int, start: int, end: int, batches: Sequence[Batch]) -> Chunk:
    """The records of consecutive batches from offset start on, as a chunk that ends at end.

    Without batches the chunk is empty: it says that nothing up to end is an event.
    """
    usual = [batch for batch in batches if batch.magic == MAGIC]
    if len(usual) == len(batches):
        try:
            return _walk(topic, partition, start, end, batches)
        except READABLE_ERRORS:
            pass  # one of them does not hold what it says: below, each stands alone
    return _one_by_one(topic, partition, start, end, batches)


def _walk(topic: str, partition: int, start: int, end: int, batches: Sequence[Batch]) -> Chunk:
    sections: list[bytes | memoryview] = []
    table = np.zeros((len(batches), BATCH_WIDTH), np.int64)
    pos = 0
    for row, batch in enumerate(batches):
        section = INFLATE[batch.attributes & CODEC_MASK](batch.raw[HEADER.size :])
        sections.append(section)
        appended = bool(batch.attributes & APPEND_TIME_MASK)
        table[row] = (
            pos, pos + len(section), batch.base_offset,
            batch.max_timestamp if appended else batch.first_timestamp, appended, batch.count,
        )  # fmt: skip
        pos += len(section)
    data = np.frombuffer(sections[0] if len(sections) == 1 else b"".join(sections), np.uint8)
    # A record takes at least seven bytes: a count that cannot be honest must not size an array.
    total = int(table[:, -1].sum())
    if total > len(data) or (table[:, -1] < 0).any():
        raise ValueError("more records than bytes")
    columns = np.empty((5, total), np.int64)
    found = walk_batches(
        data, table, start, columns[0], columns[1], columns[2], columns[3], columns[4]
    )
    if found < 0:
        raise ValueError(f"the batch at offset {batches[-1 - found].base_offset}")
    columns = columns[:, :found]
    return Chunk(
        topic, partition, start, end, data,
        columns[0], columns[1], columns[2], columns[3], columns[4],
    )  # fmt: skip


def _one_by_one(
    topic: str, partition: int, start: int, end: int, batches: Sequence[Batch]
) -> Chunk:
    """As _walk, through aiokafka's own reader; the records are written anew in the usual form."""
    data = bytearray()
    rows: list[tuple[int, int, int, int, int]] = []
    corrupt: list[int] = []
    for batch in batches:
        try:
            read = MemoryRecords(bytes(batch.raw)).next_batch()
            records = [record for record in read if record.offset >= start] if read else []
            written = [_write_record(record) for record in records]
        except READABLE_ERRORS:
            corrupt.append(len(rows))
            rows.append(
                (max(start, batch.base_offset), batch.max_timestamp, -1, len(data),
                 len(data) + len(batch.raw))
            )  # fmt: skip
            data += batch.raw
            continue
        for record, (encoded, value_at) in zip(records, written, strict=True):
            value_end = -1 if record.value is None else len(data) + value_at + len(record.value)
            rows.append(
                (record.offset, record.timestamp, len(data), len(data) + value_at, value_end)
            )
            data += encoded
    columns = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    return Chunk(
        topic, partition, start, end, np.frombuffer(bytes(data), np.uint8),
        columns[0], columns[1], columns[2], columns[3], columns[4], tuple(corrupt),
    )  # fmt: skip


def _varint(value: int) -> bytes:
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:  # noqa: PLR2004  # seven bits a byte
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _field(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _write_record(record: Any) -> tuple[bytes, int]:
    """A record of aiokafka in the form of magic 2, without its length; and where its value is."""
    front = b"\0" + _varint(0) + _varint(0) + _field(record.key)
    value = _field(record.value)
    headers = b"".join(_field(key.encode()) + _field(text) for key, text in record.headers)
    value_at = len(front) + len(value) - len(record.value or b"")
    return front + value + _varint(len(record.headers)) + headers, value_at
