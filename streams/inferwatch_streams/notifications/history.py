"""What a log of alerts or incidents has told up to where this worker begins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.errors import KafkaUnavailableError, UnknownSchemaError
from inferwatch_streams.leading.fence import Fence
from inferwatch_streams.leading.metrics import UNUSABLE
from inferwatch_streams.leading.partition_log import PartitionLog
from inferwatch_streams.leading.record_processor import TakenRecord
from inferwatch_streams.leading.state_record import named
from inferwatch_streams.notifications.notice import Origin
from inferwatch_streams.notifications.notices import notice_of

if TYPE_CHECKING:
    from inferwatch_schemas.columnar.chunk import Assignment
    from inferwatch_schemas.kafka import KafkaSettings
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.leading.partition_log import LogEntry
    from inferwatch_streams.notifications.notice import Notice

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.2


def read_before(
    kafka: KafkaSettings, registry: Registry, topic: str, start: Assignment, seconds: float
) -> tuple[list[Notice | str], int]:
    """What was told before an assignment's start, and where the log ends; blocks.

    Args:
        kafka: How to reach the broker.
        registry: Where schemas come from.
        topic: A state topic.
        start: Where this worker begins.
        seconds: How long reading may take.

    Returns:
        In log order notices, and subjects whose record was removed; and the offset after the last
        record, which the broker's own word may lie below.

    Raises:
        KafkaUnavailableError: It was not read in time.
        KafkaRefusedError: The broker refuses.
    """
    fence = Fence()
    found: list[Notice | str] = []
    deadline = time.monotonic() + seconds
    with PartitionLog(kafka, topic, seconds) as reader:
        low, end = reader.bounds()
        reader.start(low)
        ended = False
        while not ended:
            if time.monotonic() > deadline:
                raise KafkaUnavailableError(
                    f"Kafka at {kafka.bootstrap_servers} does not send {topic} in time."
                )
            entries, ended = reader.read(POLL_SECONDS)
            for entry in entries:
                end = max(end, entry.offset + 1)
                counts = entry.offset < start.start and fence.accepts(
                    entry.key, entry.value is None, entry.epoch, entry.offset
                )
                told = _told(entry, topic, start.topic_id, registry) if counts else None
                if told is not None:
                    found.append(told)
    return found, end


def _told(entry: LogEntry, topic: str, topic_id: str, registry: Registry) -> Notice | str | None:
    if entry.key is None or entry.value is None:
        return entry.key
    try:
        schema, record = named(entry.value, registry)
    except (ValueError, UnknownSchemaError):
        UNUSABLE.labels(topic).inc()
        return None
    taken = TakenRecord(topic, 0, entry.offset, entry.timestamp_ms, entry.key, schema, record)
    return notice_taken(taken, topic_id)


def notice_taken(taken: TakenRecord, topic_id: str) -> Notice | None:
    """The notice of a record; None of one that has nothing to tell, or cannot be understood."""
    if taken.schema is None or taken.record is None:
        return None
    origin = Origin(
        taken.topic,
        topic_id,
        taken.partition,
        taken.offset,
        max(0, taken.timestamp_ms),
        taken.key or "",
        taken.schema,
        taken.record,
    )
    try:
        return notice_of(taken.schema, taken.record, origin)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        UNUSABLE.labels(taken.topic).inc()
        log.error(  # noqa: TRY400  # where it stands says more than where it was noticed
            "a record cannot be told", topic=taken.topic, offset=taken.offset,
            error=f"{type(error).__name__}: {error}",
        )  # fmt: skip
        return None
