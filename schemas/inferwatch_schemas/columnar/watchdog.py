"""The watchdog of a worker's app: says in log, metrics and health which partitions are stalled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from inferwatch_schemas.columnar.stalls import Cause, Watch, cause_of_stall, look

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client import Counter, Gauge

    from inferwatch_schemas.columnar.chunk import TopicPartition
    from inferwatch_schemas.columnar.stalls import Observation
    from inferwatch_schemas.columnar.waits import Waits

log = structlog.get_logger(__name__)

#: The watchdog is to be shown the partitions about so often.
LOOK_SECONDS: Final = 1.0
# What passes between two looks counts for so much at most: the rest nobody has watched. A loop
# that compiles for seconds, or a process that was stopped, has stalled no partition.
MOST_ELAPSED_SECONDS: Final = 2.0
# A watchdog that has seen nothing for so long knows nothing.
BLIND_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Meters:
    """The component's metrics that the watchdog keeps.

    Attributes:
        lag: Records behind the log's end, by topic and partition.
        stalled: 1 where a partition is stalled and 0 where not, by topic and partition.
        repairs: How often partitions were read again because one was stalled for no known reason.
        recreated: How often a topic was found to have been created again, by topic.
    """

    lag: Gauge
    stalled: Gauge
    repairs: Counter
    recreated: Counter


class Watchdog:
    """Watches over the partitions of one app.

    The event loop shows it the partitions; ``reasons`` may be asked from any thread.
    """

    def __init__(
        self,
        app: str,
        stall_seconds: float,
        meters: Meters,
        waits: Waits,
        monotonic: Callable[[], float],
    ) -> None:
        """Start without partitions.

        Args:
            app: Names the app: its consumer group.
            stall_seconds: How long a partition may stand still.
            meters: Metrics to keep.
            waits: What the app waits for.
            monotonic: A clock in seconds.
        """
        self._app = app
        self._stall_seconds = stall_seconds
        self._meters = meters
        self._waits = waits
        self._monotonic = monotonic
        self._looked = monotonic()
        self._watched: dict[TopicPartition, Watch] = {}
        self._stalled: frozenset[TopicPartition] = frozenset()
        self._joining_since: float | None = self._looked
        # For how long nothing has been waited for.
        self._free_seconds = 0.0
        self._repaired: frozenset[TopicPartition] = frozenset()
        # Replaced as a whole, never changed: other threads read it.
        self._reasons = tuple(self._found())

    def observe(self, seen: Mapping[TopicPartition, Observation] | None, *, joined: bool) -> None:
        """Look at every assigned partition; to be called about once in ``LOOK_SECONDS``.

        Args:
            seen: The partitions; None while there is no assignment, as during a rebalance: one
                that gives a partition back to us does not end its stall.
            joined: Whether the group is settled and these are our partitions in it.
        """
        now = self._monotonic()
        elapsed, self._looked = min(now - self._looked, MOST_ELAPSED_SECONDS), now
        if joined:
            self._joining_since = None
        elif self._joining_since is None:
            self._joining_since = now
        self._free_seconds = 0.0 if self._waited_for() else self._free_seconds + elapsed
        if seen is not None:
            self._look_at(seen, elapsed)
        self._reasons = tuple(self._found())

    def take_repair(self) -> bool:
        """Whether the partitions should be read again from their floors; said once a stall.

        Not while the app waits for something, or has just done so: that explains the stall.
        """
        self._repaired &= self._stalled
        hopeful = {at for at in self._stalled if self._cause(at) is Cause.STILL} - self._repaired
        if not hopeful or self._free_seconds < self._stall_seconds:
            return False
        self._repaired |= hopeful
        self._meters.repairs.inc()
        log.error(
            "partitions are stalled and nothing is waited for: all are read again",
            app=self._app, stalled=[f"{topic}/{partition}" for topic, partition in sorted(hopeful)],
        )  # fmt: skip
        return True

    def tell_recreated(self, topics: Mapping[str, tuple[str, str]]) -> None:
        """Say that topics were deleted and created again: their ids before and now, by name."""
        for topic, (before, now) in sorted(topics.items()):
            self._meters.recreated.labels(topic).inc()
            log.error(
                "topic was deleted and created again: the new one is read from its start",
                app=self._app, topic=topic, was=before, is_now=now,
            )  # fmt: skip

    def reasons(self) -> tuple[dict[str, Any], ...]:
        """Why the app is not ready, one JSON object a reason; empty when it is."""
        blind = self._monotonic() - self._looked
        if blind > BLIND_SECONDS:
            return (self._reason("the watchdog has seen no partition", blind),)
        return self._reasons

    def _look_at(self, seen: Mapping[TopicPartition, Observation], elapsed: float) -> None:
        for at in self._watched.keys() - seen.keys():
            labels = (at[0], str(at[1]))
            self._meters.lag.remove(*labels)
            self._meters.stalled.remove(*labels)
            if at in self._stalled:
                log.info(
                    "stalled partition given away", app=self._app, topic=at[0], partition=at[1]
                )
        self._watched = {
            at: look(self._watched.get(at), observation, elapsed)
            for at, observation in seen.items()
        }
        before, self._stalled = (
            self._stalled, frozenset(at for at in self._watched if self._cause(at))
        )  # fmt: skip
        for at in sorted(self._stalled - before):
            log.error("partition stalled", **self._told(at))
        for at in sorted((before & seen.keys()) - self._stalled):
            log.info(
                "partition no longer stalled", app=self._app, topic=at[0], partition=at[1],
                position=self._watched[at].seen.position,
            )  # fmt: skip
        for at, watch in self._watched.items():
            labels = (at[0], str(at[1]))
            self._meters.lag.labels(*labels).set(watch.lag)
            self._meters.stalled.labels(*labels).set(at in self._stalled)

    def _found(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        if self._joining_since is not None:
            seconds = self._monotonic() - self._joining_since
            found.append(self._reason("the consumer group has not settled", seconds))
        found += [{"reason": "partition stalled", **self._told(at)} for at in sorted(self._stalled)]
        found += [
            self._reason(f"waits for {what}", seconds)
            for what, seconds in self._waited_for().items()
            if seconds >= self._stall_seconds
        ]
        return found

    def _cause(self, at: TopicPartition) -> Cause | None:
        return cause_of_stall(self._watched[at], self._stall_seconds)

    def _waited_for(self) -> dict[str, float]:
        """What the app waits for, without what it waits for in passing at every flush."""
        waits = self._waits.seconds()
        return {what: seconds for what, seconds in waits.items() if seconds >= LOOK_SECONDS}

    def _reason(self, reason: str, seconds: float) -> dict[str, Any]:
        return {"reason": reason, "app": self._app, "seconds": round(seconds, 1)}

    def _told(self, at: TopicPartition) -> dict[str, Any]:
        watch = self._watched[at]
        silent = self._cause(at) is Cause.SILENT
        seconds = watch.silent_seconds if silent else watch.still_seconds
        waits = ["Kafka to answer a fetch"] if silent else []
        return {
            "app": self._app,
            "topic": at[0],
            "partition": at[1],
            "position": watch.seen.position,
            "log_end": watch.seen.log_end,
            "seconds": round(seconds, 1),
            "cause": (Cause.SILENT if silent else Cause.STILL).value,
            "waits_for": [*waits, *self._waited_for()] or ["nothing known"],
        }
