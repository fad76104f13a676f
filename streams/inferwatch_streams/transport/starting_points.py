"""Where reading of a partition begins, from what the broker knows of it: pure."""

from __future__ import annotations

from dataclasses import dataclass

from inferwatch_schemas.columnar.chunk import Assignment


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """What the broker knows of one partition.

    Attributes:
        committed: The group's committed offset; negative when it has none.
        metadata: What was committed with it: the topic's id, where the broker keeps metadata.
        log_start: First offset that the log still holds.
        log_end: Offset after the last record.
    """

    committed: int
    metadata: str
    log_start: int
    log_end: int


def choose_start(point: StartingPoint, topic_id: str) -> Assignment:
    """Begin at the committed offset, unless the log does not hold it.

    What is committed belongs to a topic by its id. Another id's commit says nothing about this
    log, which is read from its start; and so is a log that ends before the commit, because it was
    cut. The embedded broker keeps no metadata, and lists ends that lie before the true one; a
    commit without metadata is therefore believed (Kafka and it forget commits with their topic).
    """
    known = point.metadata == topic_id
    of_another_log = point.metadata not in ("", topic_id)
    if point.committed < 0 or of_another_log or (known and point.committed > point.log_end):
        return Assignment(topic_id, start=point.log_start, lost_from=0)
    return Assignment(
        topic_id, start=max(point.committed, point.log_start), lost_from=point.committed
    )
