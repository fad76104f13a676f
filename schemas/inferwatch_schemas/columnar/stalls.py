"""When a partition stalls, and when it moves again: pure.

Time is given as what passed between two looks, not as a clock's readings: a process that was
stopped for a minute has not watched anything for a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Cause(Enum):
    """Why a partition counts as stalled."""

    STILL = "its position does not move although the log goes on"
    SILENT = "no fetch of it is answered"


@dataclass(frozen=True, slots=True)
class Observation:
    """One assigned partition at one moment.

    Attributes:
        topic_id: Kafka's id of the topic: another id is another log.
        position: Offset up to which results are durable; None while reading has not begun.
        log_end: Offset after the last record that may be read, as the broker's latest answer to a
            fetch told it; None before the first.
        answered: Some number that is another one after each answer to a fetch of this partition.
        pending: Whether an answer waits to be taken in, so that no other is asked for.
    """

    topic_id: str
    position: int | None
    log_end: int | None
    answered: int | None
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of a partition from look to look.

    Attributes:
        seen: The latest observation.
        reached: Highest position seen. Only what exceeds it is progress: a partition that is read
            again and again from its floor moves, and gets nowhere.
        still_seconds: How long there has been more in the log without any progress.
        silent_seconds: How long no fetch has been answered, without any progress either.
    """

    seen: Observation
    reached: int | None
    still_seconds: float = 0.0
    silent_seconds: float = 0.0

    @property
    def lag(self) -> int:
        """Offsets between position and log end, as far as both are known."""
        if self.seen.position is None or self.seen.log_end is None:
            return 0
        return max(0, self.seen.log_end - self.seen.position)


def look(before: Watch | None, seen: Observation, elapsed: float) -> Watch:
    """What is known of a partition after another observation.

    Args:
        before: What was known; None where it is newly assigned.
        seen: The observation.
        elapsed: Seconds since the last one.
    """
    if before is None or before.seen.topic_id != seen.topic_id:
        return Watch(seen, seen.position)
    if seen.position is not None and (before.reached is None or seen.position > before.reached):
        return Watch(seen, seen.position)
    behind = seen.position is None or (seen.log_end is not None and seen.log_end > seen.position)
    answered = seen.pending or seen.answered != before.seen.answered
    return Watch(
        seen,
        before.reached,
        before.still_seconds + elapsed if behind else 0.0,
        0.0 if answered else before.silent_seconds + elapsed,
    )


def cause_of_stall(watch: Watch, stall_seconds: float) -> Cause | None:
    """Why the partition is stalled; None while it is not.

    Silence is told first: what stands still because nothing is fetched is not at fault itself.
    """
    if watch.silent_seconds >= stall_seconds:
        return Cause.SILENT
    if watch.still_seconds >= stall_seconds:
        return Cause.STILL
    return None
