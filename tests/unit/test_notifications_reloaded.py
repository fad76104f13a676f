"""Another file of channels and routes while the role runs: what becomes of what waits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest
from notices import AT, FREE, notice, origin
from prometheus_client import REGISTRY

from inferwatch_streams.errors import ConfigurationError
from inferwatch_streams.notifications import retrying
from inferwatch_streams.notifications.configuration import (
    ChannelSettings,
    NotificationsConfiguration,
)
from inferwatch_streams.notifications.dispatch import Dispatch
from inferwatch_streams.notifications.manner import Timing
from inferwatch_streams.notifications.message import DELIVERED, FAILED, Answer, Message
from inferwatch_streams.notifications.notice import RESOLVED, Notice
from inferwatch_streams.notifications.post import Post
from inferwatch_streams.notifications.reloading import NotificationsFile
from inferwatch_streams.notifications.routing import Route, Routing, Taste
from inferwatch_streams.notifications.templates import Templates, Words
from inferwatch_streams.notifications.undelivered import Undelivered

SECONDS = 10.0


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth between attempts."""
    monkeypatch.setattr(retrying, "BASE_SECONDS", 0.01)


@dataclass
class Channel:
    """In place of a channel and its settings: takes messages when it is let.

    Attributes:
        name: See ``ChannelSettings``.
        kind: Likewise.
        told: Ids of what it was sent.
        said: The titles of these messages.
        free: Whether it answers.
        outcome: What.
        closed: Whether it was let go of.
    """

    name: str
    kind: str = "webhook"
    told: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: str = DELIVERED
    closed: bool = False
    templates: Templates = field(default_factory=lambda: Templates({}))
    manner = FREE

    def open(self) -> "Channel":
        """See ``ChannelSettings``."""
        return self

    async def send(self, message: Message, words: Words) -> Answer:
        """See ``Channel``."""
        self.said.append(words.title)
        self.told += [one.notice_id for one in message.notices]
        await self.free.wait()
        return Answer(self.outcome, "told")

    async def close(self) -> None:
        """See ``Channel``."""
        assert not self.closed
        self.closed = True


class Letters:
    """In place of ``Undelivered``: what was buried."""

    def __init__(self) -> None:
        self.buried: list[tuple[str, str, str]] = []

    async def bury(self, channel: str, of: Notice, answer: Answer, attempts: int) -> None:
        """See ``Undelivered``."""
        del attempts
        await asyncio.sleep(0)
        self.buried.append((channel, of.notice_id, answer.status))


def configuration(*channels: Channel) -> NotificationsConfiguration:
    """Return what tells all of these of everything."""
    names = [one.name for one in channels]
    return NotificationsConfiguration(
        {one.name: cast("ChannelSettings", one) for one in channels},
        Routing((Route(channels=tuple(names)),), {name: Taste() for name in names}),
    )


class Telling:
    """A dispatch to channels."""

    def __init__(self, *channels: Channel) -> None:
        self.letters = Letters()
        undelivered = cast("Undelivered", self.letters)
        self.dispatch = Dispatch(configuration(*channels), undelivered, wall=lambda: AT / 1e6)

    def take(self, *notices: Notice) -> None:
        """Take notices in, and send what is due."""
        for one in notices:
            self.dispatch.take(one, maybe_told=False)
        self.dispatch.send_due()

    @property
    def owed(self) -> list[tuple[str, str]]:
        """What is neither told nor buried."""
        return [(channel, one.notice_id) for channel, one in self.dispatch.unsettled()]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Send what is due until a condition holds."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self.dispatch.send_due()
                await asyncio.sleep(0.001)


def test_what_waits_for_a_channel_goes_out_as_it_is_configured_now() -> None:
    """What is on its way ends as it began; after a failure it is tried the new way."""

    async def case() -> None:
        old = Channel("ops", outcome=FAILED, templates=Templates({"title": "old"}))
        new = Channel("ops", templates=Templates({"title": "new"}))
        telling = Telling(old)
        telling.take(notice("a"))
        await telling.until(lambda: old.told == ["a-firing-1"])
        telling.take(notice("a", RESOLVED, 2))
        assert telling.dispatch.change(configuration(new)) == frozenset()
        new.free.set()
        telling.take(notice("b", group="b"))
        await telling.until(lambda: new.told == ["b-firing-1"])
        assert not old.closed
        old.free.set()
        await telling.until(lambda: not telling.owed and old.closed)
        assert old.told == ["a-firing-1"]
        assert new.told == ["b-firing-1", "a-firing-1", "a-resolved-2"]
        assert (old.said, new.said) == (["old"], ["new"] * 3)
        await telling.dispatch.close()
        assert new.closed

    asyncio.run(case())


@pytest.mark.parametrize("kind", [None, "slack"])
@pytest.mark.parametrize("outcome", [DELIVERED, FAILED])
def test_what_waits_for_a_channel_that_is_no_more_is_buried(kind: str | None, outcome: str) -> None:
    """What is on its way may still arrive, and is not tried again; so where its kind is another."""

    async def case() -> None:
        gone, stays = Channel("gone", outcome=outcome), Channel("stays")
        stays.free.set()
        telling = Telling(gone, stays)
        telling.take(notice("a", origin=origin(1)))
        await telling.until(lambda: gone.told == ["a-firing-1"])
        telling.take(notice("a", RESOLVED, 2, origin=origin(2)))
        others = [] if kind is None else [Channel("gone", kind)]
        telling.dispatch.change(configuration(replace(stays), *others))
        assert sorted(telling.owed) == [
            ("gone", "a-firing-1"), ("gone", "a-resolved-2"), ("stays", "a-resolved-2"),
        ]  # fmt: skip
        gone.free.set()
        await telling.until(lambda: not telling.owed and gone.closed)
        failed = [("gone", "a-firing-1", "not_configured")] if outcome == FAILED else []
        assert sorted(telling.letters.buried) == [
            *failed, ("gone", "a-resolved-2", "not_configured"),
        ]  # fmt: skip
        assert gone.told == ["a-firing-1"]
        assert stays.told == ["a-firing-1", "a-resolved-2"]
        assert [one.told for one in others] == [[] for _ in others]
        await telling.dispatch.close()

    asyncio.run(case())


def test_a_role_that_ends_while_channels_change_lets_go_of_all() -> None:
    """Of those that were, those that are no more, and those that are."""

    async def case() -> None:
        changed, gone, now = Channel("ops"), Channel("gone"), Channel("ops")
        telling = Telling(changed, gone)
        telling.take(notice("a"))
        await telling.until(lambda: bool(changed.told and gone.told))
        telling.dispatch.change(configuration(now))
        async with asyncio.timeout(SECONDS):
            await telling.dispatch.close()
        assert [one.closed for one in (changed, gone, now)] == [True] * 3

    asyncio.run(case())


def test_a_new_channel_learns_what_fires() -> None:
    """From the log, as after a restart; the others, which know, do not."""

    async def case() -> None:
        old, new = Channel("old"), Channel("new")
        old.free.set()
        new.free.set()
        telling = Telling(old)
        telling.take(notice("a"))
        await telling.until(lambda: not telling.owed)
        fresh = telling.dispatch.change(configuration(replace(old), new))
        assert fresh == {"new"}
        telling.dispatch.restore(notice("a"), fresh)
        telling.take(notice("a", RESOLVED, 2))
        await telling.until(lambda: not telling.owed)
        assert new.told == ["a-resolved-2"]

    asyncio.run(case())


FILE = """
channels:
  changed: {type: webhook, url: {env: A}, signing_secret: {env: KEY}, timeout: %s}
  same: {type: slack, webhook_url: {env: A}, templates: {title: now}}
"""


@pytest.mark.parametrize("timeout", ["5s", "6s"])
def test_a_channel_that_is_as_it_was_keeps_what_it_asked_for(tmp_path: Path, timeout: str) -> None:
    """Another was changed, or the file was merely touched: who is to be left alone still is."""

    async def case() -> None:
        path = tmp_path / "n.yaml"
        path.write_text(FILE % "5s", encoding="utf-8")
        key = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
        file = NotificationsFile(path, {"A": "https://a.example/a", "KEY": key})
        posts = [
            Post(of, cast("Undelivered", Letters()), lambda: 0.0, lambda: 0.0)
            for of in file.configuration.channels.values()
        ]
        path.unlink()
        assert file.look() is None
        path.write_text(FILE % timeout, encoding="utf-8")
        now = file.look()
        assert now is not None
        for post in posts:
            post.outbox.hold(1000.0)
            post.outbox.add(notice("a"), "g", Timing(), 0.0)
            post.change(now.channels[post.name])
        due = [post.name for post in posts if post.outbox.due(0.0) is not None]
        assert due == (["changed"] if timeout == "6s" else [])
        for post in posts:
            await post.close()

    asyncio.run(case())


@pytest.mark.parametrize("seconds", [30.0, 1200.0])
def test_an_alertmanager_is_told_as_often_as_it_is_promised_now(seconds: float) -> None:
    """And of that at once: what still fires would be over there between two messages."""
    channel = Channel("am", "alertmanager")
    channel.free.set()

    def resending(every: float) -> NotificationsConfiguration:
        routing = Routing((Route(channels=("am",)),), {"am": Taste(mirror_seconds=every)})
        return replace(configuration(channel), routing=routing)

    async def case() -> None:
        now = 1000.0
        dispatch = Dispatch(
            resending(300.0), cast("Undelivered", Letters()), lambda: now, lambda: AT / 1e6
        )

        async def messages() -> int:
            dispatch.send_due()
            await dispatch.settled(SECONDS)
            return len(channel.told)

        dispatch.take(notice("a"), maybe_told=False)
        assert (await messages(), await messages()) == (1, 1)
        dispatch.change(resending(seconds))
        assert (await messages(), await messages()) == (2, 2)
        now += seconds - 1.0
        assert await messages() == 2
        now += 1.0
        assert await messages() == 3
        await dispatch.close()

    asyncio.run(case())


def reloads(outcome: str) -> float:
    """Return how often the file was looked at anew with an outcome."""
    name = "inferwatch_notifications_reloads_total"
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0


def test_a_file_is_read_again_when_it_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that cannot be used is told of with its line and field, once, and the old one stays."""
    path = tmp_path / "n.yaml"
    path.write_text("channels: {ops: {type: slack, webhook_url: {env: A}}}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError):
        NotificationsFile(path, {})
    file = NotificationsFile(path, {"A": "https://a.example/a"})
    before, refused, reloaded = file.configuration, reloads("refused"), reloads("reloaded")
    assert file.look() is None
    path.write_text(
        "channels:\n  ops: {type: slack, webhook_url: {env: NOT_SET}}\n", encoding="utf-8"
    )
    assert (file.look(), file.look(), file.configuration) == (None, None, before)
    assert reloads("refused") - refused == 1
    said = capsys.readouterr().out
    assert "n.yaml:2: channels.ops.webhook_url: the variable NOT_SET is not set" in said
    path.unlink()
    assert file.look() is None
    path.write_text("channels: {other: {type: slack, webhook_url: {env: A}}}\n", encoding="utf-8")
    found = file.look()
    assert found is not None
    assert found is file.configuration
    assert [*found.channels] == ["other"]
    assert (reloads("refused") - refused, reloads("reloaded") - reloaded) == (2, 1)
    assert NotificationsFile(None, {}).look() is None
