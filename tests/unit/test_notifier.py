"""The role without a broker: from a chunk to a channel, and up to where all is told."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from batches import Record, batch, fetched
from notices import AT, FREE, notice
from prometheus_client import REGISTRY

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
from inferwatch_streams.notifications.told_note import ToldNote, written
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


def test_what_is_told_frees_the_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the channel has answered."""

    async def case() -> None:
        role = Role(monkeypatch)
        await role.take(FIRST, alert("a", "pending"), alert("b"), alert("c", "inactive"))
        await role.tick()
        assert (role.channel.told, role.floor) == (["b-firing"], FIRST + 1)
        role.channel.free.set()
        await role.tick()
        await role.tick()
        assert role.floor == FIRST + 3

    asyncio.run(case())


def test_one_that_leaves_frees_nothing_that_was_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way when the time is over is broken off, and told by the next."""
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)

    async def case() -> None:
        role = Role(monkeypatch)
        await role.take(FIRST, alert("a"), alert("b"))
        await role.tick()
        await role.notifier.processor.drain()
        role.channel.free.set()
        await role.tick()
        assert role.floor == FIRST
        role.assign()
        await role.take(FIRST, alert("a"), alert("b"))
        await role.tick()
        await role.tick()
        assert role.channel.told == ["a-firing", "b-firing"] * 2
        assert role.floor == FIRST + 2

    asyncio.run(case())


def test_what_was_in_the_log_is_taken_in_before_any_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And told with its end, as it may have been told before; what comes later is not."""

    async def case() -> None:
        role = Role(monkeypatch, end=FIRST + 2)
        role.channel.free.set()
        await role.take(FIRST, alert("a"))
        await role.tick()
        assert role.channel.told == []
        await role.take(FIRST + 1, alert("a", "resolved"), alert("b"), alert("b", "resolved"))
        await role.tick()
        assert role.channel.told == ["a-firing", "a-resolved"]
        await role.tick()
        assert role.floor == FIRST + 4

    asyncio.run(case())


def test_it_does_not_wait_for_ever_for_what_was_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Yet what comes of it then may still have been told."""

    async def case() -> None:
        role = Role(monkeypatch, end=FIRST + 3)
        role.channel.free.set()
        await role.tick()
        for _ in range(9):
            role.now += 5.0
            await role.tick()
        await role.take(FIRST, alert("a"), alert("a", "resolved"))
        await role.tick()
        assert role.channel.told == ["a-firing", "a-resolved"]

    asyncio.run(case())


def test_one_that_stood_still_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another may have told meanwhile: nothing is sent before the partitions are ours again."""

    async def case() -> None:
        role = Role(monkeypatch)
        await role.take(FIRST, alert("a"))
        role.now += 60.0
        await role.tick()
        assert role.channel.told == []
        assert role.notifier.processor.read_again
        role.assign()
        await role.take(FIRST, alert("a"))
        await role.tick()
        assert role.channel.told == ["a-firing"]

    asyncio.run(case())


def test_what_was_told_beyond_the_offset_is_told_to_nobody_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next process has it from the note, which stands until what it says is taken in."""

    async def case() -> None:
        role = Role(monkeypatch)
        await role.take(FIRST, alert("a"), alert("b", "pending"), alert("c", "inactive"))
        await role.tick()
        note = role.note
        assert role.floor == FIRST
        assert [ToldNote.read(note, FIRST + 3).told("ops", FIRST + at) for at in range(3)] == [
            False, True, True,
        ]  # fmt: skip
        successor = Role(monkeypatch, end=FIRST + 3)
        successor.channel.free.set()
        successor.assign(note)
        await successor.take(FIRST, alert("a"))
        await successor.tick()
        assert (successor.floor, successor.note) == (FIRST, note)
        await successor.take(FIRST + 1, alert("b"), alert("c"))
        await successor.tick()
        await successor.tick()
        assert successor.channel.told == ["a-firing"]
        assert (successor.floor, successor.note) == (FIRST + 3, "")

    asyncio.run(case())


def test_one_that_dies_before_it_has_read_on_has_told_nothing_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the note says was not needed is, where what came before it was told meanwhile."""

    async def case() -> None:
        # That it ended was owed; that it came and went again was not needed any more.
        note, _ = written({"ops": {FIRST}}, FIRST, FIRST + 3)
        second = Role(monkeypatch, end=FIRST + 3)
        second.before = [notice("a")]
        second.channel.free.set()
        second.assign(note)
        await second.take(FIRST, alert("a", "resolved"), alert("a"))
        for _ in range(9):
            second.now += 5.0
            await second.tick()
        assert second.channel.told == ["a-resolved", "a-firing"]
        third = Role(monkeypatch, end=FIRST + 3)
        third.before = [notice("a")]
        third.channel.free.set()
        third.assign(second.note, second.floor)
        await third.take(
            second.floor,
            *[alert("a", "resolved"), alert("a"), alert("a", "resolved")][second.floor - FIRST :],
        )
        await third.tick()
        assert third.channel.told[-1:] == ["a-resolved"]

    asyncio.run(case())


def test_a_note_survives_that_the_role_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is broken off when it leaves is owed, and the rest is not."""
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)

    async def case() -> None:
        role = Role(monkeypatch)
        await role.take(FIRST, alert("a"), alert("b", "inactive"))
        await role.tick()
        await role.notifier.processor.drain()
        told = ToldNote.read(role.note, FIRST + 2)
        assert (told.told("ops", FIRST), told.told("ops", FIRST + 1)) == (False, True)

    asyncio.run(case())


def test_a_note_that_is_none_of_ours_has_all_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted, and stops nothing."""

    def unreadable() -> float:
        name = "inferwatch_notifications_unreadable_notes_total"
        return REGISTRY.get_sample_value(name, {"topic": ALERTS.name}) or 0.0

    async def case() -> None:
        role = Role(monkeypatch, end=FIRST + 1)
        role.channel.free.set()
        before = unreadable()
        role.assign("somebody else's")
        await role.take(FIRST, alert("a"))
        await role.tick()
        await role.tick()
        assert role.channel.told == ["a-firing"]
        assert (role.floor, unreadable() - before) == (FIRST + 1, 1.0)

    asyncio.run(case())


def test_other_channels_are_told_once_the_file_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within seconds; one that is new learns from the log what was told before."""

    async def case() -> None:
        role = Role(monkeypatch)
        role.channel.free.set()
        await role.take(FIRST, alert("a"))
        await role.tick()
        new = Channel(free=role.channel.free)
        role.changed.append(configured(ops=role.channel, new=new))
        role.before = [notice("a"), notice("b")]
        role.now += module.LOOK_SECONDS
        await role.tick()
        assert role.before_asked[-1] == FIRST + 1
        await role.take(FIRST + 1, *(alert(name, "resolved") for name in "abc"))
        await role.tick()
        await role.tick()
        assert role.channel.told == ["a-firing", "a-resolved"]
        assert new.told == ["a-resolved", "b-resolved"]
        assert role.floor == FIRST + 4

    asyncio.run(case())


def test_one_that_stood_by_looks_at_the_file_before_it_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have changed long ago."""

    async def case() -> None:
        role = Role(monkeypatch)
        other = Channel()
        role.changed.append(configured(other=other))
        await role.take(FIRST, alert("a"))
        await role.tick()
        assert (role.channel.told, other.told) == ([], ["a-firing"])

    asyncio.run(case())
