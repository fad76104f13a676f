"""The aggregation's way of a chunk, gone once in memory: so that all of it is compiled."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.columnar.examples import example_values
from inferwatch_schemas.columnar.reader import ChunkReader
from inferwatch_schemas.kafka import KafkaSettings
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import AGGREGATES
from inferwatch_streams.blocks.partition import PartitionBlocks
from inferwatch_streams.rows.row_format import RowFormat
from inferwatch_streams.rows.sender import RowSender
from inferwatch_streams.signals import BLOCK_LENGTH, SIGNALS
from inferwatch_streams.transport.rehearsal import chunk_of

# More groups than the tables have room for at first, so that they grow.
EVENTS: Final = 100


class _Sender(RowSender):
    """Takes rows, and has nobody to send them to."""

    async def _partitions(self) -> int:
        return 1

    async def _dispatch(self, partition: int) -> None:
        del partition
        self.forget()


def rehearse() -> None:
    """Take made-up events of each source topic from a response to a batch of rows."""
    registry = PinnedRegistry()
    sender = _Sender(KafkaSettings(), "rehearsal", AGGREGATES.name)
    # A loop of its own, and not asyncio.run, which would leave the thread without its loop.
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        for topic in {signal.topic for signal in SIGNALS}:
            signals = tuple(signal for signal in SIGNALS if signal.topic == topic)
            fields = {signal.schema: signal.fields for signal in signals}
            chunk = chunk_of(topic.name, example_values(topic, EVENTS))
            parts, _ = ChunkReader(topic, registry, fields).read(chunk)
            blocks = PartitionBlocks(Assignment("", 0, 0), 0, signals, BLOCK_LENGTH)
            blocks.add(chunk, parts)
            for signal, place, columns in blocks.take_changed():
                records = RowFormat(signal, registry).encode(place, columns)
                loop.run_until_complete(sender.send(records))
