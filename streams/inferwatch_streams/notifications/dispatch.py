"""Takes notices to the outboxes of channels, and sends what is due: the shell around the plan."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_streams.notifications import metrics
from inferwatch_streams.notifications.attempt import attempt
from inferwatch_streams.notifications.message import DELIVERED, REFUSED, Answer
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, ALERT, FIRING, RESOLVED
from inferwatch_streams.notifications.outbox import Outbox
from inferwatch_streams.notifications.retrying import seconds_to_next
from inferwatch_streams.notifications.routing import AT_ONCE, Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from inferwatch_streams.notifications.channels.kinds import Channel
    from inferwatch_streams.notifications.configuration import (
        ChannelSettings,
        NotificationsConfiguration,
    )
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.notice import Notice
    from inferwatch_streams.notifications.undelivered import Undelivered

log = structlog.get_logger(__name__)

NOT_CONFIGURED: Final = Answer(REFUSED, "not_configured", "no channel of that name is configured")


@dataclass(slots=True)
class _Post:
    """One channel: what it is to be told, and what is on its way to it."""

    settings: ChannelSettings
    channel: Channel
    outbox: Outbox
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    # Ids of notices that a process before this one may have told, and not recorded.
    maybe_told: set[str] = field(default_factory=set)


class Dispatch:
    """All channels. Used from the event loop."""

    def __init__(
        self,
        configuration: NotificationsConfiguration,
        undelivered: Undelivered,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Open the channels.

        Args:
            configuration: Which there are, and what goes where.
            undelivered: Takes what cannot be told.
            monotonic: A clock in seconds.
            wall: A clock in seconds since 1970.
        """
        self._routing = configuration.routing
        self._undelivered = undelivered
        self._monotonic = monotonic
        self._wall = wall
        self._posts = {
            name: _Post(settings, settings.open(), Outbox(settings.manner))
            for name, settings in configuration.channels.items()
        }
        # Channels that do not exist and their notices, on their way to the dead letters.
        self._burying: dict[asyncio.Task[None], tuple[str, Notice]] = {}

    @property
    def channels(self) -> Collection[str]:
        """Names of the channels."""
        return self._posts.keys()

    async def reset(self) -> None:
        """Forget all notices; what is on its way is broken off."""
        tasks = [*self._tasks()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for post in self._posts.values():
            post.outbox = Outbox(post.settings.manner)
            post.maybe_told = set()
        self._burying = {}

    def restore(self, notice: Notice) -> None:
        """Take in a notice that was told before this process began."""
        now, age = self._monotonic(), self._wall() - notice.at / 1_000_000
        for name, post, place in self._places(notice):
            if place is not None and self._routing.tastes[name].wants(notice):
                post.outbox.restore(notice, place.group, place.timing, now, age)
            else:
                post.outbox.note(notice)

    def take(
        self, notice: Notice, *, maybe_told: bool, told: Callable[[str], bool] = lambda _: False
    ) -> None:
        """Take in a notice, to be told as the routes say.

        Args:
            notice: It.
            maybe_told: Whether a process before this one may have told it.
            told: Of a channel's name, whether that process recorded that it told it there.
        """
        now, age = self._monotonic(), self._wall() - notice.at / 1_000_000
        taken = False
        for name, post, place in self._places(notice):
            if place is None or not self._routing.tastes[name].wants(notice):
                post.outbox.note(notice)
                continue
            taken = True
            if not maybe_told:
                post.outbox.add(notice, place.group, place.timing, now)
                continue
            recorded = told(name)
            if not (recorded or notice.muted):
                post.maybe_told.add(notice.notice_id)
            post.outbox.resume(notice, place.group, place.timing, now, age, told=recorded)
        log.info(
            "notice", kind=notice.kind, subject=notice.subject, state=notice.state,
            title=notice.title, muted=notice.muted, notice_id=notice.notice_id,
        )  # fmt: skip
        if notice.kind == ALERT and notice.state == FIRING and not (taken or notice.muted):
            metrics.UNROUTED.inc()
        for name in self._routing.unknown_channels(notice):
            metrics.UNKNOWN_CHANNELS.inc()
            log.error("an incident names a channel that is not configured", channel=name)
            if not told(name):
                self._burying_of(notice, name)

    def _burying_of(self, notice: Notice, name: str) -> None:
        task = asyncio.create_task(self._undelivered.bury(name, notice, NOT_CONFIGURED, 0))
        self._burying[task] = (name, notice)
        task.add_done_callback(self._buried)

    def _buried(self, task: asyncio.Task[None]) -> None:
        _tell_of_defect(task)
        if not task.cancelled() and task.exception() is None:
            self._burying.pop(task, None)

    def forget(self, subject: str) -> None:
        """Tell nothing more of a subject whose record is gone."""
        for post in self._posts.values():
            post.outbox.forget(subject)

    def _places(self, notice: Notice) -> Iterator[tuple[str, _Post, Destination | None]]:
        found = {place.channel: place for place in self._routing.destinations(notice)}
        for name, post in self._posts.items():
            place = found.get(name)
            if place is None and _goes_on(notice) and post.outbox.knows(notice.subject):
                # Another route takes it meanwhile, or the incident names others (a response action
                # may have had this one told): who heard that it began hears the rest.
                place = Destination(name, "", AT_ONCE)
            yield name, post, place

    def send_due(self) -> None:
        """Begin to send what is due now."""
        now = self._monotonic()
        for name, post in self._posts.items():
            while (message := post.outbox.due(now)) is not None:
                task = asyncio.create_task(self._send(name, post, message))
                post.under_way.add(task)
                task.add_done_callback(post.under_way.discard)
                task.add_done_callback(_tell_of_defect)

    async def settled(self, seconds: float) -> None:
        """Wait until nothing is on its way, for so long at most."""
        if tasks := [*self._tasks()]:
            await asyncio.wait(tasks, timeout=seconds)

    def unsettled(self) -> Iterator[tuple[str, Notice]]:
        """What was taken in and neither told nor buried, after the channel that it is for."""
        yield from self._burying.values()
        for name, post in self._posts.items():
            waiting = list(post.outbox.unsettled())
            metrics.WAITING.labels(name).set(len(waiting))
            yield from ((name, notice) for notice in waiting)

    async def close(self) -> None:
        """Break off what is on its way, and let go of the channels."""
        await self.reset()
        for post in self._posts.values():
            await post.channel.close()

    def _tasks(self) -> Iterable[asyncio.Task[None]]:
        yield from self._burying
        for post in self._posts.values():
            yield from post.under_way

    async def _send(self, name: str, post: _Post, message: Message) -> None:
        if not message.repeat:
            copies = sum(one.notice_id in post.maybe_told for one in message.notices)
            metrics.COPIES_POSSIBLE.labels(name).inc(copies)
        words = post.settings.templates.words(message)
        attempts = 0
        while True:
            attempts += 1
            answer = await attempt(name, post.channel, message, words)
            metrics.ATTEMPTS.labels(name, answer.status).inc()
            left = message.deadline - self._monotonic()
            wait = seconds_to_next(answer, attempts, left, random.uniform)
            if wait is None:
                break
            log.warning(
                "message not delivered, tried again", channel=name, status=answer.status,
                detail=answer.detail, attempts=attempts, seconds=round(wait, 1),
            )  # fmt: skip
            if answer.wait_seconds is not None:
                post.outbox.hold(self._monotonic() + answer.wait_seconds)
            await asyncio.sleep(wait)
        if answer.outcome == DELIVERED:
            metrics.SENT.labels(name, message.worst.state).inc()
            self._observe(name, message)
            log.info(
                "told", channel=name, message_id=message.message_id, attempts=attempts,
                detail=answer.detail,
            )  # fmt: skip
        else:
            await self._give_up(name, message, answer, attempts)
        post.outbox.finish(message, self._monotonic())

    async def _give_up(self, name: str, message: Message, answer: Answer, attempts: int) -> None:
        log.error(
            "message given up", channel=name, status=answer.status, detail=answer.detail,
            attempts=attempts, message_id=message.message_id,
        )  # fmt: skip
        metrics.UNDELIVERED.labels(name).inc(len(message.notices))
        if message.repeat:
            # What it says again was told, or is a dead letter already.
            return
        for notice in message.notices:
            await self._undelivered.bury(name, notice, answer, attempts)

    def _observe(self, name: str, message: Message) -> None:
        if message.repeat:
            return
        for notice in message.notices:
            if notice.origin is not None:
                taken = notice.origin.timestamp / 1000
                metrics.SECONDS.labels(name).observe(max(0.0, self._wall() - taken))


def _goes_on(notice: Notice) -> bool:
    """Whether all who heard that it began are told; of an incident not of each piece of news."""
    return notice.kind == ALERT or notice.state in (ACKNOWLEDGED, RESOLVED)


def _tell_of_defect(task: asyncio.Task[None]) -> None:
    """Say that a task ended as none should; its notices stay unsettled, and keep the offset."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("telling failed", error=type(error).__name__, exc_info=error)
