"""The role notifications: records of alerts and incidents in, notices out, floors for Kafka."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_schemas.columnar.chunk import Assignment
from inferwatch_schemas.errors import SchemasError
from inferwatch_schemas.topics import ALERTS, INCIDENTS
from inferwatch_streams.errors import LeadingError
from inferwatch_streams.leading.record_processor import RecordProcessor
from inferwatch_streams.notifications import metrics
from inferwatch_streams.notifications.history import notice_taken, read_before
from inferwatch_streams.notifications.told_note import NO_NOTE, ToldNote, written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inferwatch_schemas.columnar.chunk import TopicPartition
    from inferwatch_schemas.registry import Registry
    from inferwatch_streams.leading.record_handler import TakenRecord
    from inferwatch_streams.notifications.configuration import NotificationsConfiguration
    from inferwatch_streams.notifications.dispatch import Dispatch
    from inferwatch_streams.notifications.settings import NotificationsSettings

log = structlog.get_logger(__name__)

TOPICS: Final = (ALERTS.name, INCIDENTS.name)
# The transport waits a little longer for the drain.
DRAIN_SECONDS: Final = 8.0
#: How often to look whether the file has changed.
LOOK_SECONDS: Final = 2.0
# What was in the log at the beginning comes within this time, or is not waited for.
CATCH_UP_SECONDS: Final = 30.0


class Notifier:
    """What ``RecordProcessor`` calls the handler. Used from the event loop.

    What is above the committed offset when it begins may have been told by a process before this
    one. Where the note beside the offset does not say so it is told again, as nothing else than a
    copy can make sure that nothing is lost.
    """

    def __init__(
        self,
        settings: NotificationsSettings,
        registry: Registry,
        dispatch: Callable[[RecordProcessor], Dispatch],
        changed: Callable[[], NotificationsConfiguration | None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without partitions.

        Args:
            settings: What it needs to know.
            registry: Where schemas come from.
            dispatch: Makes what tells.
            changed: Other channels and routes, where there are such since it was asked last.
            monotonic: A clock in seconds.
        """
        self._settings = settings
        self._registry = registry
        self._monotonic = monotonic
        self.processor = RecordProcessor(settings.kafka, registry, TOPICS, self, fenced=TOPICS)
        self._dispatch = dispatch(self.processor)
        self._changed = changed
        # Held while the file is looked at, and the log is read for channels that are new.
        self._taking = asyncio.Lock()
        self._topic_ids: dict[str, str] = {}
        # Offset after the last record that was taken.
        self._taken: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        # What the process before this one has left.
        self._notes: dict[TopicPartition, ToldNote] = {}
        self._begun_at = 0.0
        self._looked: float | None = None
        self._leaving = False

    async def begin(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        """See ``RecordHandler``: learn what was told before, and how far the log goes."""
        async with self._taking:
            await self._begin(assignments)

    async def _begin(self, assignments: Mapping[TopicPartition, Assignment]) -> None:
        await self._dispatch.reset()
        # One that stood by has not looked.
        if (configuration := await asyncio.to_thread(self._changed)) is not None:
            self._dispatch.change(configuration)
        self._taken = {at: start.start for at, start in assignments.items()}
        self._topic_ids = {topic: start.topic_id for (topic, _), start in assignments.items()}
        ends, notes = {}, {}
        for at, start in sorted(assignments.items()):
            before, ends[at] = await asyncio.to_thread(
                read_before, self._settings.kafka, self._registry, at[0], start,
                self._settings.begin_seconds,
            )  # fmt: skip
            for told in before:
                self._dispatch.restore(told)
            notes[at] = _read_note(at[0], start.note, ends[at])
        self._ends, self._notes = ends, notes
        self._begun_at = self._looked = self._monotonic()
        self._leaving = False

    async def take(self, taken: TakenRecord) -> None:
        """See ``RecordHandler``."""
        async with self._taking:
            self._take(taken)

    def _take(self, taken: TakenRecord) -> None:
        self._taken[taken.topic, taken.partition] = taken.offset + 1
        if taken.record is None:
            self._dispatch.forget(taken.key or "")
            return
        notice = notice_taken(taken, self._topic_ids.get(taken.topic, ""))
        if notice is not None:
            at = (taken.topic, taken.partition)
            note = self._notes.get(at, NO_NOTE)
            self._dispatch.take(
                notice,
                maybe_told=taken.offset < self._ends.get(at, 0),
                told=lambda channel: note.told(channel, taken.offset),
            )

    async def tick(self) -> None:
        """Send what is due, and say how far all is told; to be called often."""
        # Once it leaves, the outboxes say no more what is told.
        if not await self.processor.ready() or self._leaving:
            return
        now = self._monotonic()
        slept = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        if slept > self._settings.session_timeout_seconds:
            # Another may tell now. Whoever has the partitions begins anew, and that may not be this
            # one: what it was trying is not tried on.
            self.processor.begin_anew(LeadingError(f"this process stood still for {slept:.0f} s"))
            await self._dispatch.reset()
            return
        if self._caught_up(now):
            self._dispatch.send_due()
        self._say_done()

    async def look(self) -> None:
        """Go on with other channels and routes, where the file says so now; apart from ``tick``."""
        if not await self.processor.ready() or self._leaving:
            return
        # Also around the reading: what is older must not come after what a beginning has found.
        async with self._taking:
            configuration = await asyncio.to_thread(self._changed)
            if configuration is None:
                return
            new = self._dispatch.change(configuration)
            # No record is taken in meanwhile.
            seconds = self._settings.session_timeout_seconds / 5
            for (topic, partition), offset in sorted(self._taken.items()) if new else ():
                start = Assignment(self._topic_ids[topic], offset, offset)
                try:
                    before, _ = await asyncio.to_thread(
                        read_before, self._settings.kafka, self._registry, topic, start,
                        seconds,
                    )  # fmt: skip
                except SchemasError as error:
                    log.warning(
                        "new channels are not told of what fires already", topic=topic,
                        partition=partition, error=str(error),
                    )  # fmt: skip
                    continue
                for told in before:
                    self._dispatch.restore(told, new)

    def _caught_up(self, now: float) -> bool:
        """Whether what was in the log at the beginning was taken in: it is told in few messages."""
        if now > self._begun_at + CATCH_UP_SECONDS:
            return True
        return all((self.processor.position(at) or 0) >= end for at, end in self._ends.items())

    def _say_done(self) -> None:
        unsettled: dict[str, dict[str, set[int]]] = {
            topic: {channel: set() for channel in self._dispatch.channels} for topic in TOPICS
        }
        for channel, notice in self._dispatch.unsettled():
            if notice.origin is not None:
                of = unsettled[notice.origin.topic]
                of.setdefault(channel, set()).add(notice.origin.offset)
        for topic, of in unsettled.items():
            at = (topic, 0)
            position = self.processor.position(at)
            # A note hangs together: until all that it speaks of is taken in, it stands, and the
            # offset that it was committed with. What came first may be told by then, and make
            # needed what was not.
            if position is None or position < self._notes.get(at, NO_NOTE).until:
                continue
            floor = min([position, *(min(offsets) for offsets in of.values() if offsets)])
            text, until = written(of, floor, position)
            metrics.UNRECORDED.labels(topic).set(position - until)
            self.processor.done(at, floor, text)

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


def _read_note(topic: str, text: str, end: int) -> ToldNote:
    try:
        return ToldNote.read(text, end)
    except ValueError as error:
        metrics.UNREADABLE_NOTES.labels(topic).inc()
        log.warning(
            "what was committed does not say which channels were told; they may be told again",
            topic=topic, error=str(error),
        )  # fmt: skip
        return NO_NOTE
