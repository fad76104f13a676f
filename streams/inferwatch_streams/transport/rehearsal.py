"""Chunks of what no broker sent, made as those of a fetch are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from inferwatch_streams.transport.fetch import PartitionChunks, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inferwatch_schemas.columnar.chunk import Chunk

UNBOUNDED: Final = 1 << 30


def chunk_of(topic: str, values: Sequence[bytes]) -> Chunk:
    """The chunk in which a response with these values, in one batch, would be delivered."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=UNBOUNDED,
    )  # fmt: skip
    for offset, value in enumerate(values):
        builder.append(offset, 0, b"key", value, [])
    (chunk,) = PartitionChunks(
        TopicPartition(topic, 0), Response(bytes(builder.build())), None, 0,
        check_crcs=True, isolation_level=READ_COMMITTED,
    )  # fmt: skip
    return chunk
