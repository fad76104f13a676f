"""From the batches of a fetch response to a chunk: where each record and its value lie.

Kafka protocol guide, "Record" (magic 2). What the compiled walk does not know - older formats, a
batch that does not hold what its header says - goes record by record through aiokafka; what that
cannot read either becomes one pseudo record with the whole batch, for the dead letters.

What becomes of a batch depends on the batch alone, never on those beside it: which batches share a
chunk is chance, and rows must not show it (docs/decisions/0001).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from aiokafka.record.memory_records import MemoryRecords

from inferwatch_schemas.columnar.chunk import Chunk
from inferwatch_streams.transport.record_batch import (
    CODEC_MASK,
    CRC_COVERS_FROM,
    HEADER,
    LOG_OVERHEAD,
    MAGIC,
)
from inferwatch_streams.transport.walk import (
    BATCH_WIDTH,
    COUNT,
    MAX_RECORDS,
    RECORD_BYTES,
    walk_batches,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from inferwatch_streams.transport.record_batch import Section
    from inferwatch_streams.transport.usual import Taken

ATTRIBUTES: Final = struct.Struct(">h")
APPEND_TIME_MASK: Final = 0x08
# Rows of a piece's columns that are places in its bytes.
PLACES: Final = slice(2, 5)
VALUE_ENDS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Records of one batch or more.

    Attributes:
        data: Their bytes.
        columns: int64 of shape (5, records): offset, timestamp, and places in data, as in
            ``Chunk``: where the record and its value begin, and where its value ends or -1.
        corrupt: Records that stand for a whole batch.
    """

    data: NDArray[np.uint8]
    columns: NDArray[np.int64]
    corrupt: tuple[int, ...] = ()


def make_chunk(
    topic: str, partition: int, start: int, end: int, sections: Sequence[Section]
) -> Chunk:
    """The records of consecutive batches from offset start on, as a chunk that ends at end.

    Without batches the chunk is empty: it says that nothing up to end is an event.
    """
    piece = _walk(start, sections)
    if piece is None:
        # One of them is odd; which, each tells when it is alone.
        piece = _together([*_each(start, sections)])
    return _chunk(topic, partition, start, end, piece)


def make_usual_chunk(topic: str, partition: int, start: int, taken: Taken) -> Chunk | None:
    """As ``make_chunk``, of batches that are usual so far; None where one of them is odd."""
    piece = _located(start, taken.data, taken.batches)
    return None if piece is None else _chunk(topic, partition, start, taken.end, piece)


def _chunk(topic: str, partition: int, start: int, end: int, piece: Piece) -> Chunk:
    columns = piece.columns
    return Chunk(
        topic, partition, start, end, piece.data,
        columns[0], columns[1], columns[2], columns[3], columns[4], piece.corrupt,
    )  # fmt: skip


def _each(start: int, sections: Sequence[Section]) -> Iterator[Piece]:
    position = start
    for section in sections:
        yield _walk(position, [section]) or _by_aiokafka(position, section)
        position = max(position, section.batch.next_offset)


def _walk(start: int, sections: Sequence[Section]) -> Piece | None:
    """The records from an offset on by the compiled walk; None where it does not know a batch."""
    parts: list[memoryview] = []
    table = np.zeros((len(sections), BATCH_WIDTH), np.int64)
    pos = 0
    for row, section in enumerate(sections):
        batch, records = section.batch, section.records
        # A count that cannot be honest must not size an array.
        if (
            records is None
            or batch.magic != MAGIC
            or not 0 <= batch.count <= min(len(records) // RECORD_BYTES, MAX_RECORDS)
        ):
            return None
        appended = bool(batch.attributes & APPEND_TIME_MASK)
        table[row] = (
            pos, pos + len(records), batch.base_offset, batch.next_offset,
            batch.max_timestamp if appended else batch.first_timestamp, appended, batch.count,
        )  # fmt: skip
        parts.append(records)
        pos += len(records)
    return _located(start, _joined(parts), table)


def _located(start: int, data: NDArray[np.uint8], batches: NDArray[np.int64]) -> Piece | None:
    columns = np.empty((5, int(batches[:, COUNT].sum())), np.int64)
    count = walk_batches(
        data, batches, start, columns[0], columns[1], columns[2], columns[3], columns[4]
    )
    return None if count < 0 else Piece(data, columns[:, :count])


def _joined(parts: Sequence[memoryview]) -> NDArray[np.uint8]:
    """A copy of all records one after the other, which takes no more memory than they do."""
    return np.frombuffer(b"".join(parts), np.uint8)


def _together(pieces: Sequence[Piece]) -> Piece:
    columns: list[NDArray[np.int64]] = []
    corrupt: list[int] = []
    records = size = 0
    for piece in pieces:
        moved = piece.columns.copy()
        null = moved[VALUE_ENDS] < 0
        moved[PLACES] += size
        moved[VALUE_ENDS, null] = -1
        columns.append(moved)
        corrupt += [records + index for index in piece.corrupt]
        records += moved.shape[1]
        size += len(piece.data)
    data = _joined([piece.data.data for piece in pieces])
    return Piece(data, np.concatenate(columns, axis=1), tuple(corrupt))


def _by_aiokafka(position: int, section: Section) -> Piece:
    """A batch's records from an offset on through aiokafka, written anew in the usual form."""
    batch = section.batch
    data = bytearray()
    rows: list[tuple[int, int, int, int, int]] = []
    try:
        for record in _records(section):
            if record.offset < position:
                continue
            encoded, value_at = _write_record(record)
            at = len(data)
            end_at = -1 if record.value is None else at + value_at + len(record.value)
            timestamp = -1 if record.timestamp is None else record.timestamp
            rows.append((record.offset, timestamp, at, at + value_at, end_at))
            data += encoded
    except Exception:  # noqa: BLE001  # aiokafka raises whatever the bytes made it stumble over
        whole = np.frombuffer(bytes(batch.raw), np.uint8)
        row = (max(position, batch.base_offset), batch.max_timestamp, 0, 0, len(whole))
        return Piece(whole, np.array([row], np.int64).T.copy(), corrupt=(0,))
    columns = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    return Piece(np.frombuffer(bytes(data), np.uint8), columns)


def _records(section: Section) -> Iterator[Any]:
    """Records of a batch, as aiokafka reads them.

    Raises:
        ValueError: It cannot be decompressed, or its offsets are not what its header says.
        Exception: Others, of aiokafka.
    """
    batch = section.batch
    if section.records is None:
        raise ValueError("not decompressed")
    if batch.count > MAX_RECORDS:
        raise ValueError(f"{batch.count} records")
    raw = bytes(batch.raw)
    if batch.magic >= MAGIC:
        # What was inflated within bounds, as a batch that never was compressed.
        plain = ATTRIBUTES.pack(batch.attributes & ~CODEC_MASK)
        head = (raw[:CRC_COVERS_FROM], plain, raw[CRC_COVERS_FROM + 2 : HEADER.size])
        raw = b"".join((*head, section.records))
        length = struct.pack(">i", len(raw) - LOG_OVERHEAD)
        raw = raw[: LOG_OVERHEAD - 4] + length + raw[LOG_OVERHEAD:]
    last = batch.base_offset - 1 if batch.magic >= MAGIC else -1
    for record in MemoryRecords(raw).next_batch():
        # Looked at one by one: the first that is wrong spares the millions behind it.
        if not last < record.offset < batch.next_offset:
            raise ValueError(f"a record of offset {record.offset}")
        last = record.offset
        yield record


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
