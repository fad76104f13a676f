"""Which chunk may be processed next: each partition's chunks must follow on without a hole.

Faust may drop a delivery (a rebalance cancels one under way and empties the agents' queues), and a
chunk of before a rebalance may arrive after it. Neither may be counted, so a chunk is taken only
where it begins exactly at its partition's position; a hole asks for reading again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inferwatch_schemas.columnar.chunk import Assignment, Chunk, TopicPartition

log = structlog.get_logger(__name__)

# After partitions were begun anew, chunks of before are still on their way for a moment; a hole
# that nothing has filled for so long was not made by one of them.
GRACE_SECONDS: Final = 5.0
# What was fetched may wait so long for its turn in a process that is short of processor time.
ARRIVAL_SECONDS: Final = 10.0


class Cursors:
    """Positions of the assigned partitions.

    Attributes:
        gaps: How many holes were found since the process started.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Start without partitions; monotonic is a clock in seconds."""
        self.gaps = 0
        self._monotonic = monotonic
        self._read_again = False
        self._positions: dict[TopicPartition, int] = {}
        # Since when a later chunk than the next one is known, and where that begins.
        self._holes: dict[TopicPartition, tuple[float, int]] = {}
        # Since when, and at which position, more was fetched than processed although nothing is
        # being processed.
        self._behind: dict[TopicPartition, tuple[float, int]] = {}
        self._working = False
        self._grace_until = 0.0

    @property
    def read_again(self) -> bool:
        """Whether partitions must be begun anew at their floors: asked for, or because of a hole.

        A hole counts without another chunk, too: the one behind it may have been the log's last.
        """
        if not self._read_again:
            now = self._monotonic()
            for at, (since, found) in self._holes.items():
                if now > max(self._grace_until, since + GRACE_SECONDS):
                    self._report(at, found)
        return self._read_again

    @read_again.setter
    def read_again(self, wanted: bool) -> None:
        self._read_again = wanted

    def assign(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """Begin these partitions, and no others, at their starts."""
        self._read_again = False
        self._holes = {}
        self._behind = {}
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

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While a chunk is being processed, waiting for others included."""
        self._working = True
        try:
            yield
        finally:
            self._working = False

    def fetched(self, positions: Mapping[TopicPartition, int]) -> None:
        """Hear how far each partition was fetched; to be told about once a second.

        What was fetched reaches an idle application at once. Where it does not, it was lost on the
        way, and no later chunk may ever come to show the hole.
        """
        if self._working:
            self._behind = {}
            return
        now = self._monotonic()
        behind: dict[TopicPartition, tuple[float, int]] = {}
        for at, fetched in positions.items():
            position = self._positions.get(at, fetched)
            if fetched > position:
                since, known = self._behind.get(at, (now, position))
                # Where chunks come faster than they are looked at, some are always on their way.
                behind[at] = (since if known == position else now, position)
        self._behind = behind
        for at, (since, _) in behind.items():
            if now > since + ARRIVAL_SECONDS and not self._read_again:
                self._report(at, positions[at])

    def position(self, at: TopicPartition) -> int | None:
        """Offset up to which a partition was processed; None where it is not assigned."""
        return self._positions.get(at)

    def accepts(self, chunk: Chunk) -> bool:
        """Whether the chunk is the next of its partition; a hole leads to ``read_again``."""
        at = (chunk.topic, chunk.partition)
        position = self._positions.get(at)
        if chunk.start == position:
            return True
        if position is not None and chunk.start > position:
            now = self._monotonic()
            self._holes.setdefault(at, (now, chunk.start))
            if now > self._grace_until and not self._read_again:
                self._report(at, chunk.start)
        return False

    def advance(self, chunk: Chunk) -> None:
        """The chunk was processed."""
        at = (chunk.topic, chunk.partition)
        self._positions[at] = chunk.end
        self._holes.pop(at, None)

    def _report(self, at: TopicPartition, found: int) -> None:
        self.gaps += 1
        self._read_again = True
        log.warning(
            "a chunk was lost within the worker: its partition is read again",
            topic=at[0],
            partition=at[1],
            expected=self._positions[at],
            found=found,
        )
