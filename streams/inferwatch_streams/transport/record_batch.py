"""From the bytes of a fetch response to a chunk: headers, checksums, records.

Kafka protocol guide, "Record Batch" (magic 2). What the compiled walk does not know - older
formats, a batch that does not hold what its header says - goes record by record through aiokafka;
what that cannot read either becomes one pseudo record with the whole batch, for the dead letters.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_streams.transport.inflate import Scratch, check_codecs, inflate
from inferwatch_streams.transport.walk import BATCH_WIDTH, walk_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "Batch",
    "Section",
    "check_codecs",
    "has_batch",
    "make_chunk",
    "open_batch",
    "split_batches",
]

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
LOG_OVERHEAD: Final = 12  # base offset and length, which the length does not count
MAGIC_AT: Final = 16
CRC_COVERS_FROM: Final = 21
ATTRIBUTES: Final = struct.Struct(">h")
CODEC_MASK: Final = 0x07
APPEND_TIME_MASK: Final = 0x08
TRANSACTIONAL_MASK: Final = 0x10
CONTROL_MASK: Final = 0x20
MAGIC: Final = 2
# The formats before: offset, length, checksum, magic, attributes, time (magic 1), key, value.
LEGACY_ATTRIBUTES_AT: Final = 17
LEGACY_KEY_AT: Final = (18, 26)
LEGACY_BYTES: Final = 26
# A record takes at least seven bytes: its length and six more.
RECORD_BYTES: Final = 7


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
        if self.magic >= MAGIC:
            honest = calc_crc32c(self.raw[CRC_COVERS_FROM:]) == self.crc
        else:
            honest = MemoryRecords(bytes(self.raw)).next_batch().validate_crc()
        if not honest:
            raise CorruptRecordException(f"CRC of the batch at offset {self.base_offset}")


def has_batch(response: bytes | memoryview) -> bool:
    """Whether a response holds at least one whole batch."""
    if len(response) < LOG_OVERHEAD:
        return False
    (length,) = struct.unpack_from(">i", response, LOG_OVERHEAD - 4)
    return LOG_OVERHEAD + int(length) <= len(response)


def split_batches(response: bytes) -> Iterator[Batch]:
    """The batches of a response; the last, when the response cut it off, is left out.

    Raises:
        CorruptRecordException: A length that no batch has: where the next one begins is unknown.
    """
    view = memoryview(response)
    pos = 0
    while has_batch(view[pos:]):
        base_offset, length = struct.unpack_from(">qi", view, pos)
        raw = view[pos : pos + LOG_OVERHEAD + max(0, length)]
        pos += len(raw)
        magic = raw[MAGIC_AT] if len(raw) > MAGIC_AT else MAGIC
        if len(raw) < (HEADER.size if magic >= MAGIC else LEGACY_BYTES):
            raise CorruptRecordException(f"The batch at offset {base_offset} has {length} bytes")
        if magic < MAGIC:
            # An old message set: one message, or a wrapper whose own offset is the last one's.
            yield Batch(raw, base_offset, base_offset + 1, magic, 0, 0, 0, 0, -1, 1)
            continue
        head = HEADER.unpack_from(raw)
        yield Batch(
            raw, base_offset, base_offset + head[6] + 1, magic, head[4], head[5],
            head[7], head[8], head[9], head[12],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A batch whose records are at hand.

    Attributes:
        batch: The batch.
        records: They, decompressed, until the scratch memory is cleared; None where they cannot be.
    """

    batch: Batch
    records: memoryview | None

    @property
    def size(self) -> int:
        """Bytes that were read and that these became."""
        return len(self.batch.raw) + len(self.records or b"")


def open_batch(batch: Batch, scratch: Scratch) -> Section:
    """Decompress a batch's records.

    An old message set is left as it is, if it inflates at all.
    """
    try:
        if batch.magic < MAGIC:
            _check_message_set(batch)
            return Section(batch, memoryview(b""))
        codec, raw = batch.attributes & CODEC_MASK, batch.raw[HEADER.size :]
        return Section(batch, scratch.inflate(codec, raw))
    except (ValueError, struct.error):
        return Section(batch, None)


def _check_message_set(batch: Batch) -> None:
    """Inflate what a wrapper holds, for aiokafka will do so without a bound."""
    number = batch.raw[LEGACY_ATTRIBUTES_AT] & CODEC_MASK
    if number:
        at = LEGACY_KEY_AT[batch.magic]
        (key_size,) = struct.unpack_from(">i", batch.raw, at)
        inflate(number, batch.raw[at + 8 + max(0, key_size) :])


def make_chunk(
    topic: str, partition: int, start: int, end: int, sections: Sequence[Section]
) -> Chunk:
    """The records of consecutive batches from offset start on, as a chunk that ends at end.

    Without batches the chunk is empty: it says that nothing up to end is an event.
    """
    chunk = _walk(topic, partition, start, end, sections)
    return _one_by_one(topic, partition, start, end, sections) if chunk is None else chunk


def _walk(
    topic: str, partition: int, start: int, end: int, sections: Sequence[Section]
) -> Chunk | None:
    """All records by the compiled walk; None when a batch is not what it knows."""
    parts: list[memoryview] = []
    table = np.zeros((len(sections), BATCH_WIDTH), np.int64)
    pos = 0
    for row, section in enumerate(sections):
        batch, records = section.batch, section.records
        # A count that cannot be honest must not size an array.
        if (
            records is None
            or batch.magic != MAGIC
            or not 0 <= batch.count <= len(records) // RECORD_BYTES
        ):
            return None
        appended = bool(batch.attributes & APPEND_TIME_MASK)
        table[row] = (
            pos, pos + len(records), batch.base_offset, batch.next_offset,
            batch.max_timestamp if appended else batch.first_timestamp, appended, batch.count,
        )  # fmt: skip
        parts.append(records)
        pos += len(records)
    data = _joined(parts)
    columns = np.empty((5, int(table[:, -1].sum())), np.int64)
    count = walk_batches(
        data, table, start, columns[0], columns[1], columns[2], columns[3], columns[4]
    )
    if count < 0:
        return None
    columns = columns[:, :count]
    return Chunk(
        topic, partition, start, end, data,
        columns[0], columns[1], columns[2], columns[3], columns[4],
    )  # fmt: skip


def _joined(parts: Sequence[memoryview]) -> NDArray[np.uint8]:
    """A copy of all records one after the other, which takes no more memory than they do."""
    return np.frombuffer(b"".join(parts), np.uint8)


def _one_by_one(
    topic: str, partition: int, start: int, end: int, sections: Sequence[Section]
) -> Chunk:
    """As _walk, through aiokafka's own reader; the records are written anew in the usual form."""
    data = bytearray()
    rows: list[tuple[int, int, int, int, int]] = []
    corrupt: list[int] = []
    position = start
    for section in sections:
        batch, at = section.batch, len(data)
        try:
            written = [(record, *_write_record(record)) for record in _records(section, position)]
        except Exception:  # noqa: BLE001  # aiokafka raises whatever the bytes made it stumble over
            corrupt.append(len(rows))
            where = max(position, batch.base_offset)
            rows.append((where, batch.max_timestamp, at, at, at + len(batch.raw)))
            data += batch.raw
            position = max(position, batch.next_offset)
            continue
        for record, encoded, value_at in written:
            at = len(data)
            end_at = -1 if record.value is None else at + value_at + len(record.value)
            timestamp = -1 if record.timestamp is None else record.timestamp
            rows.append((record.offset, timestamp, at, at + value_at, end_at))
            data += encoded
        position = max(position, batch.next_offset)
    columns = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    return Chunk(
        topic, partition, start, end, np.frombuffer(bytes(data), np.uint8),
        columns[0], columns[1], columns[2], columns[3], columns[4], tuple(corrupt),
    )  # fmt: skip


def _records(section: Section, first_offset: int) -> list[Any]:
    """Records of a batch from an offset on, as aiokafka reads them.

    Raises:
        ValueError: It cannot be decompressed, or its offsets are not what its header says.
        Exception: Others, of aiokafka.
    """
    batch = section.batch
    if section.records is None:
        raise ValueError("not decompressed")
    raw = bytes(batch.raw)
    if batch.magic >= MAGIC:
        # What was inflated within bounds, as a batch that never was compressed.
        plain = ATTRIBUTES.pack(batch.attributes & ~CODEC_MASK)
        head = (raw[:CRC_COVERS_FROM], plain, raw[CRC_COVERS_FROM + 2 : HEADER.size])
        raw = b"".join((*head, section.records))
        length = struct.pack(">i", len(raw) - LOG_OVERHEAD)
        raw = raw[: LOG_OVERHEAD - 4] + length + raw[LOG_OVERHEAD:]
    found = list(MemoryRecords(raw).next_batch())
    last = batch.base_offset - 1 if batch.magic >= MAGIC else -1
    for record in found:
        if not last < record.offset < batch.next_offset:
            raise ValueError(f"a record of offset {record.offset}")
        last = record.offset
    return [record for record in found if record.offset >= first_offset]


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
