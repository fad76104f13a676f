"""At which event times rules look, and when they wait: pure, told the time and the log's ends.

Times are microseconds since 1970 (UTC). A tick looks at events up to ``settle`` ago: so long they
have to arrive and be counted. It may not come before the rows are read that were in the log by
then, and where it is late, what it missed is looked at in steps, up to a limit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_schemas.columnar.chunk import TopicPartition

SECOND: Final = 1_000_000
#: Steps in which missed time is looked at: the length of a window.
STEP: Final = 10 * SECOND
#: Windows of 10 seconds are kept for so long; what is older is not looked at any more.
MOST_MISSED: Final = 15 * 60 * SECOND
#: For so long no row may come before rules wait for the next: an aggregation that was replaced.
LULL: Final = 10 * SECOND
# Ends that are waited for; the reader is far behind where there are more.
MOST_ENDS: Final = 120


class Held(StrEnum):
    """Why rules wait."""

    BEHIND = "aggregates not read to their end"
    SILENT = "no aggregate row of the present came"


@dataclass(frozen=True, slots=True)
class Tick:
    """What is to be done now.

    Attributes:
        at: Event time of the evaluation.
        held: Why the rules are not to be evaluated, at most the pipeline's silence told.
        skipped: Event time that is never looked at, in microseconds.
    """

    at: int
    held: Held | None = None
    skipped: int = 0


class Ticking:
    """Decides; told everything by its caller.

    Attributes:
        evaluated_until: Event time up to which rules have looked; None before the first tick.
    """

    def __init__(self, settle: int, silence: int) -> None:
        """Set the lengths of time; ``begin`` comes before anything else."""
        self._settle = settle
        self._silence = silence
        self.evaluated_until: int | None = None
        self._came_at = 0
        self._heard_at = 0
        self._anything = False
        self._read_until: int | None = None
        self._ends: deque[tuple[int, Mapping[TopicPartition, int]]] = deque()

    def begin(self, evaluated_until: int | None, now: int, newest: int | None) -> None:
        """Begin anew after a checkpoint, or from the present where there is none.

        Args:
            evaluated_until: Of the checkpoint.
            now: The time.
            newest: See ``came``.
        """
        self.evaluated_until = evaluated_until
        self.came(now, newest)
        self._read_until = None
        self._ends.clear()

    def came(self, now: int, newest: int | None) -> None:
        """Rows came.

        Args:
            now: The time.
            newest: End of the newest window of all rows so far. Rows of the past alone, read again
                after a start or from an aggregation that is far behind, tell nothing of the
                present: services that they do not show may well be talking. None where all are
                older than windows are kept, as of a trace that is played: that is no silence.
        """
        self._heard_at = now
        self._came_at = now if newest is None else min(now, newest)

    def see(
        self,
        now: int,
        ends: Mapping[TopicPartition, int],
        positions: Mapping[TopicPartition, int],
    ) -> None:
        """Hear where the partitions end now, and up to where they are read.

        What was in the log at a time is read when all positions have reached its ends of then.
        """
        self._anything = any(end > 0 for end in ends.values())
        if len(self._ends) < MOST_ENDS:
            self._ends.append((now, dict(ends)))
        while self._ends:
            seen, reached = self._ends[0]
            if any(positions.get(at, 0) < end for at, end in reached.items()):
                return
            self._read_until = seen
            self._ends.popleft()

    def due(self, now: int) -> Tick | None:
        """The next tick; None where none is due yet.

        After one was carried out, ``evaluated_until`` is set to its time by the caller, but where
        it was held.
        """
        present = (now - self._settle) // SECOND * SECOND
        # A pipeline through which nothing ever came is not silent, but new; and of one whose rows
        # were read and are not any more nobody knows.
        reads = self._read_until is None or now - self._read_until < self._silence
        if self._anything and reads and now - self.silent_since >= self._silence:
            return Tick(present, Held.SILENT)
        if self._read_until is None:
            return Tick(present, Held.BEHIND)
        read = (self._read_until - self._settle // 2) // SECOND * SECOND
        # Further than rows tell a service that is not in them may well be talking.
        told = self._came_at + LULL if self._anything else present
        limit = min(present, read, told // SECOND * SECOND)
        # What lies ahead of the clock was looked at before somebody set that back.
        if self.evaluated_until is None or self.evaluated_until > present + STEP:
            return Tick(limit)
        missed = limit - self.evaluated_until
        if missed <= 0:
            return Tick(present, Held.BEHIND) if present - self.evaluated_until > STEP else None
        if missed > MOST_MISSED:
            return Tick(limit - MOST_MISSED, skipped=missed - MOST_MISSED)
        return Tick(limit if missed <= STEP else self.evaluated_until + STEP)

    @property
    def silent_since(self) -> int:
        """Up to when the rows tell; until they are read, when the last came, or reading began."""
        return self._heard_at if self._read_until is None else self._came_at
