"""Takes notices to the outboxes of channels, and sends what is due: the shell around the plan."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from inferwatch_streams.notifications import metrics
from inferwatch_streams.notifications.notice import ACKNOWLEDGED, ALERT, FIRING, RESOLVED
from inferwatch_streams.notifications.post import NOT_CONFIGURED, Post, tell_of_defect
from inferwatch_streams.notifications.routing import AT_ONCE, Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from inferwatch_streams.notifications.configuration import (
        ChannelSettings,
        NotificationsConfiguration,
    )
    from inferwatch_streams.notifications.notice import Notice
    from inferwatch_streams.notifications.undelivered import Undelivered

log = structlog.get_logger(__name__)


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
            name: self._post(settings) for name, settings in configuration.channels.items()
        }
        # Those of channels that are configured no more, while something is on its way to them.
        self._gone: set[Post] = set()
        self._departing: set[asyncio.Task[None]] = set()
        # Channels that do not exist and their notices, on their way to the dead letters.
        self._burying: dict[asyncio.Task[None], tuple[str, Notice]] = {}

    def _post(self, settings: ChannelSettings) -> Post:
        return Post(settings, self._undelivered, self._monotonic, self._wall)

    @property
    def channels(self) -> Collection[str]:
        """Names of the channels."""
        return self._posts.keys()

    def change(self, configuration: NotificationsConfiguration) -> frozenset[str]:
        """Go on with other channels and routes.

        What was to be told to a channel stays so, whatever routes say now. What a channel that is
        no more was still to be told becomes dead letters; one of another kind is another channel.

        Returns:
            Names of the channels that are new.
        """
        self._routing = configuration.routing
        kinds = {name: settings.kind for name, settings in configuration.channels.items()}
        for name, post in [*self._posts.items()]:
            if kinds.get(name) != post.kind:
                self._remove(self._posts.pop(name))
        new = kinds.keys() - self._posts.keys()
        for name, settings in configuration.channels.items():
            if name in new:
                self._posts[name] = self._post(settings)
            else:
                self._posts[name].change(settings)
                timing = configuration.routing.tastes[name].mirroring
                if timing is not None:
                    self._posts[name].outbox.retime(timing, self._monotonic())
        return frozenset(new)

    def _remove(self, post: Post) -> None:
        post.gone = True
        self._gone.add(post)
        for notice in post.outbox.abandon():
            metrics.UNDELIVERED.labels(post.name).inc()
            self._burying_of(notice, post.name)
        task = asyncio.create_task(self._depart(post))
        self._departing.add(task)
        task.add_done_callback(self._departing.discard)
        task.add_done_callback(tell_of_defect)

    async def _depart(self, post: Post) -> None:
        if post.under_way:
            await asyncio.wait(post.under_way)
        self._gone.discard(post)
        metrics.WAITING.labels(post.name).set(0)
        await post.close()

    async def reset(self) -> None:
        """Forget all notices; what is on its way is broken off."""
        tasks = [*self._tasks()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for post in self._posts.values():
            post.reset()
        self._burying = {}

    def restore(self, notice: Notice, only: Collection[str] | None = None) -> None:
        """Take in a notice that was told before this process began.

        Args:
            notice: It.
            only: Names of channels to which this is new; all when None.
        """
        now, age = self._monotonic(), self._wall() - notice.at / 1_000_000
        for name, post, place in self._places(notice):
            if only is not None and name not in only:
                continue
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
        tell_of_defect(task)
        if not task.cancelled() and task.exception() is None:
            self._burying.pop(task, None)

    def forget(self, subject: str) -> None:
        """Tell nothing more of a subject whose record is gone."""
        for post in self._posts.values():
            post.outbox.forget(subject)

    def _places(self, notice: Notice) -> Iterator[tuple[str, Post, Destination | None]]:
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
        for post in self._posts.values():
            post.send_due()

    async def settled(self, seconds: float) -> None:
        """Wait until nothing is on its way, for so long at most."""
        if tasks := [*self._tasks()]:
            await asyncio.wait(tasks, timeout=seconds)

    def unsettled(self) -> Iterator[tuple[str, Notice]]:
        """What was taken in and neither told nor buried, after the channel that it is for."""
        yield from self._burying.values()
        for post in (*self._posts.values(), *self._gone):
            yield from ((post.name, notice) for notice in post.unsettled())

    async def close(self) -> None:
        """Break off what is on its way, and let go of the channels."""
        await self.reset()
        for post in self._posts.values():
            await post.close()
        # What was on its way has been broken off.
        await asyncio.gather(*self._departing, return_exceptions=True)

    def _tasks(self) -> Iterable[asyncio.Task[None]]:
        yield from self._burying
        for post in (*self._posts.values(), *self._gone):
            yield from post.under_way


def _goes_on(notice: Notice) -> bool:
    """Whether all who heard that it began are told; of an incident not of each piece of news."""
    return notice.kind == ALERT or notice.state in (ACKNOWLEDGED, RESOLVED)
