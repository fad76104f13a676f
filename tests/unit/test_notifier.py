"""The role without a broker: from a chunk to a channel, and up to where all is told."""

import asyncio
import threading

import pytest
from notices import notice
from telling_role import FIRST, Channel, Role, alert, configured

from inferwatch_streams.notifications import notifier as module
from inferwatch_streams.notifications import retrying
from inferwatch_streams.notifications.message import FAILED, Answer


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
        await role.notifier.look()
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


def test_one_that_stood_still_tries_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another may have the partitions now, and tell it: then this one never begins anew."""
    monkeypatch.setattr(retrying, "BASE_SECONDS", 0.001)

    async def case() -> None:
        role = Role(monkeypatch)
        attempts = 0

        async def send(*_: object) -> Answer:
            nonlocal attempts
            attempts += 1
            return Answer(FAILED, "500")

        monkeypatch.setattr(role.channel, "send", send)
        await role.take(FIRST, alert("a"))
        await role.tick()
        assert attempts
        role.now += 60.0
        await role.tick()
        before = attempts
        role.notifier.processor.assign({})
        await role.tick()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        assert attempts == before

    asyncio.run(case())


def test_a_file_that_takes_long_to_read_keeps_nobody_from_being_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does the role seem to have stood still meanwhile."""

    async def case() -> None:
        role = Role(monkeypatch)
        role.channel.free.set()
        await role.tick()
        read = threading.Event()
        monkeypatch.setattr(role.notifier, "_changed", lambda: read.wait(10.0) and None)
        looking = asyncio.create_task(role.notifier.look())
        for _ in range(3):
            role.now += 8.0
            await role.tick()
        assert not looking.done()
        assert not role.notifier.processor.read_again
        read.set()
        await looking

    asyncio.run(case())
