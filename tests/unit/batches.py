"""Makes record batches as producers and brokers do, honest ones and others."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from inferwatch_schemas.columnar.dead_letters import key_and_headers
from inferwatch_streams.transport.fetch import PartitionChunks, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferwatch_schemas.columnar.chunk import Chunk

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
TP: Final = TopicPartition("test.topic", 3)
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
NEVER: Final = 1 << 30

# Kafka protocol guide, "Record Batch".
HEADER: Final = struct.Struct(">qiibIhiqqqhii")
FIELDS: Final = (
    "base_offset", "length", "leader_epoch", "magic", "crc", "attributes", "last_offset_delta",
    "first_timestamp", "max_timestamp", "producer_id", "producer_epoch", "base_sequence", "count",
)  # fmt: skip
APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20


@dataclass(frozen=True)
class Record:
    """What a producer sends; delta is its offset within the batch."""

    delta: int
    value: bytes | None = b"v"
    key: bytes | None = None
    timestamp: int = 1_700_000_000_000
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def header(batch: bytes) -> dict[str, int]:
    """Return a batch's header."""
    return dict(zip(FIELDS, HEADER.unpack_from(batch), strict=True))


def sealed(batch: bytes, *, records: bytes | None = None, **changes: int) -> bytes:
    """Return a batch with other records or header fields, its length and checksum honest."""
    body = batch[HEADER.size :] if records is None else records
    fields = {**header(batch), "length": HEADER.size + len(body) - 12, **changes}
    body = HEADER.pack(*(fields[name] for name in FIELDS)) + body
    return body[:17] + struct.pack(">I", calc_crc32c(body[21:])) + body[21:]


def batch(
    records: Sequence[Record], *, base_offset: int = 0, codec: int = NONE, **changes: int
) -> bytes:
    """Return a batch by aiokafka's builder, as the broker then stores it."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=NEVER,
    )  # fmt: skip
    for record in records:
        builder.append(record.delta, record.timestamp, record.key, record.value, record.headers)
    return sealed(bytes(builder.build()), base_offset=base_offset, **changes)


def message_set(
    values: Sequence[bytes], *, magic: int, codec: int = NONE, base_offset: int = 0
) -> bytes:
    """Return messages of the formats before record batches, as the broker stores them."""
    builder = LegacyRecordBatchBuilder(magic=magic, compression_type=codec, batch_size=NEVER)
    for index, value in enumerate(values):
        absolute = magic == 0 or codec == NONE
        builder.append(base_offset * absolute + index, 1_600_000_000_000 + index, b"k", value)
    built = bytes(builder.build())
    if codec == NONE:
        return built
    # The wrapper's own offset is the last message's.
    return struct.pack(">q", base_offset + len(values) - 1) + built[8:]


def marker(producer_id: int, base_offset: int, *, commit: bool) -> bytes:
    """Return the control batch with which a transaction ends."""
    end = Record(0, value=b"\0" * 6, key=struct.pack(">HH", 0, int(commit)))
    return batch(
        [end], base_offset=base_offset, producer_id=producer_id,
        attributes=CONTROL | TRANSACTIONAL,
    )  # fmt: skip


def fetched(
    response: bytes,
    fetch_offset: int = 0,
    *,
    aborted: Sequence[tuple[int, int]] = (),
    isolation_level: int = READ_COMMITTED,
) -> PartitionChunks:
    """Return what our consumer iterates over."""
    return PartitionChunks(
        TP, Response(response), aborted, fetch_offset,
        check_crcs=True, isolation_level=isolation_level,
    )  # fmt: skip


def rows(chunk: Chunk) -> list[tuple[Any, ...]]:
    """Return offset, timestamp, key, value and headers of each record."""
    return [
        (
            int(chunk.offsets[index]), int(chunk.timestamps[index]),
            None if index in chunk.corrupt else key_and_headers(chunk, index)[0],
            chunk.value(index),
            None if index in chunk.corrupt else key_and_headers(chunk, index)[1],
        )
        for index in range(len(chunk))
    ]  # fmt: skip
