"""Tells how many events a producer had made when it ended: this one, or one that was killed.

What is made has a number, so loss shows as a gap, but for the last events: after them nothing
comes. A ``producer_end`` event says where the numbers end. It is sent

- for a process that has died, by any other of its service on this host, out of its tally;
- by a process itself, at an orderly end at which not all it made was acknowledged.

A tally is removed when Kafka has acknowledged what is told of it, and not before, so that what is
told may be told twice, which means the same.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from inferwatch_agents.tally import Numbers
from inferwatch_schemas.instants import now_micros
from inferwatch_schemas.topics import PRODUCER_ENDS, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_agents.outcomes import Faults, Outcomes
    from inferwatch_agents.spool import Spool
    from inferwatch_agents.tally import Dead, Tally

SCHEMA: Final = PRODUCER_ENDS.schemas[0]
LOOK_SECONDS: Final = 30.0
TOPICS: Final = {schema: topic.name for topic in PUBLISHED for schema in topic.schemas}


class Ends:
    """One producer's numbers, and the ends of dead ones; all but ``numbers`` is for one thread."""

    def __init__(
        self,
        spool: Spool,
        producer_id: str,
        outcomes: Outcomes,
        faults: Faults,
        emit: Callable[[str, Mapping[str, Any], int], None],
    ) -> None:
        """Begin; a file is made with the first number.

        Args:
            spool: Where the files are.
            producer_id: Of this process.
            outcomes: What became of events.
            faults: Counts what failed here.
            emit: Takes an event: schema, record, microseconds since 1970 (UTC).
        """
        self._spool = spool
        self._producer_id = producer_id
        self._outcomes = outcomes
        self._faults = faults
        self._emit = emit
        # A forked child goes on with its parent's.
        self._sent_before = Counter(outcomes.sent)
        self._numbers: dict[str, Numbers] = {}
        self._tally: Tally | None = None
        self._tried = False
        self._look_at = 0.0
        # What was told and is not settled: the files, how many events, and outcomes before them.
        self._held: list[Tally | Dead] = []
        self._told = 0
        self._before = (0, 0)

    def numbers(self, schema: str) -> Numbers:
        """Numbers of a schema's events, kept for after a death where that can be; never raises."""
        found = Numbers()
        try:
            if not self._tried:
                self._tried = True
                self._tally = self._spool.create(self._producer_id)
            if self._tally is not None:
                found = self._tally.numbers(schema)
        except Exception as error:  # noqa: BLE001  # the caller's work is not to end for its monitoring
            self._faults.note("keeping the last numbers", error)
        return self._numbers.setdefault(schema, found)

    def look(self, now: float, *, idle: bool) -> None:
        """See now and then whether anybody has died, and whether what was told has arrived.

        Args:
            now: Seconds of ``time.monotonic``.
            idle: Whether nothing waits for Kafka.

        Raises:
            OSError: The files cannot be read.
        """
        if self._tally is not None:
            self._tally.seen(now_micros())
        if self._told:
            self._settle()
        elif idle and now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            for dead in self._spool.claim():
                self._held.append(dead.file)
                self._tell(dead.producer_id, dead.told.made, dead.told.seen)
            self._settle()

    def finish(self) -> bool:
        """No more events come: True where that is told, as some have not arrived, and now waits."""
        made = {schema: numbers.made for schema, numbers in list(self._numbers.items())}
        arrived = self._outcomes.sent - self._sent_before
        untold = {schema: count for schema, count in made.items() if count > arrived[schema]}
        tally, self._tally = self._tally, None
        if tally is not None and untold:
            self._held.append(tally)
        elif tally is not None:
            tally.remove()
        self._tell(self._producer_id, untold, now_micros())
        return bool(untold)

    def close(self) -> None:
        """Leave to others what was told and has not arrived.

        Raises:
            OSError: A file cannot be removed.
        """
        if self._told:
            self._settle()
        self.leave()

    def leave(self) -> None:
        """Let go of all files, as a forked child does of its parent's."""
        for file in (*self._held, *filter(None, [self._tally])):
            file.release()
        self._held, self._tally = [], None

    def _tell(self, producer_id: str, made: Mapping[str, int], at: int) -> None:
        if not self._told:
            self._before = self._outcome()
        for schema in made.keys() & TOPICS.keys():
            record = {
                "service_name": self._spool.service,
                "deployment_environment_name": self._spool.environment,
                "ended_producer_id": producer_id,
                "ended_topic": TOPICS[schema],
                "events_made": made[schema],
            }
            self._told += 1
            self._emit(SCHEMA, record, at)

    def _settle(self) -> None:
        sent, lost = (now - then for now, then in zip(self._outcome(), self._before, strict=True))
        if sent + lost < self._told:
            return
        held, self._held, self._told = self._held, [], 0
        for file in held:
            if lost:
                file.release()
            else:
                file.remove()

    def _outcome(self) -> tuple[int, int]:
        """Ends that were sent, and that were lost."""
        lost = self._outcomes.dropped, self._outcomes.failed
        return self._outcomes.sent[SCHEMA], sum(
            count for kind in lost for (schema, _), count in list(kind.items()) if schema == SCHEMA
        )
