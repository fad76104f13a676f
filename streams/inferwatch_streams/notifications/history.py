"""What a log of alerts or incidents has told up to where this worker begins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.errors import KafkaUnavailableError, UnknownSchemaError
from inferwatch_streams.leading.fence import Fence
from inferwatch_streams.leading.metrics import UNUSABLE
from inferwatch_streams.leading.partition_log import PartitionLog
from inferwatch_streams.leading.record_handler import TakenRecord
from inferwatch_streams.leading.state_record import named
from inferwatch_streams.notifications.notice import RESOLVED, Origin
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
) -> tuple[list[Notice], int]:
    """What was told before an assignment's start and goes on, and where the log ends; blocks.

    Args:
        kafka: How to reach the broker.
        registry: Where schemas come from.
        topic: A state topic.
        start: Where this worker begins.
        seconds: How long reading may take.

    Returns:
        In log order the notices of what has not ended, of one that was refreshed the newest; and
        the offset after the last record, which the broker's own word may lie below.

    Raises:
        KafkaUnavailableError: It was not read in time.
        KafkaRefusedError: The broker refuses.
        RegistryUnavailableError: The registry did not answer.
    """
    fence, going_on = Fence(), GoingOn()
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
                if counts and entry.value is None:
                    going_on.remove(entry.key or "")
                elif counts and (notice := _noticed(entry, topic, start.topic_id, registry)):
                    going_on.add(notice)
    return going_on.notices(), end


class GoingOn:
    """Notices of what has not ended; what has ended needs no memory."""

    def __init__(self) -> None:
        self._of: dict[str, list[Notice]] = {}

    def add(self, notice: Notice) -> None:
        """Take in the next notice of the log."""
        known = notice.subject in self._of
        if notice.state == RESOLVED and not (notice.muted and known):
            self.remove(notice.subject)
            return
        before = self._of.setdefault(notice.subject, [])
        # Of one that comes and goes unsaid there may be many.
        if before and (_same(before[-1], notice) or (before[-1].muted and notice.muted)):
            before.pop()
        before.append(notice)

    def remove(self, subject: str) -> None:
        """It has ended, or its record was removed."""
        self._of.pop(subject, None)

    def notices(self) -> list[Notice]:
        """All of them, in log order."""
        return sorted(
            (notice for notices in self._of.values() for notice in notices),
            key=lambda one: -1 if one.origin is None else one.origin.offset,
        )


def _same(one: Notice, other: Notice) -> bool:
    """Whether another record says the same change again."""
    return (one.notice_id, one.state, one.muted, one.channels) == (
        other.notice_id, other.state, other.muted, other.channels,
    )  # fmt: skip


def _noticed(entry: LogEntry, topic: str, topic_id: str, registry: Registry) -> Notice | None:
    try:
        schema, record = named(entry.value or b"", registry)
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
