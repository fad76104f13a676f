"""The role notifications without a broker: from chunks to channels."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from batches import Record, batch, fetched
from notices import AT, FREE

from inferwatch_schemas.columnar.chunk import Assignment, Chunk
from inferwatch_schemas.registry import PinnedRegistry
from inferwatch_schemas.topics import ALERTS, INCIDENTS
from inferwatch_schemas.wire import Encoder
from inferwatch_streams.alerts.alert import Alert
from inferwatch_streams.alerts.memory import Memory
from inferwatch_streams.leading import record_processor
from inferwatch_streams.leading.fence import EPOCH_HEADER
from inferwatch_streams.notifications import notifier as module
from inferwatch_streams.notifications.configuration import (
    ChannelSettings,
    NotificationsConfiguration,
)
from inferwatch_streams.notifications.dispatch import Dispatch
from inferwatch_streams.notifications.message import DELIVERED, Answer, Message
from inferwatch_streams.notifications.notice import Notice
from inferwatch_streams.notifications.notifier import Notifier
from inferwatch_streams.notifications.routing import Route, Routing, Taste
from inferwatch_streams.notifications.settings import NotificationsSettings
from inferwatch_streams.notifications.templates import Templates, Words
from inferwatch_streams.notifications.undelivered import Undelivered

ENCODER = Encoder("alert", PinnedRegistry())
PLACE = (ALERTS.name, 0)
FIRST = 10


@dataclass
class Channel:
    """Takes messages when it is let.

    Attributes:
        told: Ids of what it took or is about to.
        free: Whether it answers.
    """

    told: list[str] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message, words: Words) -> Answer:
        """See ``Channel``."""
        del words
        self.told += [one.notice_id for one in message.notices]
        await self.free.wait()
        return Answer(DELIVERED, "200")

    async def close(self) -> None:
        """See ``Channel``."""


class Settings:
    """In place of ``ChannelSettings``: one that opens that channel."""

    def __init__(self, name: str, channel: Channel) -> None:
        self.name, self.kind, self.manner, self.templates = name, "slack", FREE, Templates({})
        self.open = lambda: channel


def configured(**channels: Channel) -> NotificationsConfiguration:
    """Return what tells these channels of everything."""
    return NotificationsConfiguration(
        {name: cast("ChannelSettings", Settings(name, of)) for name, of in channels.items()},
        Routing((Route(channels=tuple(channels)),), dict.fromkeys(channels, Taste())),
    )


class Role:
    """The role as a worker runs it, begun at an offset.

    Attributes:
        channel: Its channel.
        notifier: It.
        now: The time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, end: int = FIRST) -> None:
        self.channel = Channel()
        self.now = 100.0
        self.before: list[Notice] = []
        self.before_asked: list[int] = []
        self.end = end
        monkeypatch.setattr(record_processor, "epoch_before", lambda *_: 0)
        monkeypatch.setattr(module, "read_before", self._read_before)
        configuration = configured(ops=self.channel)
        self.changed: list[NotificationsConfiguration] = []
        self.notifier = Notifier(
            NotificationsSettings(),
            PinnedRegistry(),
            lambda _: Dispatch(
                configuration, cast("Undelivered", None), monotonic=lambda: self.now,
                wall=lambda: AT / 1e6,
            ),
            lambda: self.changed.pop() if self.changed else None,
            monotonic=lambda: self.now,
        )  # fmt: skip
        self.assign()

    def assign(self, note: str = "", start: int = FIRST) -> None:
        """Get both partitions, begun at an offset, with what was committed beside it."""
        self.notifier.processor.assign({
            PLACE: Assignment("id", start, start, note),
            (INCIDENTS.name, 0): Assignment("id", 0, 0),
        })  # fmt: skip

    @property
    def note(self) -> str:
        """What would be committed beside the offset."""
        return self.notifier.processor.notes()[PLACE]

    def _read_before(self, *asked: Any) -> tuple[list[Notice], int]:
        if asked[2] != ALERTS.name:
            return [], 0
        self.before_asked.append(asked[3].start)
        return self.before, self.end

    async def take(self, start: int, *alerts: Alert) -> None:
        """Take a chunk of alerts."""
        await self.notifier.processor.process(chunk(start, alerts))

    async def tick(self) -> None:
        """Tick, and let what it began go on."""
        await self.notifier.tick()
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def floor(self) -> int:
        """What may be committed."""
        return self.floors[PLACE]

    @property
    def floors(self) -> Mapping[tuple[str, int], int]:
        """Of both topics."""
        return self.notifier.processor.floors()


def chunk(start: int, alerts: Sequence[Alert]) -> Chunk:
    """Return the chunk that a fetch of these records brings."""
    records = [
        Record(
            number, ENCODER.encode(one.to_record()), one.fingerprint.encode(),
            headers=[(EPOCH_HEADER, b"0")],
        )
        for number, one in enumerate(alerts)
    ]  # fmt: skip
    (found,) = fetched(batch(records, base_offset=start), start)
    return replace(found, topic=ALERTS.name, partition=0)


def alert(name: str, status: str = "firing") -> Alert:
    """Return an alert that people are to be told of."""
    identity = f"{name}-{status}"
    return Alert(
        fingerprint=name, event_time=AT, rule="Slow", kind="threshold", severity="high",
        status=status, transition_id=identity, labels=(), summary=name, started_at=AT,
        details=Memory(notification_id=identity).to_details({}),
    )  # fmt: skip
