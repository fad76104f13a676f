"""Sends the dead letters of a chunk: done alike by whoever reads a topic first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_schemas.columnar import dead_letters
from inferwatch_schemas.topics import DEAD_LETTERS
from inferwatch_schemas.wire import Encoder, cloudevents_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from inferwatch_schemas.columnar.chunk import Chunk
    from inferwatch_schemas.columnar.reader import BadRecord
    from inferwatch_schemas.emitter import Emitter
    from inferwatch_schemas.registry import Registry


class Burial:
    """Writes bad records to the dead-letter topic."""

    def __init__(
        self, emitter: Emitter, registry: Registry, reader: str, clock: Callable[[], float]
    ) -> None:
        """Prepare.

        Args:
            emitter: Sends.
            registry: Knows the dead letters' own schema.
            reader: Consumer group that finds the records.
            clock: Seconds since 1970.
        """
        self._emitter = emitter
        self._encoder = Encoder(dead_letters.SCHEMA, registry)
        self._reader = reader
        self._clock = clock

    def bury(self, chunk: Chunk, bad: BadRecord, topic_id: str) -> None:
        """Send the dead letter of one record of a chunk."""
        record = dead_letters.dead_letter(
            chunk,
            bad,
            topic_id=topic_id,
            reader=self._reader,
            found_at_micros=int(self._clock() * 1_000_000),
        )
        identity = dead_letters.event_id(topic_id, chunk.partition, record["offset"])
        self._emitter.send(
            DEAD_LETTERS.name,
            chunk.topic.encode(),
            self._encoder.encode(record),
            cloudevents_headers(dead_letters.SCHEMA, identity, f"inferwatch/{self._reader}"),
        )
