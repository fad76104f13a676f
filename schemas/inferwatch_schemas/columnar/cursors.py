"""Which chunk may be processed next: each partition's chunks must follow on without a hole.

Faust may drop a delivery (a rebalance cancels one under way and empties the agents' queues), and a
chunk of before a rebalance may arrive after it. Neither may be counted, so a chunk is taken only
where it begins exactly at its partition's position; a hole asks for reading again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition

log = structlog.get_logger(__name__)

# After partitions were begun anew, chunks of before are still on their way for a moment.
GRACE_SECONDS: Final = 10.0


class Cursors:
    """Positions of the assigned partitions.

    Attributes:
        read_again: Whether partitions must be begun anew at their floors.
        gaps: How many holes were found since the process started.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Start without partitions; monotonic is a clock in seconds."""
        self.read_again = False
        self.gaps = 0
        self._monotonic = monotonic
        self._positions: dict[TopicPartition, int] = {}
        self._grace_until = 0.0

    def assign(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """Begin these partitions, and no others, at their starts."""
        self.read_again = False
        self._positions = {at: assignment.start for at, assignment in assignments.items()}
        self._grace_until = self._monotonic() + GRACE_SECONDS
        for (topic, partition), assignment in assignments.items():
            if assignment.start > assignment.lost_from:
                log.error(
                    "offsets lost: retention removed them before they were read",
                    topic=topic,
                    partition=partition,
                    first=assignment.lost_from,
                    last=assignment.start - 1,
                )

    def accepts(self, chunk: Chunk) -> bool:
        """Whether the chunk is the next of its partition; a hole sets ``read_again``."""
        position = self._positions.get((chunk.topic, chunk.partition))
        if chunk.start == position:
            return True
        hole = position is not None and chunk.start > position
        if hole and not self.read_again and self._monotonic() > self._grace_until:
            self.gaps += 1
            self.read_again = True
            log.warning(
                "a chunk was lost within the worker: its partition is read again",
                topic=chunk.topic,
                partition=chunk.partition,
                expected=position,
                found=chunk.start,
            )
        return False

    def advance(self, chunk: Chunk) -> None:
        """The chunk was processed."""
        self._positions[chunk.topic, chunk.partition] = chunk.end
