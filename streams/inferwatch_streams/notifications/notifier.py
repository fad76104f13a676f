"""The role notifications: records of alerts and incidents in, notices out, floors for Kafka."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from inferwatch_schemas.topics import ALERTS, INCIDENTS
from inferwatch_streams.errors import LeadingError
from inferwatch_streams.leading.record_processor import RecordProcessor
from inferwatch_streams.notifications.history import notice_taken, read_before

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_schemas.columnar.chunk import Assignment, TopicPartition
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.leading.record_processor import TakenRecord
    from inferwatch_streams.notifications.dispatch import Dispatch
    from inferwatch_streams.notifications.settings import NotificationsSettings

TOPICS: Final = (ALERTS.name, INCIDENTS.name)
# The transport waits a little longer for the drain.
DRAIN_SECONDS: Final = 8.0
# What was in the log at the beginning comes within this time, or is not waited for.
CATCH_UP_SECONDS: Final = 30.0


class Notifier:
    """What ``RecordProcessor`` calls the handler. Used from the event loop.

    What is above the committed offset when it begins may have been told by a process before this
    one. It is told again, as nothing else than a copy can make sure that nothing is lost.
    """

    def __init__(
        self,
        settings: NotificationsSettings,
        registry: Registry,
        dispatch: Callable[[RecordProcessor], Dispatch],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._monotonic = monotonic
        self.processor = RecordProcessor(settings.kafka, registry, TOPICS, self, fenced=TOPICS)
        self._dispatch = dispatch(self.processor)
        self._topic_ids: dict[str, str] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._begun_at = 0.0
        self._looked: float | None = None
        self._leaving = False

    async def begin(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """See ``RecordHandler``: learn what was told before, and how far the log goes."""
        await self._dispatch.reset()
        self._topic_ids = {topic: start.topic_id for (topic, _), start in assignments.items()}
        ends = {}
        for at, start in sorted(assignments.items()):
            before, ends[at] = await asyncio.to_thread(
                read_before, self._settings.kafka, self._registry, at[0], start,
                self._settings.begin_seconds,
            )  # fmt: skip
            for told in before:
                self._dispatch.restore(told)
        self._ends = ends
        self._begun_at = self._looked = self._monotonic()
        self._leaving = False

    async def take(self, taken: TakenRecord) -> None:
        """See ``RecordHandler``."""
        if taken.record is None:
            self._dispatch.forget(taken.key or "")
            return
        notice = notice_taken(taken, self._topic_ids.get(taken.topic, ""))
        if notice is not None:
            end = self._ends.get((taken.topic, taken.partition), 0)
            self._dispatch.take(notice, maybe_told=taken.offset < end)

    async def tick(self) -> None:
        """Send what is due, and say how far all is told; to be called often."""
        # Once it leaves, the outboxes say no more what is told.
        if not await self.processor.ready() or self._leaving:
            return
        now = self._monotonic()
        slept = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        if slept > self._settings.session_timeout_seconds:
            # Another may tell now. Whoever has the partitions begins anew.
            self.processor.begin_anew(LeadingError(f"this process stood still for {slept:.0f} s"))
            return
        if self._caught_up(now):
            self._dispatch.send_due()
        self._say_done()

    def _caught_up(self, now: float) -> bool:
        """Whether what was in the log at the beginning was taken in: it is told in few messages."""
        if now > self._begun_at + CATCH_UP_SECONDS:
            return True
        return all((self.processor.position(at) or 0) >= end for at, end in self._ends.items())

    def _say_done(self) -> None:
        lowest: dict[TopicPartition, int] = {}
        for notice in self._dispatch.unsettled():
            if notice.origin is not None:
                at = (notice.origin.topic, notice.origin.partition)
                lowest[at] = min(lowest.get(at, notice.origin.offset), notice.origin.offset)
        for topic in TOPICS:
            at = (topic, 0)
            position = self.processor.position(at)
            if position is not None:
                self.processor.done(at, min(lowest.get(at, position), position))

    async def drain(self) -> None:
        """See ``RecordHandler``: wait a while for what is on its way, and begin nothing more.

        What is still on its way then is broken off: it is told by whoever has the partitions next.
        """
        self._leaving = True
        await self._dispatch.settled(DRAIN_SECONDS)
        self._say_done()
        await self._dispatch.reset()

    async def close(self) -> None:
        """Let go of the channels."""
        await self._dispatch.close()
