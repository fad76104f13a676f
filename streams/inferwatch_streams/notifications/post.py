"""One channel at work: what it is to be told, and what is on its way to it."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import structlog

from inferwatch_streams.notifications import metrics
from inferwatch_streams.notifications.attempt import attempt
from inferwatch_streams.notifications.message import DELIVERED, REFUSED, Answer
from inferwatch_streams.notifications.outbox import Outbox
from inferwatch_streams.notifications.retrying import seconds_to_next

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from inferwatch_streams.notifications.channels.kinds import Channel
    from inferwatch_streams.notifications.configuration import ChannelSettings
    from inferwatch_streams.notifications.message import Message
    from inferwatch_streams.notifications.notice import Notice
    from inferwatch_streams.notifications.undelivered import Undelivered

log = structlog.get_logger(__name__)

NOT_CONFIGURED: Final = Answer(REFUSED, "not_configured", "no channel of that name is configured")


class Post:
    """Sends what its outbox has; used from the event loop.

    Attributes:
        name: The channel's name.
        kind: The channel's kind.
        outbox: What it is to be told.
        maybe_told: Ids of notices that a process before this one may have told, and not recorded.
        under_way: What is on its way.
        gone: Whether the channel is configured no more: what is on its way is not tried again.
    """

    def __init__(
        self,
        settings: ChannelSettings,
        undelivered: Undelivered,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """Open the channel.

        Args:
            settings: Which it is.
            undelivered: Takes what cannot be told.
            monotonic: A clock in seconds.
            wall: A clock in seconds since 1970.
        """
        self.name = settings.name
        self.kind = settings.kind
        self.outbox = Outbox(settings.manner)
        self.maybe_told: set[str] = set()
        self.under_way: set[asyncio.Task[None]] = set()
        self.gone = False
        self._settings = settings
        self._channel = settings.open()
        self._undelivered = undelivered
        self._monotonic = monotonic
        self._wall = wall
        # Channels as they were, until what they were sending has ended.
        self._closing: set[asyncio.Task[None]] = set()

    def change(self, settings: ChannelSettings) -> None:
        """Send what is still to be told as other settings say; nothing comes of the same ones.

        An attempt that is on its way ends as it began; the next one is made the new way.
        """
        if settings == self._settings:
            return
        before, self._channel = self._channel, settings.open()
        self._settings = settings
        self.outbox.change(settings.manner)
        task = asyncio.create_task(_close_after(before, [*self.under_way]))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        task.add_done_callback(tell_of_defect)

    def send_due(self) -> None:
        """Begin to send what is due now."""
        now = self._monotonic()
        while (message := self.outbox.due(now)) is not None:
            task = asyncio.create_task(self._send(message))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)
            task.add_done_callback(tell_of_defect)

    def reset(self) -> None:
        """Forget all notices; nothing may be on its way."""
        self.outbox = Outbox(self._settings.manner)
        self.maybe_told = set()

    def unsettled(self) -> Sequence[Notice]:
        """What was taken in and neither told nor buried."""
        waiting = list(self.outbox.unsettled())
        metrics.WAITING.labels(self.name).set(len(waiting))
        return waiting

    async def close(self) -> None:
        """Let go of the channel; nothing may be on its way."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._channel.close()

    async def _send(self, message: Message) -> None:
        if not message.repeat:
            copies = sum(one.notice_id in self.maybe_told for one in message.notices)
            metrics.COPIES_POSSIBLE.labels(self.name).inc(copies)
        attempts = 0
        while True:
            attempts += 1
            # Anew: the channel may have been changed since the last attempt.
            words = self._settings.templates.words(message)
            answer = await attempt(self.name, self._channel, message, words)
            metrics.ATTEMPTS.labels(self.name, answer.status).inc()
            left = message.deadline - self._monotonic()
            wait = seconds_to_next(answer, attempts, left, random.uniform)
            if wait is None:
                break
            log.warning(
                "message not delivered, tried again", channel=self.name, status=answer.status,
                detail=answer.detail, attempts=attempts, seconds=round(wait, 1),
            )  # fmt: skip
            if answer.wait_seconds is not None:
                self.outbox.hold(self._monotonic() + answer.wait_seconds)
            await asyncio.sleep(wait)
            if self.gone:
                answer = NOT_CONFIGURED
                break
        if answer.outcome == DELIVERED:
            metrics.SENT.labels(self.name, message.worst.state).inc()
            self._observe(message)
            log.info(
                "told", channel=self.name, message_id=message.message_id, attempts=attempts,
                detail=answer.detail,
            )  # fmt: skip
        else:
            await self._give_up(message, answer, attempts)
        self.outbox.finish(message, self._monotonic())

    async def _give_up(self, message: Message, answer: Answer, attempts: int) -> None:
        log.error(
            "message given up", channel=self.name, status=answer.status, detail=answer.detail,
            attempts=attempts, message_id=message.message_id,
        )  # fmt: skip
        metrics.UNDELIVERED.labels(self.name).inc(len(message.notices))
        if message.repeat:
            # What it says again was told, or is a dead letter already.
            return
        for notice in message.notices:
            await self._undelivered.bury(self.name, notice, answer, attempts)

    def _observe(self, message: Message) -> None:
        if message.repeat:
            return
        for notice in message.notices:
            if notice.origin is not None:
                taken = notice.origin.timestamp / 1000
                metrics.SECONDS.labels(self.name).observe(max(0.0, self._wall() - taken))


async def _close_after(channel: Channel, tasks: Collection[asyncio.Task[None]]) -> None:
    """Let go of a channel when nothing that began with it is on its way any more."""
    if tasks:
        await asyncio.wait(tasks)
    await channel.close()


def tell_of_defect(task: asyncio.Task[None]) -> None:
    """Say that a task ended as none should; its notices stay unsettled, and keep the offset."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("telling failed", error=type(error).__name__, exc_info=error)
