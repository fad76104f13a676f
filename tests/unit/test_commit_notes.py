"""Notes beside committed offsets, on a broker that takes less metadata than they need."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import CommitFailedError, OffsetMetadataTooLargeError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types.tuples import TP
from mode.utils.logging import CompositeLogger

from inferwatch_streams.transport.driver import ConsumerThread

MOST = 10


class Consumer:
    """In place of aiokafka's: takes so much metadata at most."""

    def __init__(self, error: Exception | None = None) -> None:
        self.committed: list[str] = []
        self._error = error

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """See aiokafka."""
        (given,) = offsets.values()
        if len(given.metadata) > MOST:
            raise OffsetMetadataTooLargeError
        if self._error is not None:
            raise self._error
        self.committed.append(given.metadata)


class Thread(ConsumerThread):
    """The thread of such a consumer, which is this one."""

    def __init__(self, consumer: Consumer) -> None:
        self.log = CompositeLogger(logging.getLogger())
        self._consumer = consumer

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        """See Faust."""
        return await fun(*args, **kwargs)


def committing(consumer: Consumer, metadata: str) -> bool:
    """Commit an offset, and return whether that went well."""
    offsets = {TP("t", 0): OffsetAndMetadata(7, metadata)}
    return asyncio.run(Thread(consumer).commit_floors(offsets))


def test_a_note_that_is_too_long_keeps_no_offset_from_being_committed() -> None:
    """It is left out, and what is committed of the log stays."""
    consumer = Consumer()
    assert committing(consumer, "id@7@note")
    assert committing(consumer, "id@7@a long note@")
    assert consumer.committed == ["id@7@note", "id@7"]


def test_what_fails_without_the_note_is_tried_again_as_ever() -> None:
    """Such as when the partitions are no longer this worker's."""
    assert not committing(Consumer(CommitFailedError()), "id@7@a long note@")
