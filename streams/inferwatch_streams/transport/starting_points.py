"""Where reading of a partition begins, from what the broker knows of it: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inferwatch_schemas.columnar.chunk import Assignment

SEPARATOR: Final = "@"


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """What the broker knows of one partition.

    Attributes:
        committed: The group's committed offset; negative when it has none.
        metadata: What was committed with it, of ``commit_metadata``; empty where the broker keeps
            no metadata.
        log_start: First offset that the log still holds.
        log_end: Offset after the last record.
    """

    committed: int
    metadata: str
    log_start: int
    log_end: int


def commit_metadata(topic_id: str, durable: int, note: str = "") -> str:
    """What is committed beside a floor: whose offset it is, and how far results are durable.

    A block that grows slowly outlives its first records. Its floor then lies before the log's
    start, and only this tells that nothing was lost.

    Args:
        topic_id: Kafka's id of the topic.
        durable: Offset up to which results are durable.
        note: What the application wants to find beside the floor.
    """
    return SEPARATOR.join([topic_id, str(durable), *([note] if note else [])])


def without_note(metadata: str) -> str:
    """What ``commit_metadata`` makes of the same without a note."""
    return SEPARATOR.join(metadata.split(SEPARATOR, 2)[:2])


def choose_start(point: StartingPoint, topic_id: str, *, was_another: bool = False) -> Assignment:
    """Begin at the committed offset, unless the log does not hold it.

    What is committed belongs to a topic by its id. Another id's commit says nothing about this
    log, which is read from its start; and so is a log that ends before the commit, because it was
    cut. The embedded broker keeps no metadata, and lists ends that lie before the true one; a
    commit without metadata is therefore believed (Kafka and it forget commits with their topic),
    but where this worker knew the topic as another: it may have committed to the new one what it
    had read of the old one.

    Args:
        point: What the broker knows.
        topic_id: The topic's id now.
        was_another: Whether this worker knew another id, and has not committed since.
    """
    known, _, rest = point.metadata.partition(SEPARATOR)
    durable, _, note = rest.partition(SEPARATOR)
    if point.committed < 0:
        # A new group has no claim to what retention removed before it came.
        return Assignment(topic_id, start=point.log_start, lost_from=point.log_start)
    if known != topic_id and (known or was_another):
        return Assignment(topic_id, start=point.log_start, lost_from=0)
    if known and point.committed > point.log_end:
        return Assignment(topic_id, start=point.log_start, lost_from=0)
    processed = int(durable) if durable.isdecimal() else point.committed
    return Assignment(
        topic_id,
        start=max(point.committed, point.log_start),
        lost_from=max(point.committed, processed),
        note=note,
    )
